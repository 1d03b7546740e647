import Foundation
import Glibc
import Operations
import TestSupport
import Testing

/// `scripts/reader`: a program that opens vaults from `docs/format.md` alone, without any code of ours.
enum IndependentReader {
    static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    struct Outcome {
        var status: Int32
        var output: String
        var errors: String
    }

    /// Runs a program of `scripts/python`, which must end by itself.
    static func python(_ arguments: [String]) throws -> Outcome {
        let process = Process()
        process.executableURL = repository.appending(path: "scripts/python")
        process.arguments = arguments
        let errors = FileManager.default.temporaryDirectory.appending(path: "qala-reader-\(UUID().uuidString)")
        try Data().write(to: errors)
        defer { try? FileManager.default.removeItem(at: errors) }
        let output = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: String(decoding: data, as: UTF8.self),
            errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
    }

    static func run(_ arguments: String...) throws -> Outcome {
        try python([repository.appending(path: "scripts/reader").path] + arguments)
    }

    /// Where the packages are missing the tests are skipped, but never in CI: there they fail.
    static let isExpected: Bool = {
        let modules = "import blake3, cryptography as c, zstandard; assert int(c.__version__.split('.')[0]) >= 48"
        if ProcessInfo.processInfo.environment["CI"] == "true" { return true }
        return (try? python(["-c", modules]).status) == 0
    }()

    static let missing: Comment = "Python packages are missing: scripts/setup installs them"
}

/// A directory of one test with vault, host state and keys, removed afterwards.
final class Scratch {
    let path: String

    init() throws {
        var template = Array("\(NSTemporaryDirectory())qala-operations-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "chmod -R u+rwx \"$1\" 2>/dev/null; rm -rf \"$1\"", "sh", path]
        try? process.run()
        process.waitUntilExit()
    }

    func place(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: place(name)))
    }

    /// The vault of this directory, opened with a passphrase.
    func workplace(_ passphrase: String, vault: String = "vault") -> Workplace {
        let bytes = Array(passphrase.utf8)
        return Workplace(
            vaultPath: place(vault), statePath: place("state"), unlocking: .passphrase { bytes })
    }

    /// The same, opened with the code in a kit.
    func workplace(kit: String, vault: String = "vault") throws -> Workplace {
        let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: kit)))
        return Workplace(vaultPath: place(vault), statePath: place("state"), unlocking: .code { bytes })
    }
}

/// What is below a directory, a line for each entry, as `scripts/make-golden` describes it.
struct TreeDescription {
    let root: String
    private var first: [[UInt64]: String] = [:]
    private(set) var lines: [String] = []

    /// Without root, what only root can restore is left out on both sides: see ``comparable(_:)``.
    init(_ root: String) throws {
        self.root = root
        try add([])
    }

    /// The lines of a description that the present account can restore, without the fields that it cannot.
    static func comparable(_ lines: [String]) -> [String] {
        guard geteuid() != 0 else { return lines }
        return lines.compactMap { line in
            var fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count == 9, !["b", "c"].contains(fields[0]) else { return nil }
            fields[2] = "-"
            let kept = fields[6].split(separator: ",").filter { !$0.hasPrefix("security.") }
            fields[6] = kept.isEmpty ? "-" : Substring(kept.joined(separator: ","))
            if fields[1].count == 4 { fields[1] = fields[1].dropFirst() }
            return fields.joined(separator: "\t")
        }
    }

    private mutating func add(_ path: [UInt8]) throws {
        let place = (Array(root.utf8) + (path.isEmpty ? [] : [0x2F] + path)).map { CChar(bitPattern: $0) } + [0]
        var info = stat()
        try #require(lstat(place, &info) == 0)
        let name = path.isEmpty ? "." : Self.escaped(path)
        var (letter, content, size) = ("?", "-", 0)
        switch info.st_mode & S_IFMT {
        case S_IFREG:
            (letter, size) = ("f", Int(info.st_size))
            content = try Self.digest(place)
        case S_IFDIR: letter = "d"
        case S_IFLNK:
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = buffer.withUnsafeMutableBytes { readlink(place, $0.baseAddress, $0.count) }
            (letter, content) = ("l", Self.escaped(buffer.prefix(max(0, count))))
        case S_IFIFO: letter = "p"
        case S_IFSOCK: letter = "s"
        case S_IFCHR: (letter, content) = ("c", Self.device(UInt64(info.st_rdev)))
        case S_IFBLK: (letter, content) = ("b", Self.device(UInt64(info.st_rdev)))
        default: break
        }
        let mode = letter == "l" ? "0" : String(info.st_mode & 0o7777, radix: 8)
        let nanoseconds = String(info.st_mtim.tv_nsec)
        let time = "\(info.st_mtim.tv_sec).\(String(repeating: "0", count: 9 - nanoseconds.count))\(nanoseconds)"
        let identity = [UInt64(info.st_dev), UInt64(info.st_ino)]
        let same = letter == "d" ? name : first[identity] ?? name
        first[identity] = same
        let fields = [
            letter, mode, "\(info.st_uid):\(info.st_gid)", "\(size)", time, content, Self.attributes(place), same, name,
        ]
        lines.append(fields.joined(separator: "\t"))
        guard letter == "d" else { return }
        for child in try Self.names(place) { try add(path.isEmpty ? child : path + [0x2F] + child) }
    }

    private static func names(_ place: [CChar]) throws -> [[UInt8]] {
        let stream = try #require(opendir(place))
        defer { closedir(stream) }
        var found: [[UInt8]] = []
        while let record = readdir(stream) {
            let name = withUnsafeBytes(of: &record.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != [0x2E], name != [0x2E, 0x2E] { found.append(name) }
        }
        return found.sorted { $0.lexicographicallyPrecedes($1) }
    }

    private static func digest(_ place: [CChar]) throws -> String {
        let name = place.dropLast().map { UInt8(bitPattern: $0) }
        let sum = try IndependentReader.run(program: "/usr/bin/sha256sum", standardInput: name)
        return String(sum.prefix(64))
    }

    private static func attributes(_ place: [CChar]) -> String {
        var list = [UInt8](repeating: 0, count: 4096)
        let count = list.withUnsafeMutableBytes { llistxattr(place, $0.baseAddress, $0.count) }
        let names = list.prefix(max(0, count)).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        let texts = names.sorted().map { name in
            var value = [UInt8](repeating: 0, count: 4096)
            let length = value.withUnsafeMutableBytes { lgetxattr(place, name, $0.baseAddress, $0.count) }
            return "\(name)=" + value.prefix(max(0, length)).map { hexadecimal($0) }.joined()
        }
        return texts.isEmpty ? "-" : texts.joined(separator: ",")
    }

    private static func device(_ number: UInt64) -> String {
        let major = (number >> 8 & 0xFFF) | (number >> 32 & 0xFFFF_F000)
        return "\(major):\((number & 0xFF) | (number >> 12 & 0xFFFF_FF00))"
    }

    private static func hexadecimal(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    static func escaped(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { byte in
            let isPlain = (33..<127).contains(byte) && ![0x5C, 0x3D, 0x2C].contains(byte)
            return isPlain ? String(UnicodeScalar(byte)) : "\\x" + hexadecimal(byte)
        }.joined()
    }
}
