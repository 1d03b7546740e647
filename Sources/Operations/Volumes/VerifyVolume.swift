import Domain
import FoundationEssentials
import Glibc
import Synchronization
import Vault

/// Proves that a volume holds what was written to it.
///
/// Invariants:
/// 1. The list is checked first, with a key that the register or the caller knows; what it does not prove is not
///    opened.
/// 2. A verification that does not find the decoy bad is no verification.
/// 3. The day of the next verification moves only when everything passed, with the secret.
package enum VerifyVolume {
    package struct Request {
        package var directory: String
        package var secretPath: String?
        /// As the label shows it: 16 digits at least.
        package var fingerprint: String?

        package init(directory: String, secretPath: String?, fingerprint: String?) {
            self.directory = directory
            self.secretPath = secretPath
            self.fingerprint = fingerprint
        }
    }

    package static func run(_ request: Request, at workplace: Workplace) throws -> VolumeVerified {
        let started = MonotonicTime.now()
        let tree = VolumeTree(directory: request.directory)
        let identity = try tree.identity()
        let register = VolumeRegister(workplace)
        let known = try register.record(identity.id)
        let lock = try known.map { try register.lock($0.id) }
        defer { withExtendedLifetime(lock) {} }
        try register.checkThere(identity.id)
        guard let key = Digest(hex: known?.publicKey ?? identity.publicKey) else {
            throw OperationError(.damaged, "the key of the volume is malformed", hint: "Look at the register.")
        }
        let fingerprint = VolumeTree.fingerprint(key)
        var checking = VolumeChecking(
            tree: tree, identity: identity, key: key, workplace: workplace,
            report: VolumeVerified(
                volume: identity.id, fingerprint: fingerprint, keyProven: known != nil || request.fingerprint != nil))
        if let told = request.fingerprint {
            let digits = told.lowercased().filter { !$0.isWhitespace }
            guard digits.utf8.count >= 16, digits.allSatisfy(\.isHexDigit) else {
                throw OperationError(
                    .usage, "\"\(told)\" is no fingerprint",
                    hint: "Give its first 16 digits at least, as on the label.")
            }
            if !fingerprint.hasPrefix(digits) {
                checking.find(VolumeTree.keyName, "the key of the volume is not the one with this fingerprint")
            }
        }
        var secret = try request.secretPath.flatMap { try checking.secret(from: $0) }
        defer { secret?.withUnsafeMutableBytes { Wipe.bytes($0) } }
        try checking.run(last: try known.flatMap { try register.lastList($0.id) }, secret: secret)
        if request.secretPath != nil, secret == nil, checking.report.findings.isEmpty {
            checking.find(VolumeTree.identityName, "it is not what was written")
        }
        var report = checking.report
        if let known { report.verifyBy = try note(report, known, in: register) }
        report.seconds = MonotonicTime.now() - started
        return report
    }

    /// Enters what was found in the register; returns when the volume is due again.
    private static func note(
        _ report: VolumeVerified, _ known: VolumeRecord, in register: VolumeRegister
    ) throws -> String {
        if !report.findings.isEmpty {
            let files = report.findings.prefix(20).map(\.file).joined(separator: " ")
            let found = "\(report.findings.count): \(files)"
            try register.append(CustodyEvent.verificationFailed, found, to: known.id)
            // Due at once: lists and alarms tell of it until it is found whole.
            var record = try register.record(known.id) ?? known
            record.verifyBy = min(record.verifyBy, VolumeRegister.now())
            try register.save(record)
            return record.verifyBy
        }
        guard let opened = report.archivesOpened else {
            try register.append("verified", "\(CustodyEvent.digestsOnly), \(report.files) files", to: known.id)
            return known.verifyBy
        }
        try register.append("verified", "\(report.files) files, \(opened) archives opened", to: known.id)
        // Read again under the lock.
        var record = try register.record(known.id) ?? known
        record.verified = VolumeRegister.now()
        record.verifyBy = try VolumeRegister.due(after: record.reverify)
        try register.save(record)
        return record.verifyBy
    }
}

private struct VolumeChecking {
    let tree: VolumeTree
    let identity: VolumeIdentity
    let key: Digest
    let workplace: Workplace
    var report: VolumeVerified
    private var bad: Set<String> = []

    init(tree: VolumeTree, identity: VolumeIdentity, key: Digest, workplace: Workplace, report: VolumeVerified) {
        self.tree = tree
        self.identity = identity
        self.key = key
        self.workplace = workplace
        self.report = report
    }

