import Collectors
import Documents
import Domain
import Glibc
import Vault

/// The originals of one archive, gone through in groups.
///
/// A group is looked at, compared, named in the register, and only then removed. An error of one file keeps that file; an
/// error of vault or register ends the pass, and what was not removed by then stays.
struct MovePass {
    static let groupSize = 32
    /// Of what the system takes as one path, and of what a line of the register has room for.
    private static let longestPath = 4000

    private let policy: Policy
    private let archive: ArchiveRecord
    private let view: TierView
    /// Nil: nothing is compared and nothing removed.
    private let register: MovedRegister?
    private let scope: MoveScope
    private let tree: ArchiveReader
    private let chunks: ChunkReader
    private var folder: OriginalFolder?
    private var group: [Candidate] = []

    private struct Candidate {
        var entry: Entry
        var content: Content
        var folder: OriginalFolder
        var name: [UInt8]
    }

    /// Compared, and held open.
    private struct Ready {
        var candidate: Candidate
        var file: OriginalFile
        var moved: MovedFile
    }

    init(_ policy: Policy, _ archive: ArchiveRecord, _ view: TierView, _ register: MovedRegister?) throws {
        self.policy = policy
        self.archive = archive
        self.view = view
        self.register = register
        let all = view.version.document.set.policies
        scope = try MoveScope(policy, among: all, at: view.open.workplace)
        let reader = try view.open.reader()
        tree = try ArchiveReader(reader, archive)
        chunks = try ChunkReader(reader, for: archive)
    }

    mutating func run(_ report: inout MoveReport) throws {
        var candidates: [(entry: Entry, content: Content)] = []
        func isFull() -> Bool { candidates.count >= Self.groupSize * 8 }
        for root in scope.roots {
            try tree.forEachEntry(under: root) { page in
                if view.open.workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
                guard page.kind == .file else { return true }
                candidates.append((try page.entry(), page.content))
                if isFull() { try look(at: &candidates, &report) }
                return true
            }
        }
        try look(at: &candidates, &report)
        try removeGroup(&report)
        // What could not be done is tried again with this archive.
        guard let register, !report.isPartial else { return }
        try register.write(
            .passed, [],
            [
                "policy": policy.name, "vault": view.open.vault.vaultID.hex, "archive": archive.id.hex,
                "record": "\(archive.number)", "vaultTime": "\(view.now.seconds)",
            ])
    }

    // MARK: Looking

    private mutating func look(
        at candidates: inout [(entry: Entry, content: Content)], _ report: inout MoveReport
    ) throws {
        defer { candidates.removeAll() }
        for (entry, content) in candidates {
            do {
                guard let found = try look(at: entry, content, &report) else { continue }
                guard register != nil else {
                    report.files += 1
                    report.bytes = report.bytes.addingClamped(entry.size)
                    continue
                }
                group.append(found)
            } catch {
                report.stay(entry.path, .refused, error.message)
            }
            if group.count >= Self.groupSize { try removeGroup(&report) }
        }
    }

    private mutating func look(
        at entry: Entry, _ content: Content, _ report: inout MoveReport
    ) throws(CollectorError) -> Candidate? {
        let path = entry.path
        guard path.count <= Self.longestPath else {
            report.stay(path, .longPath)
            return nil
        }
        let slash = path.lastIndex(of: 0x2F)
        let parent = slash.map { Array(path[..<$0]) } ?? []
        let name = Array(path[(slash.map { $0 + 1 } ?? 0)...])
        if folder?.path != parent {
            do { folder = try OriginalFolder(parent) } catch {
                // Gone, or a link or a file stands in its place: what is there now was never archived.
                guard error.code == .notFound || error.code == .changed else { throw error }
                folder = nil
                report.gone += 1
                return nil
            }
        }
        guard let folder, let status = try folder.status(name) else {
            report.gone += 1
            return nil
        }
        if let reason = scope.reason(path, device: status.identity.device) {
            if reason == .excluded { report.outside += 1 } else { report.stay(path, reason) }
            return nil
        }
        if let reason = Self.reason(entry, OriginalStamp(status)) {
            report.stay(path, reason)
            return nil
        }
        return Candidate(entry: entry, content: content, folder: folder, name: name)
    }

    private static func reason(_ entry: Entry, _ now: OriginalStamp) -> StayReason? {
        StayReason.of(
            archived: OriginalStamp(entry), changedWhileRead: entry.changedWhileRead, now: now, clock: WallTime.now())
    }

    // MARK: Comparing

    private mutating func removeGroup(_ report: inout MoveReport) throws {
        guard let register, !group.isEmpty else { return }
        defer { group = [] }
        try checkArchive()
        var ready: [Ready] = []
        for candidate in group {
            do {
                if let same = try compare(candidate, &report) { ready.append(same) }
            } catch let error as CollectorError {
                report.stay(candidate.entry.path, .refused, error.message)
            }
        }
        guard !ready.isEmpty else { return }
        try register.write(moving: ready.map(\.moved))
        try remove(ready, register, &report)
    }

    /// Two persons may have disposed of it, or somebody may have put a hold on it, since the pass began.
    private func checkArchive() throws {
        if view.open.workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
        let log = view.open.vault.log
        try log.refresh()
        guard log.archives.contains(where: { $0.id == archive.id }) else {
            throw OperationError(.tryAgain, "archive \(archive.id.hex.prefix(12)) was disposed of meanwhile")
        }
        guard !log.holds.contains(where: { $0.isInForce && $0.covers(archive.id) }) else {
            throw OperationError(.tryAgain, "a hold was put on archive \(archive.id.hex.prefix(12)) meanwhile")
        }
    }

