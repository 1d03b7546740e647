import Domain
import Glibc
import Vault

/// Reads what is new in the journal of this machine through `journalctl`, which knows its format and its rotations.
///
/// Invariants:
/// 1. Whole entries are sealed, in the program's order, with the cursor of the last one: a crash before the segment has
///    its name leaves the cursor where it was, one behind it finds the cursor in the segment.
/// 2. What is no export, or does not end well, is a problem of the run; nothing of it is sealed, and the cursor waits.
extension LogCollecting {
    static let pipePieceBytes = 1 << 16
    /// Seconds without a byte after which the program is ended.
    static let pipePatience = 120.0
    /// Of what tells where to go on no more is handed to a program.
    private static let longestCursor = 400

    mutating func readJournal() throws {
        let old = spool.state.sources[source.id]
        next = old ?? LogCursors()
        isAway = false
        do { try exportJournal(after: old?.after) } catch let error as OperationError {
            if error.kind == .interrupted { throw error }
            note(source.path, error)
            // As if nothing had been read.
            try payload.cut(to: 0)
            next = old ?? LogCursors()
            (records, isFull, isAway) = (0, false, true)
        }
    }

    private func arguments(after cursor: String?) throws -> [String] {
        var arguments = ["--output=export", "--no-pager", "--quiet"]
        arguments += (source.journalUnits ?? []).map { "--unit=\($0)" }
        if let cursor {
            // It comes from a disk.
            guard cursor.utf8.count <= Self.longestCursor, cursor.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw OperationError(.damaged, "the place that was reached in the journal cannot be one")
            }
            arguments.append("--after-cursor=\(cursor)")
        }
        return arguments
    }

    private mutating func exportJournal(after cursor: String?) throws {
        let program = try Pipeline([.init(program: source.path, arguments: try arguments(after: cursor))])
        program.closeInput()
        var scanner = LogScanner(
            .journalExport, path: source.path, places: next.journal, isWhole: source.journalUnits?.isEmpty ?? true)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pipePieceBytes, alignment: 16)
        defer { buffer.deallocate() }
        while let count = try Self.piece(of: program.output, into: buffer, interrupt) {
            let piece = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            try payload.append(piece)
            scanner.take(piece)
            if payload.length >= segmentBytes, scanner.complete > 0 {
                isFull = true
                break
            }
        }
        if isFull { program.kill() } else if let failure = program.finish() { throw OperationError(.failed, failure) }
        if let broken = scanner.findings.first(where: { $0.kind == .malformed }) {
            throw OperationError(.failed, "printed no journal export: it \(broken.detail)")
        }
        guard scanner.records == 0 || scanner.lastCursor != nil else {
            throw OperationError(.failed, "printed entries without a cursor")
        }
        try payload.cut(to: Int(scanner.complete))
        records = scanner.records
        next.journal = scanner.places
        next.after = scanner.lastCursor ?? cursor
        findings += scanner.findings
    }

    /// How many bytes came; nil at the end.
    static func piece(
        of descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, _ interrupt: InterruptFlag
    ) throws -> Int? {
        let end = MonotonicTime.now() + pipePatience
        while true {
            if interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
            guard MonotonicTime.now() < end else {
                throw OperationError(.failed, "printed nothing for \(Int(pipePatience)) seconds and was ended")
            }
            var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&wait, 1, 200) > 0 else { continue }
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw OperationError(.failed, "cannot be read: error \(errno)") }
            return count == 0 ? nil : count
        }
    }
}
