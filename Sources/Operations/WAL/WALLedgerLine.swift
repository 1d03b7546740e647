import Glibc

/// One line of a spool's ledger.
struct WALLedgerLine: Codable {
    enum Act: String, Codable { case taken, archived, quarantined }

    var act: Act
    var cluster: String
    /// RFC 3339, UTC.
    var time: String
    /// BLAKE3 of the bytes of the line before, without its end; empty for the first.
    var previous: String
    /// Of what was taken or quarantined: its name, size and BLAKE3.
    var file: String?
    var bytes: Int?
    var digest: String?
    var segmentBytes: Int?
    /// Of a history what it says, so that continuity is known without the file.
    var switches: String?
    /// Of what was archived.
    var archive: String?
    var files: [String]?
}

extension WALLedgerLine {
    /// Reads a line. There is one for every segment that ever came, so what ``LogText`` writes is read without the decoder,
    /// which takes the most of the time; it reads all other JSON, and decides.
    init?(_ text: Slice<UnsafeRawBufferPointer>) {
        guard let line = Self(written: text) ?? LogText.decode(Self.self, text) else { return nil }
        self = line
    }

    /// Nil for anything but the text that ``LogText`` writes of a line: its keys in their order, without spaces and escapes.
    init?(written text: Slice<UnsafeRawBufferPointer>) {
        var scan = Scan(rest: text)
        guard let act = scan.string("{\"act\":").flatMap({ Act(rawValue: $0) }) else { return nil }
        let archive = scan.string(",\"archive\":")
        let bytes = scan.number(",\"bytes\":")
        guard let cluster = scan.string(",\"cluster\":") else { return nil }
        let digest = scan.string(",\"digest\":")
        let file = scan.string(",\"file\":")
        let files = scan.strings(",\"files\":")
        guard let previous = scan.string(",\"previous\":") else { return nil }
        let segmentBytes = scan.number(",\"segmentBytes\":")
        let switches = scan.string(",\"switches\":")
        guard let time = scan.string(",\"time\":"), scan.take("}"), scan.rest.isEmpty else { return nil }
        self.init(
            act: act, cluster: cluster, time: time, previous: previous, file: file, bytes: bytes, digest: digest,
            segmentBytes: segmentBytes, switches: switches, archive: archive, files: files)
    }

    /// What follows a key that is not there, or a value that is not plain, is left, so that the next key is not found.
    private struct Scan {
        var rest: Slice<UnsafeRawBufferPointer>

        mutating func take(_ word: StaticString) -> Bool {
            let count = word.utf8CodeUnitCount
            guard rest.count >= count, let base = UnsafeRawBufferPointer(rebasing: rest).baseAddress,
                memcmp(base, word.utf8Start, count) == 0
            else { return false }
            rest = rest.dropFirst(count)
            return true
        }

        mutating func string(_ key: StaticString) -> String? {
            var ahead = self
            guard ahead.take(key), let text = ahead.string() else { return nil }
            self = ahead
            return text
        }

        mutating func strings(_ key: StaticString) -> [String]? {
            var ahead = self
            guard ahead.take(key), ahead.take("[") else { return nil }
            var list: [String] = []
            repeat {
                guard let text = ahead.string() else { return nil }
                list.append(text)
            } while ahead.take(",")
            guard ahead.take("]") else { return nil }
            self = ahead
            return list
        }

        /// Of at most 18 digits, so that it is one.
        mutating func number(_ key: StaticString) -> Int? {
            var ahead = self
            guard ahead.take(key) else { return nil }
            let digits = ahead.rest.prefix { (0x30...0x39).contains($0) }
            guard (1...18).contains(digits.count), digits.first != 0x30 || digits.count == 1 else { return nil }
            ahead.rest = ahead.rest.dropFirst(digits.count)
            self = ahead
            return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        }

        /// Of printable ASCII without escapes.
        private mutating func string() -> String? {
            guard take("\""), let base = UnsafeRawBufferPointer(rebasing: rest).baseAddress,
                let found = memchr(base, 0x22, rest.count)
            else { return nil }
            let text = UnsafeRawBufferPointer(start: base, count: UnsafeRawPointer(found) - base)
            guard text.allSatisfy({ (0x20..<0x7F).contains($0) && $0 != 0x5C }) else { return nil }
            rest = rest.dropFirst(text.count + 1)
            return String(decoding: text, as: UTF8.self)
        }
    }
}
