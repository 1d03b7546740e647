package import Domain
import Glibc

/// What one process records while it does without the daemon: a file of its own, which the daemon imports later
/// (`docs/audit.md` §7). The file is made with the first act. Calls may come from any thread; they block.
///
/// Lines are claims of this process: nothing signs them until they are imported.
package final class AuditSpool: @unchecked Sendable {
    // SAFETY: `file`, `count`, `end` and `failed` are touched only inside `monitor.locked`.

    private let directory: String
    private let clock: @Sendable () -> Timestamp
    private let calls: any FileSystemCalls
    private let monitor = Monitor()
    private var file: AuditFile?
    private var count: UInt64 = 0
    private var end: UInt64 = 0
    private var failed: VaultError?

    package init(
        directory: String, clock: @escaping @Sendable () -> Timestamp = AuditLog.systemClock,
        calls: any FileSystemCalls = LinuxCalls.shared
    ) {
        self.directory = directory
        self.clock = clock
        self.calls = calls
    }

    /// Records an act; when it returns, the line is on the disk. An error means that it may or may not be recorded.
    package func append(_ act: AuditAct) throws(VaultError) {
        try monitor.locked { () throws(VaultError) in
            if let failed { throw failed }
            let now = clock()
            let line = try AuditEntry(number: count, time: now, act: act).line + [0x0A]
            do throws(VaultError) {
                let own: AuditFile
                if let file { own = file } else { own = try make(now) }
                file = own
                try own.write(line, at: end)
                try own.sync()
            } catch {
                // What the disk has is unknown; the next process gets a file of its own.
                failed = error
                throw error
            }
            count += 1
            end += UInt64(line.count)
        }
    }

    private func make(_ now: Timestamp) throws(VaultError) -> AuditFile {
        let store = try LocalStore.creating(path: directory, calls: calls)
        let time = String(max(0, now.seconds) * 1000 + Int64(now.nanoseconds / 1_000_000))
        let stem = String(repeating: "0", count: max(0, 20 - time.utf8.count)) + time + "-\(getpid())"
        for _ in 0..<100 {
            let made = try AuditFile.opening("\(stem)-\(Hex.encode(calls.random())).jsonl", in: [], of: store)
            // Whoever imports may have found the file before it was locked; it then removes it.
            if try made.lock(), try made.status().links > 0, try made.length() == 0 { return made }
        }
        throw VaultError(.io, "cannot find a free name in the spool \(directory)")
    }
}

/// What an import did.
package struct AuditImport: Sendable, Hashable {
    package var files = 0
    /// Lines that are entries of the log now.
    package var entries: UInt64 = 0
    /// Files that a living process still writes.
    package var busy = 0
    /// Files that were damaged: what came before the damage is imported, the file is kept under its new name.
    package var damaged: [String] = []

    package init() {}
}

extension AuditLog {
    private static let batch = 256

    /// Imports every file of the spool that nobody writes any more, in order. When it returns, the entries are on the disk
    /// and signed, and the files are gone. After a crash the next call goes on where this one stopped.
    @discardableResult
    package func importSpool(_ directory: String) throws(VaultError) -> AuditImport {
        var done = AuditImport()
        let store: LocalStore
        do throws(VaultError) {
            store = try LocalStore(path: directory, calls: parts.store.calls)
        } catch  where error.code == .noVault {
            return done
        }
        for info in try store.list("") {
            guard let name = Self.spoolName(info.name) else { continue }
            guard let file = try AuditFile.existing(info.name, in: [], of: store, writing: true) else { continue }
            guard try file.lock() else {
                done.busy += 1
                continue
            }
            // Gone meanwhile: another process imported it.
            if try file.status().links == 0 { continue }
            let ending = try importFile(file, name, &done)
            switch ending {
            case .whole, .torn: try store.delete(info.name)
            case .damaged:
                let kept = "damaged-\(info.name)"
                let root = store.root.number
                let result = LocalStore.retrying {
                    store.calls.rename(info.name, in: root, to: kept, in: root, exclusive: false)
                }
                guard result == 0 else { throw .system(-result, "rename \(info.name)", in: directory) }
                try store.syncDirectory(store.root, [])
                done.damaged.append(kept)
            }
            done.files += 1
        }
        return done
    }

