import Collectors
import Domain
import Glibc
import Vault

/// Reads what is new in one source into segments of the spool.
///
/// Invariants:
/// 1. What is sealed are the bytes that were read, in the order of the log's files, each once.
/// 2. The cursors move with the segment that holds what they passed, or not at all.
struct LogCollecting {
    /// Plain bytes after which a segment is closed, at the end of a record.
    static let usualSegmentBytes = 1 << 30
    private static let pieceBytes = 1 << 18
    private static let attempts = 5

    let spool: LogSpool
    let source: LogSource
    let interrupt: InterruptFlag
    let clock: LogClock
    var segmentBytes = LogCollecting.usualSegmentBytes
    var problems: [PathProblem] = []
    private(set) var sealed: [LogSegmentHeader] = []

    let payload: LogSpoolFile
    var parts: [LogSegmentHeader.Part] = []
    var findings: [LogFinding] = []
    var next = LogCursors()
    var records = 0
    var isFull = false
    /// Bytes that came out of compressed files in this run.
    var expandedBytes: UInt64 = 0
    /// The source could not be read, so nothing is known of it that was not known before.
    var isAway = false

    init(_ source: LogSource, into spool: LogSpool, clock: LogClock, interrupt: InterruptFlag) throws {
        self.source = source
        self.spool = spool
        self.clock = clock
        self.interrupt = interrupt
        payload = try spool.makePayload()
    }

    /// Reads everything that is new; `findings` are what the run found before it looked at the source.
    mutating func collect(_ findings: [LogFinding]) throws {
        var before = findings
        if spool.hasLostState, spool.state.sources[source.id] == nil {
            before.append(LogFinding(.cursorLost, path: source.path, "is read again from its beginning"))
        }
        repeat {
            self.findings = before
            before = []
            (parts, records, isFull) = ([], 0, false)
            try payload.cut(to: 0)
            if source.journalUnits == nil { try readSource() } else { try readJournal() }
            try finish()
        } while isFull
        // Its room is the archive's now.
        unlink(payload.path)
    }

    private mutating func finish() throws {
        guard next.files.count <= LogCursors.maximumFiles else {
            throw OperationError(
                .failed, "the source \(source.path) has more than \(LogCursors.maximumFiles) files",
                hint: "Name the logs by a narrower pattern.")
        }
        guard payload.length > 0 || !findings.isEmpty else {
            if spool.state.sources[source.id] != next, !isAway {
                spool.move(source.id, to: next)
                try spool.saveCursors()
            }
            return
        }
        if findings.count > LogSpool.maximumFindings {
            findings = Array(findings.prefix(LogSpool.maximumFindings - 1))
            findings.append(LogFinding(.gap, path: source.path, "has more findings than a segment holds"))
        }
        let header = LogSegmentHeader(
            policy: spool.policy, source: source.id, sequence: 0, sealed: TimeText.seconds(clock.wall), bytes: 0,
            records: records, payload: "", previous: "", parts: parts, findings: findings, cursors: next, clock: clock)
        sealed.append(try spool.seal(header, payload))
    }

    // MARK: What to read

    private mutating func readSource() throws {
        let old = spool.state.sources[source.id]
        next = LogCursors(journal: old?.journal ?? [])
        let folder: LogFolder
        do {
            folder = try LogFolder(source)
        } catch {
            // A directory that is away for a while takes no cursor with it.
            note(source.path, error)
            next = old ?? next
            isAway = true
            return
        }
        // A file that is renamed between the listing and the opening is found at the next look.
        for attempt in 1...Self.attempts {
            do {
                try read(folder, old, isSure: attempt > 1)
                return
            } catch let error as CollectorError {
                if error.code == .changed || error.code == .notFound, attempt < Self.attempts { continue }
                note(source.path, error)
                next = old ?? LogCursors()
                isAway = true
                return
            }
        }
    }

