import Domain
import FoundationEssentials
import Glibc
import Vault

// The spool of a policy's logs: STATE/logs/POLICY.
//
//     00000001.segment   what was new in one source at one time: a header line, then the bytes
//     ledger.jsonl       one line for every segment ever sealed, and for every archive that took some in
//     cursors.json       how far each source was read, as of the segment that it names
//     lock               held while a run reads logs and archives them
//
// Invariants:
// 1. A segment is complete and durable under its name, or not there. Sequence numbers go up by one and each segment
//    names the digest of the one before.
// 2. The ledger follows the segment, the cursors follow the ledger. A segment carries its source's cursors, so whatever
//    a crash leaves out is done again from the segments that are newer: nothing is read twice or left out.
// 3. A segment leaves the spool only after an archive that holds it was committed and the ledger says so; the newest of
//    each source and the newest of all stay.
// 4. A ledger line is never changed. One that a crash tore is cut off and written again.

/// How far the sources of a policy were read.
struct LogSpoolState: Codable {
    var version = 1
    /// The newest segment that this takes in, and its SHA-256.
    var sequence = 0
    var previous = LogSpool.noDigest
    var clock: LogClock?
    var sources: [String: LogCursors] = [:]
    /// The newest segment of each source.
    var newest: [String: Int] = [:]

    mutating func take(_ header: LogSegmentHeader, digest: String) {
        sequence = header.sequence
        previous = digest
        clock = header.clock
        sources[header.source] = header.cursors
        newest[header.source] = header.sequence
    }
}

final class LogSpool {
    static let noDigest = String(repeating: "0", count: 64)
    static let maximumFindings = 1000
    /// Segments that stay whatever archives hold them.
    static let keptSegments = 3
    private static let longestState = 256 << 20
    /// A ledger line has at most as many findings as a segment; its last lines are within this.
    private static let ledgerTail = 4 << 20

    let path: String
    let policy: String
    private(set) var state = LogSpoolState()
    /// The cursors were not there, or not readable, though segments had been sealed.
    private(set) var hasLostState = false
    /// Called at each step that a crash may follow; for tests.
    var onStep: (String) throws -> Void = { _ in }
    private let lock: FileLock
    private var ledgerEnd = 0

    static func folder(of policy: String, under statePath: String) -> String { "\(statePath)/logs/\(policy)" }

    /// Opens the spool, which is made where there is none, and does what a crash left undone.
    init(policy: String, statePath: String) throws {
        path = Self.folder(of: policy, under: statePath)
        self.policy = policy
        guard Policy.isWellFormed(name: policy) else {
            throw OperationError(.usage, "\(policy) cannot name a policy", hint: "Give the name that its document has.")
        }
        try StateFile.makeDirectory(path)
        guard let lock = try FileLock.acquire(path: "\(path)/lock", patience: 1) else {
            throw OperationError(
                .inUse, "another run reads the logs of policy \(policy)", hint: "Try again when it is over.")
        }
        self.lock = lock
        for name in try StateFile.list(path) where name.hasSuffix(".new") { unlink("\(path)/\(name)") }
        try load()
    }

    static func failure(_ what: String, _ path: String) -> OperationError {
        let number = errno
        return OperationError(
            .failed, "\(what) \(path) failed: \(String(cString: strerror(number)))",
            hint: "Check the disk and the rights of the host state directory (--state or QALA_STATE).")
    }

    private var ledgerPath: String { "\(path)/ledger.jsonl" }
    private var cursorsPath: String { "\(path)/cursors.json" }

    func segmentPath(_ sequence: Int) -> String { "\(path)/\(LogText.name(sequence))" }

    /// The sequence numbers of the segments that are here, in order.
    func segments() throws -> [Int] { try StateFile.list(path).compactMap { LogText.sequence(of: $0) }.sorted() }

    // MARK: After a crash

    private func load() throws {
        let last = try lastOfLedger()
        let bytes = try StateFile.read(cursorsPath, limit: Self.longestState)
        let found = bytes.flatMap { LogText.decode(LogSpoolState.self, $0) }
        if let found, found.version == 1, found.sequence >= 0 { state = found }
        let isLost = found == nil
        var ledgerSequence = last?.sequence ?? 0
        // From the first segment on nothing is lost: the cursors had not been written yet.
        var isWhole = true
        for sequence in try segments() where sequence > state.sequence || sequence > ledgerSequence {
            let (header, digest) = try LogSegmentReading.read(segmentPath(sequence))
            guard header.sequence == sequence, header.policy == policy else {
                throw LogSegmentReading.damaged(segmentPath(sequence), "is not the one that its name says")
            }
            if sequence > state.sequence {
                if !isLost, sequence != state.sequence + 1 || state.previous != header.previous {
                    throw LogSegmentReading.damaged(segmentPath(sequence), "does not follow the one before it")
                }
                if sequence != state.sequence + 1 { isWhole = false }
                state.take(header, digest: digest)
            }
            if sequence > ledgerSequence {
                try appendToLedger(LogLedgerLine(header, digest: digest))
                ledgerSequence = sequence
            }
        }
        if let last, let sequence = last.sequence, sequence > state.sequence {
            // The ledger knows segments that are not here any more and that no cursor took in.
            state.sequence = sequence
            state.previous = last.digest ?? Self.noDigest
            hasLostState = true
        }
        if isLost, !isWhole { hasLostState = true }
    }

