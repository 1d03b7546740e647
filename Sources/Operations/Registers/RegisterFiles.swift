import Domain
import FoundationEssentials
import Vault

/// The registers that there are.
package enum RegisterName: String, Sendable, CaseIterable, Codable {
    /// When the daemon worked and when it did not, and how loaded the machine was.
    case availability
    case holds
    /// The offline volumes, from the register of volumes.
    case media
    /// Originals that left the active system, and the archives that hold them.
    case moved
    /// The versions of the policies that were applied, from their register.
    case policyChanges = "policy-changes"
    case problems
    case runs
}

/// One line of a register.
package struct RegisterEntry: Codable, Sendable, Equatable {
    /// From 1, without gaps, over all files of the register.
    package var number: Int
    /// RFC 3339, UTC.
    package var time: String
    package var kind: String
    package var fields: [String: String]
    /// SHA-256 of the line before, without its end; zeros at the first one.
    package var previous: String
}

/// A place at which a register is not what was written.
package struct RegisterDamage: Codable, Sendable, Equatable {
    package var file: String
    /// From 1.
    package var line: Int
    package var reason: String

    package var text: String { "\(file), line \(line): \(reason)" }
}

/// The files of one register: `STATE/registers/NAME.FIRST.jsonl`, FIRST being the number of the first line in twelve
/// digits.
///
/// Invariants (`docs/adr/0006-registers.md`):
/// 1. A line that has its end stays as it is for ever; what is added stands behind it. No line is removed.
/// 2. Each line carries the number after that of the line before, and its digest, also over the ends of files.
/// 3. Only the last line of the last file can be torn, by a power cut; everything else that does not fit is damage, which is
///    named by file and line and does not hide the lines around it.
/// 4. Whatever is read is bounded: a file, a line, a number.
struct RegisterFiles: Sendable {
    static let lineLimit = 64 << 10
    static let fileLimit = 64 << 20
    static let numberLimit = 1 << 53

    let folder: String
    let name: RegisterName

    init(state: String, _ name: RegisterName) {
        folder = state + "/registers"
        self.name = name
    }

    struct Segment: Sendable {
        var first: Int
        var file: String
    }

    /// How the next line goes on.
    struct Chain: Sendable, Equatable {
        var number = 0
        var digest = Digest.zero.hex
    }

    /// What was read, apart from the lines.
    struct Reading: Sendable {
        var damage: [RegisterDamage] = []
        var chain = Chain()
        /// The last file, and how many of its bytes are whole lines.
        var file: String?
        var length = 0
        /// Bytes of the torn line behind them.
        var tornBytes = 0
        /// Whether every file was looked at.
        var isWhole = true
    }

    /// In order; names of another form are no files of the register.
    func segments() throws -> [Segment] {
        try StateFile.list(folder).compactMap(segment).sorted { $0.first < $1.first }
    }

    private func segment(_ file: String) -> Segment? {
        let parts = file.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == name.rawValue, parts[2] == "jsonl", parts[1].utf8.count == 12,
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let first = Int(parts[1]), first > 0
        else { return nil }
        return Segment(first: first, file: file)
    }

    func file(first: Int) -> String {
        let digits = "\(first)"
        return "\(name.rawValue)." + String(repeating: "0", count: max(0, 12 - digits.count)) + digits + ".jsonl"
    }

    /// All lines, or those of the last `count` files, in order. Of a file that another process is writing the line that is
    /// not complete yet counts as torn.
    @discardableResult
    func read(last count: Int? = nil, _ each: (RegisterEntry) throws -> Void) throws -> Reading {
        let all = try segments()
        let chosen = count.map { Array(all.suffix($0)) } ?? all
        var reading = Reading()
        reading.isWhole = chosen.count == all.count
        var chain: Chain? = reading.isWhole ? Chain() : nil
        for (at, segment) in chosen.enumerated() {
            let bytes = try StateFile.read("\(folder)/\(segment.file)", limit: Self.fileLimit) ?? []
            let isLast = at == chosen.count - 1
            try scan(bytes, segment, isLast: isLast, &chain, &reading, each)
        }
        reading.chain = chain ?? Chain()
        return reading
    }

    private func scan(
        _ bytes: [UInt8], _ segment: Segment, isLast: Bool, _ chain: inout Chain?, _ reading: inout Reading,
        _ each: (RegisterEntry) throws -> Void
    ) throws {
        let decoder = JSONDecoder()
        var from = 0
        var line = 0
        while from < bytes.count {
            let end = bytes[from...].firstIndex(of: 0x0A)
            let text = bytes[from..<(end ?? bytes.count)]
            let next = end.map { $0 + 1 } ?? bytes.count
            // What a power cut leaves of one write: no end, or blocks of zeros.
            if isLast, next == bytes.count, end == nil || text.contains(0) {
                reading.tornBytes = bytes.count - from
                break
            }
            line += 1
            let entry = Self.entry(text, decoder)
            let expected = chain ?? Chain(number: segment.first - 1, digest: entry?.previous ?? "")
            if let reason = Self.fault(entry, after: expected) {
                reading.damage.append(RegisterDamage(file: segment.file, line: line, reason: reason))
            }
            let digest = ObjectHasher.digest(of: Array(text), suite: .hmacSHA256).hex
            chain = Chain(number: entry?.number ?? expected.number + 1, digest: digest)
            if let entry { try each(entry) }
            from = next
        }
        if isLast { (reading.file, reading.length) = (segment.file, from) }
        // An empty file after others that were not read: its name tells how it goes on.
        if chain == nil { chain = Chain(number: segment.first - 1) }
    }

    private static func entry(_ line: ArraySlice<UInt8>, _ decoder: JSONDecoder) -> RegisterEntry? {
        guard line.count <= lineLimit, let entry = try? decoder.decode(RegisterEntry.self, from: Data(line)),
            (1...numberLimit).contains(entry.number)
        else { return nil }
        return entry
    }

    private static func fault(_ entry: RegisterEntry?, after chain: Chain) -> String? {
        guard let entry else { return "it cannot be read" }
        if entry.number != chain.number + 1 { return "number \(entry.number) follows \(chain.number)" }
        if entry.previous != chain.digest { return "the line before is not the one that it followed" }
        return nil
    }
}
