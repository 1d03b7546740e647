import CLinux
@testable import Collectors
import Domain
import Glibc
import Testing

/// A directory of its own for one test, removed afterwards.
final class Workbench {
    let path: String

    init() throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/qala-collectors-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.erase(Array(path.utf8CString.dropLast())) }

    private static func erase(_ path: [CChar]) {
        if unlink(path + [0]) == 0 { return }
        chmod(path + [0], 0o700)
        if let stream = opendir(path + [0]) {
            while let record = readdir(stream) {
                let name = withUnsafeBytes(of: &record.pointee.d_name) {
                    $0.prefix { $0 != 0 }.map { CChar(bitPattern: $0) }
                }
                if name != [0x2E], name != [0x2E, 0x2E] { erase(path + [0x2F] + name) }
            }
            closedir(stream)
        }
        rmdir(path + [0])
    }

    func bytes(_ name: String) -> [UInt8] { Array("\(path)/\(name)".utf8) }
    func place(_ name: String) -> String { "\(path)/\(name)" }

    func directory(_ name: String) throws { try #require(mkdir(place(name), 0o755) == 0) }

    func file(_ name: String, _ text: String = "text") throws {
        let file = open(place(name), O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        try #require(file >= 0)
        defer { close(file) }
        try #require(write(file, text, text.utf8.count) == text.utf8.count)
    }

    func link(_ target: String, _ name: String) throws { try #require(symlink(target, place(name)) == 0) }

    /// The content of a file; nil when there is none.
    func text(_ name: String) -> String? {
        let file = open(place(name), O_RDONLY | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = read(file, &buffer, buffer.count)
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }

    func exists(_ name: String) -> Bool { status(name) != nil }

    func status(_ name: String) -> stat? {
        var status = stat()
        return lstat(place(name), &status) == 0 ? status : nil
    }

    /// The paths that a walk hands out, relative to this directory; those above it are left out.
    func walk(
        _ roots: [String] = [""], _ change: (inout WalkOptions) -> Void = { _ in }, after: String? = nil
    ) throws -> [String] {
        var options = WalkOptions(
            roots: roots.map { Array("\(path)\($0.isEmpty ? "" : "/")\($0)".utf8) }, walksAhead: true)
        change(&options)
        let walker = try FileTreeWalker(options)
        if let after { walker.seek(after: Array("\(path)/\(after)".utf8.dropFirst())) }
        var found: [String] = []
        while try walker.next() {
            let display = walker.entry.displayPath
            if display.hasPrefix(path + "/") { found.append(String(display.dropFirst(path.utf8.count + 1))) }
        }
        #expect(walker.problems.isEmpty)
        return found
    }
}

/// An entry as a test wants it, whatever the file system says.
func made(
    _ kind: EntryKind, _ path: String, size: UInt64 = 0, permissions: UInt16 = 0o644, target: String = "",
    links: UInt32 = 1, inode: UInt64 = 1
) -> Entry {
    var entry = Entry(
        path: Array(path.utf8), kind: kind, permissions: permissions, userID: geteuid(), groupID: getegid(), size: size,
        modified: Timestamp(seconds: 1_000_000_000), changed: Timestamp(seconds: 1_000_000_000), device: 1,
        inode: inode, linkCount: links)
    entry.linkTarget = Array(target.utf8)
    return entry
}

/// Copies trees with the walker and the restorer, as an archive would in between.
enum Copy {
    /// Restores what lies under `root` into `target`; returns the problems of both sides.
    @discardableResult
    static func tree(
        _ root: [UInt8], _ options: RestoreOptions, usesOpenFile: Bool = true
    ) throws -> [FileProblem] {
        let walker = try FileTreeWalker(WalkOptions(roots: [root]))
        let restorer = try FileTreeRestorer(options)
        var pending: [(RestoringFile, [(UInt64, [UInt8])])] = []
        while try walker.next() {
            guard PathOrder.isInside(walker.entry.path, Array(root.dropFirst())),
                walker.entry.path.count >= root.count
            else { continue }
            let path = Array(walker.entry.path[root.count...])
            guard walker.entry.kind == .file else {
                try walker.loadDetails()
                if try !restorer.linkIfKnown(walker.entry, as: path) {
                    let file = try restorer.begin(walker.entry, as: path)
                    #expect(file == nil)
                }
                continue
            }
            let source = try walker.open()
            if usesOpenFile { try walker.loadDetails(using: source) } else { try walker.loadDetails() }
            if try restorer.linkIfKnown(walker.entry, as: path) { continue }
            guard let file = try restorer.begin(walker.entry, as: path) else { continue }
            pending.append((file, try ranges(source)))
        }
        // Late and out of order, as threads would.
        for (file, ranges) in pending.reversed() {
            for (offset, bytes) in ranges.reversed() { try bytes.withUnsafeBytes { try file.write($0, at: offset) } }
            try file.finish()
        }
        try restorer.finishDirectories()
        return walker.problems.take() + restorer.problems.take()
    }

    private static func ranges(_ file: borrowing OpenFile) throws -> [(UInt64, [UInt8])] {
        var found: [(UInt64, [UInt8])] = []
        var at: UInt64 = 0
        while let start = try file.nextData(from: at), start < file.status.size {
            at = try file.nextHole(from: start)
            var bytes = [UInt8](repeating: 0, count: Int(at - start))
            let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: start) }
            found.append((start, Array(bytes[..<count])))
        }
        return found
    }
}

/// 0 or a negative `errno`.
func setAttribute(_ path: String, _ name: String, _ value: [UInt8]) -> Int32 {
    let object = tree_open(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, 0)
    guard object >= 0 else { return object }
    defer { close(object) }
    return value.withUnsafeBytes { tree_set_attribute(object, 0, name, $0.baseAddress, $0.count) }
}