    /// Nil where the file stays; the report says why.
    private func compare(_ candidate: Candidate, _ report: inout MoveReport) throws -> Ready? {
        let entry = candidate.entry
        guard let file = try candidate.folder.open(candidate.name) else {
            report.gone += 1
            return nil
        }
        if let reason = Self.reason(entry, OriginalStamp(try file.status())) {
            report.stay(entry.path, reason)
            return nil
        }
        guard file.isUndisturbed else {
            report.stay(entry.path, .openForWriting)
            return nil
        }
        guard let sha256 = try digestOfSame(file, entry, candidate.content) else {
            report.stay(entry.path, .differs)
            return nil
        }
        if let reason = Self.reason(entry, OriginalStamp(try file.status())) {
            report.stay(entry.path, reason)
            return nil
        }
        guard file.isUndisturbed else {
            report.stay(entry.path, .openForWriting)
            return nil
        }
        let moved = MovedFile(
            id: String(Random.digest().hex.prefix(16)), policy: policy.name, policies: view.version.number,
            vault: view.open.vault.vaultID.hex, archive: archive.id, path: entry.path, size: entry.size,
            sha256: sha256, stamp: MovedFile.stamp(OriginalStamp(entry)), time: view.now.seconds)
        return Ready(candidate: candidate, file: file, moved: moved)
    }

    /// SHA-256 of the content as the vault gives it; nil where the file is not the same, byte for byte and to its end.
    private func digestOfSame(_ file: OriginalFile, _ entry: Entry, _ content: Content) throws -> String? {
        let hash = LogHash()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 4096)
        defer { buffer.deallocate() }
        var at: UInt64 = 0
        var isSame = true
        try tree.read(content, with: chunks) { bytes in
            if view.open.workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
            hash.update(bytes)
            var done = 0
            while isSame, done < bytes.count {
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, bytes.count - done)])
                let count = try file.read(into: part, at: at + UInt64(done))
                let archived = UnsafeRawBufferPointer(rebasing: bytes[done..<(done + part.count)])
                isSame = count == part.count && part.elementsEqual(archived)
                done += part.count
            }
            at += UInt64(bytes.count)
        }
        guard isSame, at == entry.size else { return nil }
        let end = UnsafeMutableRawBufferPointer(rebasing: buffer[..<1])
        guard try file.read(into: end, at: at) == 0 else { return nil }
        return hash.finish()
    }

    // MARK: Removing

    private func remove(_ ready: [Ready], _ register: MovedRegister, _ report: inout MoveReport) throws {
        var gone: [Ready] = []
        var stayed: [(id: String, reason: StayReason)] = []
        for one in ready {
            do {
                if let reason = try remove(one) {
                    report.stay(one.candidate.entry.path, reason)
                    stayed.append((one.moved.id, reason))
                } else {
                    gone.append(one)
                }
            } catch {
                // It may stand aside: the next pass looks, and until then the register counts it as gone.
                report.stay(one.candidate.entry.path, .refused, error.message)
                if Self.isUnderItsName(one) { stayed.append((one.moved.id, .refused)) }
            }
        }
        for (id, reason) in stayed { try register.write(.stayed, [id], ["reason": reason.rawValue]) }
        guard !gone.isEmpty else { return }
        var synced: [[UInt8]] = []
        for one in gone where !synced.contains(one.candidate.folder.path) {
            try one.candidate.folder.sync()
            synced.append(one.candidate.folder.path)
        }
        try register.write(.moved, gone.map(\.moved.id))
        report.files += gone.count
        for one in gone { report.bytes = report.bytes.addingClamped(one.candidate.entry.size) }
    }

    /// Whether that is certain.
    private static func isUnderItsName(_ one: Ready) -> Bool {
        do {
            let aside = try one.candidate.folder.status(one.moved.aside)
            let named = try one.candidate.folder.status(one.candidate.name)
            let open = try one.file.status()
            return aside == nil && named?.identity == open.identity
        } catch {
            return false
        }
    }

    /// Nil when the file is gone; else why it stays, under its name.
    private func remove(_ one: Ready) throws(CollectorError) -> StayReason? {
        let (folder, name, aside) = (one.candidate.folder, one.candidate.name, one.moved.aside)
        // Not only when it was compared: the register may have taken its time.
        if let reason = Self.reason(one.candidate.entry, OriginalStamp(try one.file.status())) { return reason }
        guard one.file.isUndisturbed else { return .openForWriting }
        do { try folder.rename(name, to: aside) } catch {
            guard error.code == .notFound else { throw error }
            return .replaced
        }
        guard let reason = try reasonAside(one) else {
            try folder.remove(aside)
            return nil
        }
        try folder.rename(aside, to: name)
        return reason
    }

    /// Whether what now stands aside is what was compared, and nobody else has it.
    private func reasonAside(_ one: Ready) throws(CollectorError) -> StayReason? {
        let archived = OriginalStamp(one.candidate.entry)
        guard let named = try one.candidate.folder.status(one.moved.aside) else { return .replaced }
        let (aside, open) = (OriginalStamp(named), OriginalStamp(try one.file.status()))
        guard aside.device == open.device, aside.inode == open.inode else { return .replaced }
        guard aside.linkCount == 1, open.linkCount == 1 else { return .linked }
        // Renaming moved the time of change, and nothing else.
        guard aside.size == archived.size, aside.modified == archived.modified, aside == open else { return .changed }
        return one.file.isUndisturbed ? nil : .openForWriting
    }
}

extension OriginalStamp {
    init(_ status: Collectors.FileStatus) {
        self.init(
            kind: status.kind, device: status.identity.device, inode: status.identity.inode, size: status.size,
            modified: status.modified, changed: status.changed, linkCount: status.linkCount)
    }
}
