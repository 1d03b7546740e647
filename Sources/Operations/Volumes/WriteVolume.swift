import Domain
import Glibc
import Synchronization
import Vault

/// Writes archives to a volume. What it promises when it dies stands in `docs/volumes.md`.
package enum WriteVolume {
    package static let usualPartBytes = 1 << 30

    package struct Request {
        package var directory: String
        package var archives: [String]
        package var secretPath: String
        package var partBytes: Int
        package var dryRun: Bool

        package init(directory: String, archives: [String], secretPath: String, partBytes: Int, dryRun: Bool) {
            self.directory = directory
            self.archives = archives
            self.secretPath = secretPath
            self.partBytes = partBytes
            self.dryRun = dryRun
        }
    }

    package static func run(_ request: Request, at workplace: Workplace) throws -> VolumeWritten {
        let started = MonotonicTime.now()
        guard request.partBytes >= 1 << 16 else {
            throw OperationError(.usage, "a part is too small", hint: "Give --part-size 65536 or more.")
        }
        let tree = VolumeTree(directory: request.directory)
        let identity = try tree.identity()
        try tree.checkFolders()
        let register = VolumeRegister(workplace)
        guard let known = try register.record(identity.id), known.publicKey == identity.publicKey else {
            throw OperationError(
                .notFound, "this host's register has no volume \(identity.id)",
                hint: "Write on the host that made the volume, or make a new one.")
        }
        var secret = try VolumeTree.secret(from: request.secretPath, for: identity)
        defer { Wipe.array(&secret) }
        let lock = try register.lock(identity.id)
        defer { withExtendedLifetime(lock) {} }
        // Read again: it may have changed before the lock was held.
        let record = try register.record(identity.id) ?? known
        try VolumeRegister.checkThere(record)
        let open = try OpenVault(workplace)
        var wanted: [ArchiveRecord] = []
        for text in request.archives {
            let archive = try open.archive(text)
            if !wanted.contains(where: { $0.id == archive.id }) { wanted.append(archive) }
        }
        var report = VolumeWritten(volume: identity.id, dryRun: request.dryRun)
        report.skipped = wanted.filter { one in record.archives.contains { $0.archive == one.id.hex } }.map(\.id.hex)
        wanted.removeAll { report.skipped.contains($0.id.hex) }
        let reader = try open.reader()
        if request.dryRun {
            for archive in wanted {
                let header = try reader.header(of: archive)
                report.written.append(VolumeWriting.holding(archive, header, vault: open.vault.vaultID.hex))
            }
        } else {
            var writing = try VolumeWriting(tree, register, record, secret, request.partBytes, reader, workplace)
            report.written = try writing.run(wanted)
        }
        report.seconds = MonotonicTime.now() - started
        return report
    }
}

/// One write, under the lock of its volume.
private struct VolumeWriting {
    private let tree: VolumeTree
    private let register: VolumeRegister
    private var record: VolumeRecord
    private let secret: [UInt8]
    private let partBytes: Int
    private let reader: VaultReader
    private let workplace: Workplace
    private let key: SigningKey
    /// What the last signed list names.
    private var files: [String: Digest]

    init(
        _ tree: VolumeTree, _ register: VolumeRegister, _ record: VolumeRecord, _ secret: [UInt8], _ partBytes: Int,
        _ reader: VaultReader, _ workplace: Workplace
    ) throws {
        self.tree = tree
        self.register = register
        self.record = record
        self.secret = secret
        self.partBytes = partBytes
        self.reader = reader
        self.workplace = workplace
        key = try register.key(record.id)
        guard key.publicKey.hex == record.publicKey, let list = try register.lastList(record.id),
            let files = VolumeTree.files(in: list)
        else {
            throw OperationError(
                .damaged, "the register of volume \(record.id) does not hold together",
                hint: "Bring the folder volumes of the host state back from a copy.")
        }
        self.files = files
        // A write that died is known by its mark; without one the medium holds what was signed last, or is another one.
        // A copy of the medium that was made in the middle of a write has the mark too, and may lack what came later.
        let isUnfinished = access(tree.path(VolumeTree.unfinishedName), F_OK) == 0
        let present = MediumRead.whole(tree.path(VolumeTree.listName), limit: VolumeTree.listLimit)
        guard isUnfinished ? Self.isLeft(present, under: files, on: tree) : present == list else {
            throw OperationError(
                .damaged, "the volume does not hold what this host signed last",
                hint: "Run `qala volume verify`; write to the medium that was written last.")
        }
    }

    /// Whether a write that died can have left this: all that was signed last, and a list of that or of less.
    private static func isLeft(_ list: [UInt8]?, under files: [String: Digest], on tree: VolumeTree) -> Bool {
        let before = list.flatMap { VolumeTree.files(in: $0) } ?? [:]
        return before.allSatisfy { files[$0.key] == $0.value }
            && files.keys.allSatisfy { MediumRead.length(tree.path($0)) != nil }
    }