    /// The ledger's last line of a segment; what a crash left of a line behind it is cut off.
    private func lastOfLedger() throws -> LogLedgerLine? {
        let file = try LogSpoolFile(extending: ledgerPath)
        let start = max(0, file.length - Self.ledgerTail)
        let tail = try file.bytes(start..<file.length)
        let end = tail.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        guard start == 0 || end > 0 else {
            throw OperationError(
                .damaged, "\(ledgerPath) has no line end in its last \(Self.ledgerTail) bytes",
                hint: "Restore it from an archive of the policy.")
        }
        if end < tail.count {
            try file.cut(to: start + end)
            try file.sync()
        }
        ledgerEnd = start + end
        for line in tail[..<end].split(separator: 0x0A).reversed() {
            if let line = LogText.decode(LogLedgerLine.self, line), line.sequence != nil { return line }
        }
        return nil
    }

    // MARK: Sealing

    private func appendToLedger(_ line: LogLedgerLine) throws {
        let file = try LogSpoolFile(extending: ledgerPath)
        // What a failed attempt left.
        try file.cut(to: min(ledgerEnd, file.length))
        try file.append(try LogText.encode(line) + [0x0A])
        try file.sync()
        ledgerEnd = file.length
    }

    func saveCursors() throws { try StateFile.write(cursorsPath, try LogText.encode(state)) }

    /// For cursors that moved without anything to seal.
    func move(_ source: String, to cursors: LogCursors) { state.sources[source] = cursors }

    func note(_ clock: LogClock) { state.clock = clock }

    /// A file for the bytes of the segment that comes next.
    func makePayload() throws -> LogSpoolFile { try LogSpoolFile(making: "\(path)/payload.new") }

    /// Makes a segment of what was read: the segment, the ledger, the cursors, in this order.
    func seal(_ header: LogSegmentHeader, _ payload: LogSpoolFile) throws -> LogSegmentHeader {
        var header = header
        header.sequence = state.sequence + 1
        header.previous = state.previous
        header.bytes = payload.length
        let sum = LogHash()
        try payload.forEachPiece(from: 0) { sum.update($0) }
        header.payload = sum.finish()
        try onStep("payload")

        let whole = LogHash()
        let segment = try LogSpoolFile(making: segmentPath(header.sequence) + ".new")
        let line = try LogText.encode(header) + [0x0A]
        guard line.count <= LogSegmentHeader.longest else {
            throw OperationError(
                .failed, "the source \(header.source) has too many files for one segment",
                hint: "Divide it among several sources.")
        }
        line.withUnsafeBytes { whole.update($0) }
        try segment.append(line)
        try payload.forEachPiece(from: 0) { piece in
            whole.update(piece)
            try segment.append(piece)
        }
        try segment.sync()
        try onStep("segment written")
        guard rename(segment.path, segmentPath(header.sequence)) == 0 else {
            throw Self.failure("renaming", segment.path)
        }
        try syncFolder()
        try onStep("segment named")
        let digest = whole.finish()
        try appendToLedger(LogLedgerLine(header, digest: digest))
        try onStep("ledger")
        state.take(header, digest: digest)
        try saveCursors()
        try onStep("cursors")
        return header
    }

    private func syncFolder() throws {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure("opening", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Self.failure("syncing", path) }
    }

    // MARK: After the archive

    /// Notes which segments an archive holds, and removes those that need not stay.
    func noteArchived(_ sequences: [Int], in archive: String) throws {
        guard !sequences.isEmpty else { return }
        try appendToLedger(LogLedgerLine(archive: archive, sequences: sequences))
        try onStep("archived")
        let held = Set(sequences)
        let present = try segments()
        let kept = Set(present.suffix(Self.keptSegments)).union(state.newest.values)
        for sequence in present where held.contains(sequence) && !kept.contains(sequence) {
            guard unlink(segmentPath(sequence)) == 0 else { throw Self.failure("removing", segmentPath(sequence)) }
            try onStep("removed")
        }
    }
}