    /// The stem of a file that a spool makes: digits, pid, random.
    private static func spoolName(_ name: String) -> String? {
        guard name.hasSuffix(".jsonl"), name.utf8.count <= 100,
            name.utf8.first.map({ (0x30...0x39).contains($0) }) == true
        else { return nil }
        return String(name.dropLast(6))
    }

    private enum Ending {
        case whole, torn, damaged
    }

    private func importFile(
        _ file: AuditFile, _ name: String, _ done: inout AuditImport
    ) throws(VaultError) -> Ending {
        let imported = try beginImport(name)
        var lines = AuditLines(file)
        var number: UInt64 = 0
        var batch: [AuditItem] = []
        var ending = Ending.whole
        while let line = try lines.next() {
            guard line.isWhole, let entry = AuditEntry(line: line.bytes), entry.number == number, entry.via.isEmpty
            else {
                let rest = try file.length() - line.offset
                let isLast = rest <= line.length
                // What a power cut leaves of one write: no end, or sectors of zeros.
                ending = isLast && (!line.isWhole || line.bytes.contains(0)) ? .torn : .damaged
                if !imported.isEnded {
                    batch.append(try complaint(file, name, number, at: line.offset, rest, ending))
                }
                break
            }
            if number >= imported.lines {
                batch.append(AuditItem(act: entry.act, time: entry.time, via: "spool/\(name)#\(number)"))
                done.entries += 1
            }
            number += 1
            if batch.count == Self.batch {
                try record(batch)
                batch = []
            }
        }
        try record(batch)
        try checkpoint()
        return ending
    }

    private func record(_ items: [AuditItem]) throws(VaultError) {
        if items.isEmpty { return }
        _ = try monitor.locked { () throws(VaultError) in try appendLocked(items, durably: false) }
    }

    /// The entry about the end of a file that is no entry.
    private func complaint(
        _ file: AuditFile, _ name: String, _ line: UInt64, at offset: UInt64, _ rest: UInt64, _ ending: Ending
    ) throws(VaultError) -> AuditItem {
        var hasher = ObjectHasher(suite: .hmacSHA256)
        var at = offset
        while true {
            let piece = try file.read(at: at, count: 1 << 16)
            if piece.isEmpty { break }
            hasher.update(piece)
            at += UInt64(piece.count)
        }
        let act = AuditAct(
            .service("audit"), "audit.spool", subject: name, outcome: ending == .torn ? .partial : .failed,
            details: [
                AuditDetail("line", "\(line)"), AuditDetail("bytes", "\(rest)"),
                AuditDetail("sha256", hasher.finalize().hex),
            ])
        return AuditItem(act: act, time: clock(), via: "spool/\(name)#end")
    }

    /// How much of this file is in the log already: nothing, unless an import of it was interrupted. Notes its beginning.
    private func beginImport(_ name: String) throws(VaultError) -> (lines: UInt64, isEnded: Bool) {
        if try parts.store.length(of: "importing") != nil {
            let bytes = try parts.store.get("importing", limit: 4096)
            let words = bytes.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
            if words.count == 2, words[0] == name, let first = UInt64(words[1].dropLast()) {
                // Anew: the sync after the first time may have failed.
                try parts.store.put("importing", bytes)
                return try interruptedImport(name, first)
            }
        }
        // Durable, so that a crash cannot leave entries of this file at numbers below.
        try sync()
        let first = monitor.locked { state.size }
        try parts.store.put("importing", Array("\(name) \(first)\n".utf8))
        return (0, false)
    }

    private func interruptedImport(
        _ name: String, _ first: UInt64
    ) throws(VaultError) -> (lines: UInt64, isEnded: Bool) {
        let size = monitor.locked { state.size }
        var count: UInt64 = 0
        var isEnded = false
        let prefix = "spool/\(name)#"
        try entries(min(first, size)..<size) { entry in
            guard entry.via.hasPrefix(prefix) else { return }
            let place = entry.via.dropFirst(prefix.count)
            if place == "end" { isEnded = true } else { count = max(count, (UInt64(place) ?? 0) + 1) }
        }
        return (count, isEnded)
    }
}
