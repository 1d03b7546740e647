import Domain
import Glibc

/// A file of the audit log that is read and written at offsets. All calls go through the store's seam.
final class AuditFile {
    private let file: Descriptor
    private let calls: any FileSystemCalls
    private let what: String

    private init(_ file: consuming Descriptor, _ calls: any FileSystemCalls, _ what: String) {
        self.file = file
        self.calls = calls
        self.what = what
    }

    /// Nil when there is no such file.
    static func existing(
        _ name: String, in components: [String], of store: LocalStore, writing: Bool = false
    ) throws(VaultError) -> AuditFile? {
        guard let directory = try store.directory(components) else {
            try store.confirmRootExists()
            return nil
        }
        let path = (components + [name]).joined(separator: "/")
        let calls = store.calls
        let number = directory.number
        // Without O_NONBLOCK a planted fifo would hold the thread forever.
        let flags = (writing ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
        let opened = LocalStore.retrying { calls.open(name, in: number, flags: flags, mode: 0) }
        if opened == -ENOENT {
            try store.confirmRootExists()
            return nil
        }
        if opened == -ELOOP || opened == -ENXIO { throw store.notAFile(path) }
        guard opened >= 0 else { throw .system(-opened, "open \(path)", in: store.describe) }
        let made = AuditFile(Descriptor(opened, calls), calls, "\(path) in \(store.describe)")
        guard try made.status().isRegularFile else { throw store.notAFile(path) }
        return made
    }

    /// Opens for writing and makes the file when it is missing; its name is durable when this returns.
    static func opening(
        _ name: String, in components: [String], of store: LocalStore
    ) throws(VaultError) -> AuditFile {
        if let file = try existing(name, in: components, of: store, writing: true) { return file }
        let path = (components + [name]).joined(separator: "/")
        let calls = store.calls
        let directory = try store.directoryForWriting(components)
        let number = directory.number
        let opened = LocalStore.retrying {
            calls.open(name, in: number, flags: O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        }
        guard opened >= 0 else { throw .system(-opened, "create \(path)", in: store.describe) }
        let made = AuditFile(Descriptor(opened, calls), calls, "\(path) in \(store.describe)")
        do throws(VaultError) {
            try store.syncDirectory(directory, components)
        } catch {
            // So that the next attempt makes a new entry: this one may be lost although a later sync succeeds.
            _ = calls.unlink(name, in: number)
            throw error
        }
        return made
    }

    private func failure(_ result: some SignedInteger, _ action: String) -> VaultError {
        .system(Int32(truncatingIfNeeded: -result), action, in: what)
    }

    func status() throws(VaultError) -> FileStatus {
        var status = FileStatus()
        let result = LocalStore.retrying { calls.status(of: file.number, into: &status) }
        guard result == 0 else { throw failure(result, "inspect the file") }
        return status
    }

    /// Bytes.
    func length() throws(VaultError) -> UInt64 { try status().size }

    /// Reads up to `count` bytes, fewer only at the end of the file.
    func read(at offset: UInt64, count: Int) throws(VaultError) -> [UInt8] {
        guard offset <= UInt64(Int64.max) - UInt64(count) else { return [] }
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        try bytes.fill { (raw) throws(VaultError) in
            while done < count {
                let rest = UnsafeMutableRawBufferPointer(rebasing: raw[done...])
                let result = LocalStore.retrying { calls.read(file.number, into: rest, at: offset + UInt64(done)) }
                guard result >= 0, result <= rest.count else { throw failure(result, "read") }
                if result == 0 { return }
                done += result
            }
        }
        bytes.removeLast(count - done)
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(VaultError) {
        try bytes.span.withUnsafeBytes { (raw) throws(VaultError) in
            var done = 0
            while done < raw.count {
                let rest = UnsafeRawBufferPointer(rebasing: raw[done...])
                let result = LocalStore.retrying { calls.write(file.number, rest, at: offset + UInt64(done)) }
                guard result > 0 else { throw failure(result < 0 ? result : -Int(EIO), "write") }
                done += result
            }
        }
    }

    /// Once; who sees it fail may not rely on anything written since the last one that succeeded.
    func sync() throws(VaultError) {
        let result = calls.syncFile(file.number)
        guard result == 0 else { throw failure(result, "sync") }
    }

    func truncate(to length: UInt64) throws(VaultError) {
        let result = LocalStore.retrying { calls.truncate(file.number, to: length) }
        guard result == 0 else { throw failure(result, "truncate") }
    }

    /// False when another process, or another opening in this one, holds the lock.
    func lock() throws(VaultError) -> Bool {
        let result = LocalStore.retrying { calls.tryLock(file.number) }
        if result == -EWOULDBLOCK { return false }
        guard result == 0 else { throw failure(result, "lock") }
        return true
    }
}

/// The lines of a file, one after the other, in memory for one line of the longest kind at a time.
struct AuditLines {
    struct Line {
        /// Without the LF; of a line that is too long only its beginning.
        var bytes: [UInt8]
        /// Where it begins.
        var offset: UInt64
        /// Bytes in the file, with the LF.
        var length: UInt64
        /// Whether it ends in an LF and is not too long.
        var isWhole: Bool
    }

    private static let pieceBytes = 1 << 16

    private let file: AuditFile
    private var buffer: [UInt8] = []
    /// Where the bytes of `buffer` not yet given out begin.
    private var start = 0
    /// The offset in the file of what comes next.
    private(set) var offset: UInt64

    init(_ file: AuditFile, from offset: UInt64 = 0) {
        self.file = file
        self.offset = offset
    }

    /// Nil at the end of the file. `limit` is that of a line with its LF.
    mutating func next(upTo limit: Int = AuditEntry.maximumBytes) throws(VaultError) -> Line? {
        let begin = offset
        var line: [UInt8] = []
        while true {
            if start == buffer.count {
                buffer = try file.read(at: offset, count: Self.pieceBytes)
                start = 0
                if buffer.isEmpty {
                    return offset == begin
                        ? nil : Line(bytes: line, offset: begin, length: offset - begin, isWhole: false)
                }
            }
            let end = lineEnd
            let part = buffer[start..<(end ?? buffer.count)]
            let isTooLong = line.count + part.count >= limit
            line += part.prefix(limit - line.count)
            start = end.map { $0 + 1 } ?? buffer.count
            offset += UInt64(part.count) + (end == nil ? 0 : 1)
            if end != nil { return Line(bytes: line, offset: begin, length: offset - begin, isWhole: !isTooLong) }
        }
    }
}

extension AuditLines {
    /// Where the next LF of the buffer is.
    private var lineEnd: Int? {
        buffer.withUnsafeBytes { raw in
            guard let base = raw.baseAddress, let found = memchr(base + start, 0x0A, raw.count - start) else {
                return nil
            }
            return UnsafeRawPointer(found) - base
        }
    }
}

/// The stored hashes of complete subtrees: file L holds those of 256^L leaves.
struct AuditHashes {
    static let digestBytes = Digest.byteCount
    private let store: LocalStore

    init(_ store: LocalStore) { self.store = store }

    /// Fewer than asked for where the file ends.
    func read(level: Int, _ range: Range<UInt64>) throws(VaultError) -> [Digest] {
        guard let file = try AuditFile.existing("\(level)", in: ["hashes"], of: store) else { return [] }
        let count = Int(range.upperBound - range.lowerBound)
        let bytes = try file.read(
            at: range.lowerBound * UInt64(Self.digestBytes), count: count * Self.digestBytes)
        return bytes.withUnsafeBytes { raw in
            (0..<raw.count / Self.digestBytes).compactMap { at in
                Digest(UnsafeRawBufferPointer(rebasing: raw[(at * Self.digestBytes)...]))
            }
        }
    }

    /// Writes and syncs.
    func write(level: Int, at index: UInt64, _ hashes: [Digest]) throws(VaultError) {
        let file = try AuditFile.opening("\(level)", in: ["hashes"], of: store)
        var bytes: [UInt8] = []
        for hash in hashes { bytes += hash.bytes }
        try file.write(bytes, at: index * UInt64(Self.digestBytes))
        try file.sync()
    }

    /// The hash of the subtree over `range`, which is complete or the right edge of a tree; `recent` are the leaves from
    /// `recentStart` on, which are not stored yet. Fails where the files are too short.
    func subtree(
        _ range: Range<UInt64>, recentStart: UInt64, _ recent: [Digest]
    ) throws(VaultError) -> Digest {
        let count = range.upperBound - range.lowerBound
        // Hashes of larger subtrees are stored with the leaves: where those are recent, so are these.
        if count & (count - 1) != 0 || (count >= 256 && range.upperBound > recentStart) {
            let middle = range.lowerBound + Merkle.split(count)
            return Merkle.node(
                try subtree(range.lowerBound..<middle, recentStart: recentStart, recent),
                try subtree(middle..<range.upperBound, recentStart: recentStart, recent))
        }
        let level = count.trailingZeroBitCount / 8
        let width = UInt64(1) << UInt64(8 * level)
        let wanted = range.lowerBound / width..<range.upperBound / width
        var hashes: [Digest] = []
        if level == 0, wanted.upperBound > recentStart {
            if wanted.lowerBound < recentStart {
                hashes = try read(level: 0, wanted.lowerBound..<recentStart)
            }
            let from = Int(max(wanted.lowerBound, recentStart) - recentStart)
            let to = Int(wanted.upperBound - recentStart)
            if to <= recent.count { hashes += recent[from..<to] }
        } else {
            hashes = try read(level: level, wanted)
        }
        guard hashes.count == Int(wanted.upperBound - wanted.lowerBound) else {
            throw .auditDamage("hashes/\(level) of the audit log ends before entry \(range.upperBound - 1)")
        }
        while hashes.count > 1 {
            hashes = stride(from: 0, to: hashes.count, by: 2).map { Merkle.node(hashes[$0], hashes[$0 + 1]) }
        }
        return hashes.first ?? Merkle.empty
    }
}