    mutating func note(_ path: String, _ error: some Failure) {
        let problem = PathProblem(path: path, reason: error.message)
        if problems.count < 1000, !problems.contains(problem) { problems.append(problem) }
    }

    /// A name that changes while a directory is listed may not be listed at all, so what is found must be found twice.
    private mutating func read(_ folder: LogFolder, _ old: LogCursors?, isSure: Bool) throws {
        let listed = try folder.files()
        if !listed.contains(where: \.file.isNamed), old?.files.isEmpty ?? true {
            let problem = PathProblem(path: source.path, reason: "names no log that is there")
            if !problems.contains(problem) { problems.append(problem) }
        }
        // What cannot be opened is a problem of this run, and its cursor waits for the next.
        var readable: [LogFolder.Found] = []
        var closed: Set<FileIdentity> = []
        for found in listed {
            let isRead = found.file.isNamed || !found.file.isCompressed
            do {
                if isRead { try Self.probe(folder, found) }
                readable.append(found)
            } catch {
                guard error.code == .denied || error.code == .io else { throw error }
                closed.insert(FileIdentity(device: found.file.device, inode: found.file.inode))
                if found.file.isNamed { note(found.file.path, error) }
            }
        }
        func isClosed(_ cursor: LogCursor) -> Bool {
            closed.contains(FileIdentity(device: cursor.device, inode: cursor.inode))
        }
        let (open, interrupt) = (readable, interrupt)
        let plan = try LogFollowing.plan(old.map { $0.files.filter { !isClosed($0) } }, open.map(\.file)) {
            (index: Int, mark: LogMark, end: UInt64) throws(CollectorError) -> Bool in
            if open[index].file.isCompressed {
                return try Self.markExpanded(open[index], folder, mark.length, before: end, interrupt) == mark
            }
            return try Self.mark(try folder.open(open[index]), mark.length, before: end) == mark
        }
        if interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
        guard isSure || plan.findings.isEmpty else {
            throw CollectorError(.changed, "\(source.path) changes while it is read", hint: "The next run follows it.")
        }
        next.files = old?.files.filter(isClosed) ?? []
        var made = findings
        made += plan.findings
        let (begunParts, begunLength) = (parts, payload.length)
        do {
            for reading in plan.readings { try take(reading, open[reading.file], folder, &made) }
        } catch {
            // The next look begins where this one did.
            parts = begunParts
            records = 0
            isFull = false
            next = LogCursors(journal: old?.journal ?? [])
            try payload.cut(to: begunLength)
            throw error
        }
        findings = made
    }

    private static func probe(_ folder: LogFolder, _ found: LogFolder.Found) throws(CollectorError) {
        _ = try folder.open(found)
    }

    // MARK: Reading

    /// The digest of the `length` bytes before `end`; of fewer where the file is shorter.
    private static func mark(
        _ file: borrowing OpenFile, _ length: Int, before end: UInt64
    ) throws(CollectorError) -> LogMark {
        let bytes = try bytes(file, length, before: end)
        return bytes.isEmpty ? .empty : LogMark(length: bytes.count, digest: LogHash.of(bytes))
    }

    private static func bytes(
        _ file: borrowing OpenFile, _ length: Int, before end: UInt64
    ) throws(CollectorError) -> [UInt8] {
        guard length > 0, UInt64(length) <= end else { return [] }
        var bytes = [UInt8](repeating: 0, count: length)
        let count = try fill(file, &bytes, at: end - UInt64(length))
        return Array(bytes.prefix(count))
    }

    private static func fill(
        _ file: borrowing OpenFile, _ bytes: inout [UInt8], at offset: UInt64
    ) throws(CollectorError) -> Int {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        defer { buffer.deallocate() }
        let count = try file.read(into: buffer, at: offset)
        for at in 0..<count { bytes[at] = buffer[at] }
        return count
    }