    mutating func run(_ archives: [ArchiveRecord]) throws -> [VolumeRecord.Holding] {
        _ = try MediumFile.write(tree.path(VolumeTree.unfinishedName), Array(VolumeTexts.unfinished.utf8))
        try MediumFile.syncDirectory(tree.directory)
        var written: [VolumeRecord.Holding] = []
        for archive in archives {
            try removeLeftovers(of: archive.id.hex)
            do { written.append(try write(archive)) } catch {
                // Where the register took it after all, the archive counts: its files stay, and the next write goes on.
                guard (try? register.lastList(record.id)) == VolumeTree.list(files) else { throw error }
                // The volume is whole without it. What cannot be taken away stays marked as unfinished.
                try? removeLeftovers(of: archive.id.hex)
                try? settle()
                throw error
            }
        }
        try settle()
        return written
    }

    /// The list as it is in the register, signed, and no mark any more.
    private func settle() throws {
        try tree.publish(VolumeTree.list(files), by: key)
        // Signed is what the register has; what another write began and nobody repeated must not stay.
        try removeLeftovers()
        try tree.removeMark()
    }

    /// Whether a write gives such names: `.new` or not, of an archive.
    private static func isOfWrite(_ name: String) -> Bool {
        let plain = name.hasSuffix(".new") ? String(name.dropLast(4)) : name
        if VolumeTree.archive(ofPart: plain) != nil { return true }
        let parts = plain.split(separator: "/")
        guard parts.count == 2 else { return false }
        let id = String(parts[1].prefix(64))
        return Digest(hex: id) != nil && (plain == VolumeTree.sliceName(id) || plain == VolumeTree.digestsName(id))
    }

    /// What writes began and no signed list names: of one archive, or of all.
    private func removeLeftovers(of archive: String? = nil) throws {
        for name in try tree.names() where files[name] == nil && Self.isOfWrite(name) {
            if let archive, !name.contains(archive) { continue }
            guard unlink(tree.path(name)) == 0 else { throw MediumFile.failure("remove", tree.path(name), errno) }
        }
    }

    private mutating func write(_ archive: ArchiveRecord) throws -> VolumeRecord.Holding {
        let id = archive.id.hex
        let header = try reader.header(of: archive)
        var holding = Self.holding(archive, header, vault: reader.vault.vaultID.hex)
        let used = files.keys.reduce(0) { $0 + (MediumRead.length(tree.path($1)) ?? 0) }
        let room = record.capacity.map { max(0, $0 - used) }
        let stream = try SealedStream(on: tree, secret: secret, partBytes: partBytes, room: room) { number in
            VolumeTree.partName(VolumeTree.streamName(id), number)
        }
        let digests = try SealedStream(on: tree, secret: secret, partBytes: .max, room: room) { _ in
            VolumeTree.digestsName(id)
        }
        let slice = try MediumFile(tree.path(VolumeTree.sliceName(id)))
        var feeding = ArchiveFeeding(try ArchiveReader(reader, archive), stream, digests, slice, workplace)
        try feeding.run(try ChunkReader(reader, for: archive))
        var added: [String: Digest] = [:]
        let parts = try stream.finish()
        let sealedDigests = try digests.finish()
        for part in parts + sealedDigests { added[part.name] = part.digest }
        added[VolumeTree.sliceName(id)] = try slice.finish()
        let sealedBytes = (parts + sealedDigests).reduce(0) { $0 + $1.length }
        if let room, sealedBytes + slice.length > room {
            throw OperationError(
                .failed, "the volume is full", hint: "Use another volume for the archives that it does not list.")
        }
        for name in added.keys { try MediumFile.publish(tree.path(name)) }
        for folder in [VolumeTree.streamFolder, VolumeTree.sliceFolder] {
            try MediumFile.syncDirectory(tree.path(folder))
        }
        holding.entries = feeding.entries
        holding.bytes = feeding.bytes
        holding.listedOnly = feeding.listedOnly
        holding.sealedBytes = sealedBytes
        holding.parts = parts.count
        try enter(holding, added)
        return holding
    }

    /// The register first: from then on the archive counts, and a list that was not published is published again.
    private mutating func enter(_ holding: VolumeRecord.Holding, _ added: [String: Digest]) throws {
        try copySlice(holding.archive)
        let all = files.merging(added) { $1 }
        let list = VolumeTree.list(all)
        guard list.count <= VolumeTree.listLimit else {
            throw OperationError(
                .failed, "the list of the volume would be longer than what verifies it reads",
                hint: "Give a larger --part-size, or use another volume.")
        }
        var next = record
        next.archives.append(holding)
        try register.append("written", holding.archive, to: record.id)
        try register.save(next, list: list)
        (record, files) = (next, all)
        try tree.publish(list, by: key)
    }

