import Collectors
import Domain
import Glibc
import Synchronization
import Vault

/// Restores an archive, or some paths of it, from a volume: without a vault and without a key of one.
///
/// Invariants:
/// 1. The list is checked first, with a key that the register or the caller knows; then the digest of every file of the
///    archive. Nothing is decrypted before that.
/// 2. A file keeps its name only if its content has the digest that was sealed beside the stream; and the bytes that were
///    opened are compared with the signed list once more.
/// 3. Nothing outside the target is made or changed (``FileTreeRestorer``), whatever names the stream holds.
package enum RestoreVolume {
    package struct Request {
        /// Where the volume is mounted.
        package var directory: String
        /// First digits of the archive's id, 4 at least.
        package var archive: String
        /// Absolute paths as archived; all when empty.
        package var paths: [String]
        /// New or empty.
        package var target: String
        package var secretPath: String
        /// As the label shows it: 16 digits at least. Needed where the register does not know the volume.
        package var fingerprint: String?
        package var dryRun: Bool

        package init(
            directory: String, archive: String, paths: [String], target: String, secretPath: String,
            fingerprint: String?, dryRun: Bool
        ) {
            self.directory = directory
            self.archive = archive
            self.paths = paths
            self.target = target
            self.secretPath = secretPath
            self.fingerprint = fingerprint
            self.dryRun = dryRun
        }
    }

    package static func run(_ request: Request, at workplace: Workplace) throws -> RestoreReport {
        let started = MonotonicTime.now()
        try VolumeSecrets.checkApart(request.target, from: request.directory)
        let tree = VolumeTree(directory: request.directory)
        let identity = try tree.identity()
        let register = VolumeRegister(workplace)
        let known = try register.record(identity.id)
        let lock = try known.map { try register.lock($0.id) }
        defer { withExtendedLifetime(lock) {} }
        try register.checkThere(identity.id)
        let key = try provenKey(identity, known, request.fingerprint)
        let files = try signedFiles(tree, by: key)
        let archive = try SealedArchive(request.archive, in: files)
        workplace.witness.saw(archive: archive.id)
        guard DirectoryContent.isEmpty(request.target) else {
            throw OperationError(
                .failed, "\(request.target) is not empty", hint: "Nothing was written. Name a new or empty directory.")
        }
        // That a secret does not fit is said only by what was signed.
        guard let bytes = MediumRead.whole(tree.path(VolumeTree.identityName), limit: VolumeTree.smallLimit),
            files[VolumeTree.identityName] == ListDigest.of(bytes)
        else {
            throw OperationError(
                .damaged, "\(VolumeTree.identityName) is not what was signed", hint: "Use another copy of the volume.")
        }
        var secret = try VolumeTree.secret(from: request.secretPath, for: identity)
        defer { secret.withUnsafeMutableBytes { Wipe.bytes($0) } }
        try archive.verify(on: tree, workplace)
        var report = RestoreReport()
        report.archive = archive.id
        report.volume = identity.id
        report.target = request.target
        report.dryRun = request.dryRun
        let wish = try VolumeWish(request.paths, of: archive, on: tree, workplace, &report)
        if !request.dryRun {
            if let known { try register.append("restored", archive.id, to: known.id) }
            report.clearCounts()
            var restoring = VolumeRestoring(
                tree: tree, archive: archive, wish: wish, workplace: workplace, report: report,
                restorer: try FileTreeRestorer(RestoreOptions(target: Array(request.target.utf8))))
            report = try restoring.run(secret)
        }
        report.seconds = MonotonicTime.now() - started
        return report
    }

    /// What the register knows counts, or what the caller read from the label; never the medium alone.
    private static func provenKey(
        _ identity: VolumeIdentity, _ known: VolumeRecord?, _ fingerprint: String?
    ) throws -> Digest {
        guard let key = Digest(hex: known?.publicKey ?? identity.publicKey) else {
            throw OperationError(.damaged, "the key of the volume is malformed", hint: "Look at the register.")
        }
        guard let fingerprint else {
            guard known != nil else {
                throw OperationError(
                    .denied, "nothing proves who signed volume \(identity.id): this host does not know it",
                    hint: "Give the fingerprint on its label with --fingerprint.")
            }
            return key
        }
        let digits = fingerprint.lowercased().filter { !$0.isWhitespace }
        guard digits.utf8.count >= 16, digits.allSatisfy(\.isHexDigit) else {
            throw OperationError(
                .usage, "\"\(fingerprint)\" is no fingerprint",
                hint: "Give its first 16 digits at least, as on the label.")
        }
        guard VolumeTree.fingerprint(key).hasPrefix(digits) else {
            throw OperationError(
                .damaged, "the key of volume \(identity.id) is not the one with this fingerprint",
                hint: "It is another volume than the label says, or a forged one: use another copy.")
        }
        return key
    }

    private static func signedFiles(_ tree: VolumeTree, by key: Digest) throws -> [String: Digest] {
        guard let list = MediumRead.whole(tree.path(VolumeTree.listName), limit: VolumeTree.listLimit),
            let signature = MediumRead.whole(tree.path(VolumeTree.signatureName), limit: 1024),
            SigningKey.verify(signature: signature, message: list, publicKey: key)
        else {
            throw OperationError(
                .damaged, "the list of the volume is not signed by the volume's key: nothing on it is proven",
                hint: "Nothing was opened. Use another copy of the volume.")
        }
        guard let files = VolumeTree.files(in: list) else {
            throw OperationError(.damaged, "the list of the volume is malformed", hint: "Use another copy of it.")
        }
        return files
    }
}

