import Domain
import Glibc
import Vault

/// A spool's ledger, as far as it was read; whoever calls holds the spool's lock.
///
/// Invariants:
/// 1. What was read once is not read again, but for the last line: that one is looked at each time, and since it names all that is
///    before it, a ledger that was put in the place of the one that was read is found, however long it is.
/// 2. A line counts when it names the digest of the one before it. One without an end was torn by a crash, and is cut off.
/// 3. What changed in the midst of it is found by who reads all of it again; see ``verify()``.
struct WALLedgerFile: Sendable {
    /// How much is read at a time, in bytes; a line may be longer.
    private static let pieceBytes = 1 << 20

    private let folder: String
    private var path: String { "\(folder)/ledger.jsonl" }
    private(set) var index = WALLedgerIndex()
    /// Where the last line begins, and ends with its line end.
    private var last = 0
    private var end = 0
    /// The digest of the last line.
    private var previous = ""

    init(in folder: String) { self.folder = folder }

    /// How far it was read, without what it says, which would be copied by the next change.
    var bare: WALLedgerFile {
        var bare = self
        bare.index = WALLedgerIndex()
        return bare
    }

    /// Reads what others wrote since.
    mutating func catchUp() throws {
        let file = try LogSpoolFile(extending: path)
        guard file.length >= end else { throw damaged("is shorter than it was") }
        try checkLast(file)
        var room = Self.pieceBytes
        while end < file.length {
            let piece = try file.bytes(end..<min(file.length, end + room))
            if try take(piece) { continue }
            guard !piece.isEmpty else { throw damaged("is shorter than it was") }
            guard piece.count == room else {
                try file.cut(to: end)
                return try file.sync()
            }
            room *= 2
        }
    }

    private func checkLast(_ file: LogSpoolFile) throws {
        guard end > 0 else { return }
        let line = try file.bytes(last..<end)
        guard line.last == 0x0A, line.withUnsafeBytes({ Self.digest($0.dropLast()) }) == previous else {
            throw damaged("is not the one that was read before")
        }
    }

    /// Reads what was read or written before once more, and throws where it is not the same. Nobody need hold the lock: no line of it
    /// is ever written again.
    func verify() throws {
        let file = try LogSpoolFile(reading: path)
        var again = WALLedgerFile(in: folder)
        var room = Self.pieceBytes
        while again.end < end {
            let piece = try file.bytes(again.end..<min(end, again.end + room))
            if try again.take(piece, isKnown: true) { continue }
            guard piece.count == room else { throw damaged("is not what was read before, from byte \(again.end) on") }
            room *= 2
        }
        guard again.previous == previous else { throw damaged("is not the one that was read before") }
    }

    /// Takes the whole lines of what follows; false when there is none. What they say is looked at unless it is known.
    private mutating func take(_ piece: [UInt8], isKnown: Bool = false) throws -> Bool {
        let begun = end
        try piece.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while let base = UnsafeRawBufferPointer(rebasing: rest).baseAddress,
                let found = memchr(base, 0x0A, rest.count)
            {
                let text = rest.prefix(UnsafeRawPointer(found) - base)
                guard let line = WALLedgerLine(text), line.previous == previous else {
                    throw damaged("has a line that does not follow the one before it, at byte \(end)")
                }
                guard isKnown || index.take(line) else {
                    throw damaged("has a line that makes no sense, at byte \(end)")
                }
                previous = Self.digest(text)
                last = end
                end += text.count + 1
                rest = rest.dropFirst(text.count + 1)
            }
        }
        return end > begun
    }

    /// Writes a line behind the last one, and syncs it; everything that others wrote was read.
    mutating func append(_ line: WALLedgerLine) throws {
        var line = line
        line.previous = previous
        let text = try LogText.encode(line)
        let file = try LogSpoolFile(extending: path)
        do {
            try file.append(text + [0x0A])
            try file.sync()
        } catch {
            // What a full disk left of it; if that fails too, the next to come cuts it off.
            try? file.cut(to: end)
            throw error
        }
        guard index.take(line) else { throw damaged("was given a line that makes no sense") }
        previous = text.withUnsafeBytes { Self.digest($0[...]) }
        last = end
        end = file.length
    }

    private static func digest(_ text: Slice<UnsafeRawBufferPointer>) -> String {
        ObjectHasher.digest(of: UnsafeRawBufferPointer(rebasing: text), suite: .blake3).hex
    }

    private func damaged(_ what: String) -> OperationError {
        OperationError(
            .damaged, "\(path) \(what)",
            hint:
                "Move the folder \(folder) away and start the daemon again: what lies in it can then be pushed by hand."
        )
    }
}