    mutating func find(_ file: String, _ reason: String) {
        bad.insert(file)
        report.findings.append(VolumeFinding(file: file, reason: reason))
    }

    /// Nil where what the medium says of its secret was not signed: then nothing is opened, and ``run(last:secret:)``
    /// finds why. That a secret does not fit must not hide damage.
    func secret(from path: String) throws -> [UInt8]? {
        guard let list = signedList(), let files = VolumeTree.files(in: list),
            let bytes = MediumRead.whole(tree.path(VolumeTree.identityName), limit: VolumeTree.smallLimit),
            files[VolumeTree.identityName] == ListDigest.of(bytes)
        else { return nil }
        return try VolumeTree.secret(from: path, for: identity)
    }

    private func signedList() -> [UInt8]? {
        guard let list = MediumRead.whole(tree.path(VolumeTree.listName), limit: VolumeTree.listLimit),
            let signature = MediumRead.whole(tree.path(VolumeTree.signatureName), limit: 1024),
            SigningKey.verify(signature: signature, message: list, publicKey: key)
        else { return nil }
        return list
    }

    mutating func run(last: [UInt8]?, secret: [UInt8]?) throws {
        guard let list = signedList() else {
            find(VolumeTree.listName, "its signature is not that of the volume's key; nothing on the volume is proven")
            return
        }
        guard let files = VolumeTree.files(in: list) else {
            find(VolumeTree.listName, "it is malformed")
            return
        }
        if let last, last != list {
            find(VolumeTree.listName, "it is not the list that this host signed last: an older state of the volume")
        }
        for (name, digest) in files.sorted(by: { $0.key < $1.key }) { try check(name, digest) }
        for name in try tree.names()
        where files[name] == nil && name != VolumeTree.listName && name != VolumeTree.signatureName {
            let isMark = name == VolumeTree.unfinishedName
            find(name, isMark ? "a write was not finished; repeat it" : "the list does not name it")
        }
        if MediumRead.whole(tree.path(VolumeTree.keyName), limit: 4096) != Array(VolumeTree.pem(key).utf8) {
            find(VolumeTree.keyName, "it is not the key that signed the list")
        }
        checkDecoy(files)
        guard let secret else { return }
        report.archivesOpened = 0
        for archive in Set(files.keys.compactMap { VolumeTree.archive(ofPart: $0) }).sorted() {
            try open(archive, files, secret)
        }
    }

    private mutating func check(_ name: String, _ wanted: Digest) throws {
        guard let descriptor = MediumRead.open(tree.path(name)) else {
            find(name, "it is missing, or no file")
            return
        }
        defer { close(descriptor) }
        let digest = ListDigest()
        var length = 0
        let isRead = try MediumRead.pieces(descriptor) { piece in
            try Self.checkInterrupt(workplace)
            digest.update(piece)
            length += piece.count
        }
        report.files += 1
        report.bytes += length
        workplace.progress.files.add(1, ordering: .relaxed)
        workplace.progress.bytes.add(length, ordering: .relaxed)
        if !isRead {
            find(name, "it cannot be read to its end")
        } else if digest.finish() != wanted {
            find(name, "its digest is not the one that was signed")
        }
    }

    static func checkInterrupt(_ workplace: Workplace) throws {
        if workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
    }

    /// The decoy must be there and be bad by its own list.
    private mutating func checkDecoy(_ files: [String: Digest]) {
        guard files[VolumeTree.decoyName] != nil, files[VolumeTree.decoyListName] != nil,
            let list = MediumRead.whole(tree.path(VolumeTree.decoyListName), limit: VolumeTree.smallLimit),
            let wanted = VolumeTree.files(in: list)?[VolumeTree.decoyName],
            let decoy = MediumRead.whole(tree.path(VolumeTree.decoyName), limit: VolumeTree.smallLimit)
        else {
            find(VolumeTree.decoyListName, "there is no decoy, so nothing shows that damage would be found")
            return
        }
        if ListDigest.of(decoy) == wanted {
            find(VolumeTree.decoyName, "the decoy is not bad: what verifies this volume finds no damage")
        } else {
            report.decoyFound = true
        }
    }

    // MARK: With the secret