private struct VolumeRestoring {
    let tree: VolumeTree
    let archive: SealedArchive
    let wish: VolumeWish
    let workplace: Workplace
    var report: RestoreReport
    let restorer: FileTreeRestorer
    /// Numbers of files that have further names, by the first one.
    private var inodes: [[UInt8]: UInt64] = [:]

    init(
        tree: VolumeTree, archive: SealedArchive, wish: VolumeWish, workplace: Workplace, report: RestoreReport,
        restorer: FileTreeRestorer
    ) {
        self.tree = tree
        self.archive = archive
        self.wish = wish
        self.workplace = workplace
        self.report = report
        self.restorer = restorer
    }

    mutating func run(_ secret: [UInt8]) throws -> RestoreReport {
        do {
            try OpenedStream.read(
                [tree.path(archive.digests.name)], secret, expecting: [archive.digests.digest]
            ) { digests in
                let paths = archive.parts.map { tree.path($0.name) }
                try OpenedStream.read(paths, secret, expecting: archive.parts.map(\.digest)) { source in
                    try restore(source, digests)
                }
                guard try digests.isAtEnd() else {
                    throw OpenedStream.Unopened(reason: "its list of digests names more files than it holds")
                }
            }
        } catch let error as OpenedStream.Unopened {
            throw OperationError(
                .damaged, "archive \(archive.id.prefix(12)) on the volume: \(error.reason)",
                hint: "Do not use what is in \(report.target) by now; restore from another volume into a new directory."
            )
        }
        try restorer.finishDirectories()
        noteProblems()
        return report
    }

    private mutating func restore(_ source: PipeReader, _ digests: PipeReader) throws {
        let members = PaxReader(source)
        while let member = try members.next() {
            try RestoreTrees.checkInterrupt(workplace)
            workplace.progress.files.add(1, ordering: .relaxed)
            let file = wish.wants(member) ? try begin(member) : nil
            guard member.kind == .file, !member.isHardLink else { continue }
            let (digest, problem) = try fill(file, member, source)
            _ = try source.exactly(PaxHeader.padding(member.size))
            let line = SliceText.digestLine(digest, member.path)
            guard try digests.exactly(line.count) == line else {
                file?.discard()
                let name = String(decoding: member.path, as: UTF8.self)
                throw OpenedStream.Unopened(reason: "the content of /\(name) is not what was sealed")
            }
            do {
                if let problem { throw problem }
                try file?.finish()
            } catch let error as CollectorError {
                file?.discard()
                report.add(member.path, error.message)
                report.files -= 1
                report.bytes = report.bytes.subtractingClamped(member.size)
            }
        }
    }

    /// The content of a member goes by, and into the file where it is wanted. What the target does not take is a problem of
    /// that file, and the stream is read on.
    private func fill(
        _ file: RestoringFile?, _ member: PaxMember, _ source: PipeReader
    ) throws -> (digest: Digest, problem: CollectorError?) {
        let content = ListDigest()
        var problem: CollectorError?
        var offset: UInt64 = 0
        while offset < member.size {
            try RestoreTrees.checkInterrupt(workplace)
            let count = try source.some(limit: Int(min(member.size - offset, 1 << 16))) { piece in
                content.update(piece)
                // What is not written reads as zeros, and stays a hole.
                guard let file, problem == nil, piece.contains(where: { $0 != 0 }) else { return }
                do throws(CollectorError) { try file.write(piece, at: offset) } catch { problem = error }
            }
            offset += UInt64(count)
        }
        return (content.finish(), problem)
    }

    /// Nil where nothing is to be filled.
    private mutating func begin(_ member: PaxMember) throws -> RestoringFile? {
        if member.isHardLink {
            guard let inode = inodes[member.linkTarget] else {
                report.add(member.path, "the file that it is another name of was not restored")
                return nil
            }
            if try restorer.linkIfKnown(member.entry(inode: inode), as: member.path), restorer.isLastRestored {
                report.count(.file, 0)
            }
            return nil
        }
        var inode: UInt64 = 0
        if member.kind != .directory, wish.isLinkedTo(member) {
            inode = UInt64(inodes.count) + 1
            inodes[member.path] = inode
        }
        let file = try restorer.begin(member.entry(inode: inode), as: member.path)
        guard try file?.make() ?? restorer.isLastRestored else { return nil }
        report.count(member.kind, member.size)
        return file
    }

    private mutating func noteProblems() {
        var unseen = restorer.problems.counts
        for problem in restorer.problems.take() {
            unseen[problem.what, default: 0] -= 1
            if problem.what == .ownershipNotSet {
                report.ownershipNotSet += 1
            } else {
                report.add(problem.path, problem.reason)
            }
        }
        // Of very many only their number was kept.
        for (what, count) in unseen {
            if what == .ownershipNotSet { report.ownershipNotSet += count } else { report.problemCount += count }
        }
    }
}