    private mutating func take(
        _ reading: LogFollowing.Reading, _ found: LogFolder.Found, _ folder: LogFolder, _ made: inout [LogFinding]
    ) throws {
        if reading.isSkipped, let cursor = reading.cursor {
            next.files.append(cursor)
            return
        }
        if found.file.isCompressed {
            let isDone = try reading.isSkipped || !isFull && readCompressed(reading, found, folder, &made)
            guard isDone else {
                // It is found anew for the next segment, or by the next run.
                if let cursor = reading.cursor { next.files.append(cursor) }
                return
            }
            next.files.append(newCursor(reading, found, offset: found.file.size, size: found.file.size))
            return
        }
        let file = try folder.open(found)
        let start = payload.length
        let taken = try reading.isSkipped || isFull ? 0 : readRest(file, reading, found, &made)
        let offset = reading.from + UInt64(taken)
        if taken > 0 {
            parts.append(
                LogSegmentHeader.Part(
                    path: found.file.path, device: found.file.device, inode: found.file.inode, from: reading.from,
                    to: offset))
        } else if var cursor = reading.cursor {
            cursor.size = max(cursor.offset, file.status.size)
            next.files.append(cursor)
            return
        }
        var cursor = newCursor(reading, found, offset: offset, size: max(offset, file.status.size))
        let headEnd = min(offset, UInt64(LogMark.longest))
        cursor.head = try Self.mark(file, Int(headEnd), before: headEnd)
        cursor.tail = try tail(file, offset, taken, payloadStart: start)
        next.files.append(cursor)
    }

    private func newCursor(
        _ reading: LogFollowing.Reading, _ found: LogFolder.Found, offset: UInt64, size: UInt64
    ) -> LogCursor {
        LogCursor(
            path: found.file.path, stem: reading.stem, device: found.file.device, inode: found.file.inode,
            offset: offset, size: size, isRotated: reading.isRotated, isCopy: reading.isCopy)
    }

    /// Of what was sealed, as far as this reading has it; the rest of the file.
    private func tail(
        _ file: borrowing OpenFile, _ offset: UInt64, _ taken: Int, payloadStart: Int
    ) throws -> LogMark {
        let wanted = Int(min(offset, UInt64(LogMark.longest)))
        let fresh = min(wanted, taken)
        var bytes = try payload.bytes(payloadStart + taken - fresh..<payloadStart + taken)
        if wanted > fresh {
            let earlier = try Self.bytes(file, wanted - fresh, before: offset - UInt64(fresh))
            // Cut off meanwhile: what was read is what is known.
            if earlier.count == wanted - fresh { bytes = earlier + bytes }
        }
        return bytes.isEmpty ? .empty : LogMark(length: bytes.count, digest: LogHash.of(bytes))
    }

    /// Appends whole records to the payload; of a rotated file all there is. Returns how many bytes.
    private mutating func readRest(
        _ file: borrowing OpenFile, _ reading: LogFollowing.Reading, _ found: LogFolder.Found,
        _ made: inout [LogFinding]
    ) throws -> Int {
        var scanner = LogScanner(source.format, path: found.file.path, places: next.journal)
        let start = payload.length
        let end = file.status.size
        var at = reading.from
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceBytes, alignment: 4096)
        defer { buffer.deallocate() }
        while at < end {
            if interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
            let wanted = Int(min(UInt64(buffer.count), end - at))
            let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]), at: at)
            guard count > 0 else { break }
            let piece = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            try payload.append(piece)
            scanner.take(piece)
            at += UInt64(count)
            if payload.length >= segmentBytes, scanner.complete > 0 {
                isFull = true
                break
            }
        }
        var taken = Int(scanner.complete)
        if reading.isRotated, !isFull, scanner.count > scanner.complete {
            taken = Int(scanner.count)
            made.append(
                LogFinding(.truncatedLine, path: found.file.path, "was rotated in the middle of its last line"))
        }
        try payload.cut(to: start + taken)
        records += scanner.records
        next.journal = scanner.places
        made += scanner.findings
        return taken
    }
}
