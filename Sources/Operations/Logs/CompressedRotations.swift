import Collectors
import Domain
import Glibc

/// Reads what a compressed rotation holds, where the log was not completely read before it was compressed.
///
/// Invariants:
/// 1. A rest is read only behind the marks of what was sealed: they were found in the same file before.
/// 2. What it holds is hostile: it is expanded by a program of its own with bounded memory, piece by piece and not into
///    a file, and no more than ``longestRest`` of it is sealed.
/// 3. What cannot be expanded to its end is a gap, and nothing of it is sealed.
extension LogCollecting {
    /// Bytes that are sealed of compressed files in one run of a source at most.
    static let longestRest: UInt64 = 4 << 30

    private static func program(for name: String) -> Pipeline.Stage? {
        if name.hasSuffix(".gz") { return .init(program: "gzip", arguments: ["-d", "-c"]) }
        if name.hasSuffix(".zst") { return .init(program: "zstd", arguments: ["-d", "-c", "-q"]) }
        guard name.hasSuffix(".xz") else { return nil }
        return .init(program: "xz", arguments: ["-d", "-c", "-q", "--memlimit-decompress=256MiB"])
    }

    /// Gives what a file holds, piece by piece, until `body` returns false. Returns why it did not come to the end.
    private static func expand(
        _ found: LogFolder.Found, _ folder: LogFolder, _ interrupt: InterruptFlag,
        _ body: (UnsafeRawBufferPointer) throws -> Bool
    ) throws -> String? {
        let file = try folder.open(found)
        guard let stage = program(for: found.file.name), let source = file.duplicate() else {
            return "it cannot be expanded here"
        }
        let program: Pipeline
        do { program = try Pipeline([stage], reading: source) } catch {
            return (error as? any Failure)?.message ?? "\(error)"
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: pipePieceBytes, alignment: 16)
        defer { buffer.deallocate() }
        while let count = try piece(of: program.output, into: buffer, interrupt) {
            guard try body(UnsafeRawBufferPointer(rebasing: buffer[..<count])) else {
                program.kill()
                return nil
            }
        }
        return program.finish()
    }

    /// The mark of the `length` bytes before `end` of what a file holds; nil where it does not hold so many.
    static func markExpanded(
        _ found: LogFolder.Found, _ folder: LogFolder, _ length: Int, before end: UInt64, _ interrupt: InterruptFlag
    ) throws(CollectorError) -> LogMark? {
        guard length > 0, UInt64(length) <= end else { return nil }
        let start = end - UInt64(length)
        var at: UInt64 = 0
        var bytes: [UInt8] = []
        do {
            _ = try expand(found, folder, interrupt) { piece in
                let from = at
                at += UInt64(piece.count)
                let (low, high) = (max(start, from), min(end, at))
                if low < high { bytes.append(contentsOf: piece[Int(low - from)..<Int(high - from)]) }
                return at < end
            }
        } catch let error as CollectorError {
            // One that may not be read explains nothing; one that changes is looked at again.
            if error.code == .denied || error.code == .io { return nil }
            throw error
        } catch { return nil }
        return bytes.count == length ? LogMark(length: length, digest: LogHash.of(bytes)) : nil
    }

    /// Appends what lies behind `reading.from` to the payload. False where the next run is to do it: this one has expanded
    /// as much as it may.
    mutating func readCompressed(
        _ reading: LogFollowing.Reading, _ found: LogFolder.Found, _ folder: LogFolder, _ made: inout [LogFinding]
    ) throws -> Bool {
        let (start, payload, before) = (payload.length, payload, expandedBytes)
        var scanner = LogScanner(source.format, path: found.file.path, places: next.journal)
        var at: UInt64 = 0
        var isLong = false
        // What is thrown, such as by a full disk, is no fault of the file: the run fails, and the next one reads it.
        var failure = try Self.expand(found, folder, interrupt) { piece in
            let from = at
            at += UInt64(piece.count)
            guard at > reading.from else { return true }
            let known = from < reading.from ? Int(reading.from - from) : 0
            let rest = UnsafeRawBufferPointer(rebasing: piece[known...])
            isLong = before + scanner.count + UInt64(rest.count) > Self.longestRest
            if isLong { return false }
            try payload.append(rest)
            scanner.take(rest)
            return true
        }
        if isLong, before > 0 {
            try payload.cut(to: start)
            return false
        }
        if failure == nil, isLong { failure = "more than \(Self.longestRest) bytes would come out of compressed files" }
        if failure == nil, at < reading.from { failure = "it ends before byte \(reading.from)" }
        expandedBytes += scanner.count
        if let failure {
            try payload.cut(to: start)
            made.append(
                LogFinding(.gap, path: found.file.path, "holds the rest of a log that was not sealed: \(failure)"))
            return true
        }
        let taken = payload.length - start
        guard taken > 0 else { return true }
        if scanner.count > scanner.complete {
            made.append(
                LogFinding(.truncatedLine, path: found.file.path, "was rotated in the middle of its last line"))
        }
        parts.append(
            LogSegmentHeader.Part(
                path: found.file.path, device: found.file.device, inode: found.file.inode, from: reading.from,
                to: reading.from + UInt64(taken)))
        records += scanner.records
        next.journal = scanner.places
        made += scanner.findings
        if payload.length >= segmentBytes { isFull = true }
        return true
    }
}