    private func copySlice(_ archive: String) throws {
        let copy = try MediumFile(try register.slicePath(record.id, archive))
        guard let slice = MediumRead.open(tree.path(VolumeTree.sliceName(archive))) else {
            throw MediumFile.failure("read", tree.path(VolumeTree.sliceName(archive)), errno)
        }
        defer { close(slice) }
        guard try MediumRead.pieces(slice, { try copy.append($0) }) else {
            throw MediumFile.failure("read", tree.path(VolumeTree.sliceName(archive)), EIO)
        }
        _ = try copy.finish()
        try MediumFile.publish(copy.path)
    }

    static func holding(_ archive: ArchiveRecord, _ header: ArchiveHeader, vault: String) -> VolumeRecord.Holding {
        VolumeRecord.Holding(
            archive: archive.id.hex, vault: vault, time: TimeText.seconds(Int64(clamping: archive.time)),
            policy: header.policy, host: header.host, written: VolumeRegister.now(),
            entries: Int(clamping: archive.commit.entries), bytes: Int(clamping: archive.commit.bytes), sealedBytes: 0,
            parts: 0, listedOnly: 0)
    }
}

/// The entries of one archive on their way into the stream, the sealed digests and the slice.
private struct ArchiveFeeding {
    /// Names of one file have these in common.
    private struct Identity: Hashable {
        var device: UInt64
        var inode: UInt64
        var kind: EntryKind
        var size: UInt64
        var changed: Timestamp
    }

    private let tree: ArchiveReader
    private let stream: SealedStream
    private let digests: SealedStream
    private let slice: MediumFile
    private let workplace: Workplace
    private let text: SliceText
    private let tar: PaxWriter
    private var firstNames: [Identity: [UInt8]] = [:]
    private var lines: [UInt8] = []
    private(set) var entries = 0
    private(set) var bytes = 0
    private(set) var listedOnly = 0

    init(
        _ tree: ArchiveReader, _ stream: SealedStream, _ digests: SealedStream, _ slice: MediumFile,
        _ workplace: Workplace
    ) {
        self.tree = tree
        self.stream = stream
        self.digests = digests
        self.slice = slice
        self.workplace = workplace
        text = SliceText(archive: tree.archive.id.hex)
        tar = PaxWriter { try stream.append($0) }
    }

    mutating func run(_ chunks: ChunkReader) throws {
        try tree.forEachEntry { page in
            if workplace.interrupt.isSet {
                throw OperationError(.interrupted, "interrupted", hint: "Run the same command again: it goes on.")
            }
            try add(try page.entry(), page.content, chunks)
            return true
        }
        try tar.finish()
        try slice.append(lines)
        lines = []
    }

    private mutating func add(_ entry: Entry, _ content: Content, _ chunks: ChunkReader) throws {
        entries += 1
        workplace.progress.files.add(1, ordering: .relaxed)
        if entry.kind == .socket {
            listedOnly += 1
            try list(entry, kind: entry.kind.name, size: 0, target: nil)
            return
        }
        if entry.linkCount > 1, entry.kind != .directory {
            let identity = Identity(
                device: entry.device, inode: entry.inode, kind: entry.kind, size: entry.size, changed: entry.changed)
            if let first = firstNames[identity] {
                try tar.begin(entry, size: 0, linkedTo: first)
                try list(entry, kind: "hardlink", size: 0, target: first)
                return
            }
            firstNames[identity] = entry.path
        }
        let size = entry.kind == .file ? entry.size : 0
        try tar.begin(entry, size: size, linkedTo: nil)
        if entry.kind == .file { try add(content, of: entry, chunks) }
        try list(entry, kind: entry.kind.name, size: size, target: entry.kind == .symlink ? entry.linkTarget : nil)
    }

    private mutating func add(_ content: Content, of entry: Entry, _ chunks: ChunkReader) throws {
        let digest = ListDigest()
        var length: UInt64 = 0
        try tree.read(content, with: chunks) { piece in
            if workplace.interrupt.isSet {
                throw OperationError(.interrupted, "interrupted", hint: "Run the same command again: it goes on.")
            }
            length += UInt64(piece.count)
            guard length <= entry.size else { return }
            digest.update(piece)
            try stream.append(piece)
        }
        guard length == entry.size else {
            throw OperationError(
                .damaged, "\(entry.displayPath) has another length than its entry",
                hint: "Run `qala verify --read-data`, and write the volume from another copy of the vault.")
        }
        try tar.end(of: length)
        bytes = bytes.addingClamped(length)
        workplace.progress.bytes.add(Int(clamping: length), ordering: .relaxed)
        try digests.append(SliceText.digestLine(digest.finish(), entry.path))
    }

    private mutating func list(_ entry: Entry, kind: String, size: UInt64, target: [UInt8]?) throws {
        lines += try text.line(entry.path, kind: kind, size: size, modified: entry.modified, target: target)
        if lines.count >= 1 << 17 {
            try slice.append(lines)
            lines.removeAll(keepingCapacity: true)
        }
    }
}