    private mutating func open(_ archive: String, _ files: [String: Digest], _ secret: [UInt8]) throws {
        let stream = VolumeTree.streamName(archive)
        var parts: [String] = []
        while files[VolumeTree.partName(stream, parts.count + 1)] != nil {
            parts.append(VolumeTree.partName(stream, parts.count + 1))
        }
        let digests = VolumeTree.digestsName(archive)
        let slice = VolumeTree.sliceName(archive)
        let all = parts + [digests, slice]
        // What is damaged was named already.
        guard !all.contains(where: { bad.contains($0) }) else { return }
        guard parts.count == files.keys.count(where: { VolumeTree.archive(ofPart: $0) == archive }),
            files[digests] != nil, files[slice] != nil
        else {
            find(stream, "parts of it are not in the list")
            return
        }
        do {
            let found = try members(of: archive, parts, secret)
            let sealed = ListDigest()
            try OpenedStream.read([tree.path(digests)], secret) { reader in
                while try !reader.isAtEnd() {
                    try Self.checkInterrupt(workplace)
                    _ = try reader.some(limit: 1 << 16) { sealed.update($0) }
                }
            }
            if sealed.finish() != found.digests { find(digests, "it does not list what is in the stream") }
            if try sliceDigest(slice) != found.slice { find(slice, "it does not list what is in the stream") }
            report.archivesOpened = (report.archivesOpened ?? 0) + 1
        } catch let error as OpenedStream.Unopened {
            find(stream, error.reason)
        }
    }

    /// Decrypts, decompresses and reads every member; digests of the lines that slice and sealed list must have.
    private func members(
        of archive: String, _ parts: [String], _ secret: [UInt8]
    ) throws -> (slice: Digest, digests: Digest) {
        let text = SliceText(archive: archive)
        let slice = ListDigest()
        let digests = ListDigest()
        try OpenedStream.read(parts.map { tree.path($0) }, secret) { source in
            let tar = PaxReader(source)
            while let member = try tar.next() {
                try Self.checkInterrupt(workplace)
                if member.kind == .file, !member.isHardLink {
                    let content = ListDigest()
                    var rest = member.size
                    while rest > 0 {
                        try Self.checkInterrupt(workplace)
                        let count = try source.some(limit: Int(min(rest, 1 << 16))) { content.update($0) }
                        rest -= UInt64(count)
                    }
                    _ = try source.exactly(PaxHeader.padding(member.size))
                    digests.update(SliceText.digestLine(content.finish(), member.path))
                }
                let isLink = member.isHardLink || member.kind == .symlink
                slice.update(
                    try text.line(
                        member.path, kind: member.isHardLink ? "hardlink" : member.kind.name, size: member.size,
                        modified: member.modified, target: isLink ? member.linkTarget : nil))
            }
        }
        return (slice.finish(), digests.finish())
    }

    /// The lines of a slice but those of sockets, which no stream holds.
    private func sliceDigest(_ name: String) throws -> Digest? {
        guard let descriptor = MediumRead.open(tree.path(name)) else { return nil }
        defer { close(descriptor) }
        let digest = ListDigest()
        let socket = Array(#""kind":"socket""#.utf8)
        try SliceLines.forEach(descriptor) { line in
            try Self.checkInterrupt(workplace)
            // No string of JSON holds these quotes without a backslash.
            if !SliceLines.contains(line, socket) { digest.update(line + [0x0A]) }
        }
        return digest.finish()
    }
}

/// A slice line by line; no line is longer than an entry can make it.
enum SliceLines {
    private static let lineLimit = 1 << 20

    static func forEach(_ descriptor: Int32, _ body: ([UInt8]) throws -> Void) throws {
        var line: [UInt8] = []
        let isRead = try MediumRead.pieces(descriptor) { piece in
            for byte in piece {
                if byte == 0x0A {
                    try body(line)
                    line.removeAll(keepingCapacity: true)
                } else {
                    line.append(byte)
                    guard line.count <= lineLimit else {
                        throw OperationError(.damaged, "a line of the slice is too long", hint: "Verify the volume.")
                    }
                }
            }
        }
        guard isRead else {
            throw OperationError(.damaged, "the slice cannot be read to its end", hint: "Use another copy of it.")
        }
    }

    static func contains(_ line: [UInt8], _ text: [UInt8]) -> Bool {
        guard let first = text.first, line.count >= text.count else { return false }
        for at in 0...(line.count - text.count) where line[at] == first {
            if line[at..<at + text.count].elementsEqual(text) { return true }
        }
        return false
    }
}
