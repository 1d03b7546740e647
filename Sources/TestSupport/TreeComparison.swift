import CLinux
import Glibc

/// Compares two trees of a file system name by name and field by field.
///
/// It is the judge of collectors and restorers, so it shares no code with them: plain `lstat`, `readdir` and `pread` on
/// path strings. Paths must stay below PATH_MAX.
package enum TreeComparison {
    package enum Field: String, Sendable, CaseIterable {
        case names, kind, permissions, owner, size, modified, deviceNumber, linkTarget, attributes, content, holes
        case hardLinks
    }

    package struct Difference: Sendable, Hashable, CustomStringConvertible {
        /// Relative to both roots; empty for the roots.
        package var path: [UInt8]
        package var field: Field
        package var detail: String

        package var description: String {
            "\(String(decoding: path, as: UTF8.self)): \(field.rawValue) \(detail)"
        }
    }

    /// At most `limit` differences between the trees at `one` and `other`, in all fields but `ignored`.
    package static func differences(
        _ one: [UInt8], _ other: [UInt8], ignoring ignored: Set<Field> = [], limit: Int = 100
    ) -> [Difference] {
        var found: [Difference] = []
        var firstNames: (one: [Inode: [UInt8]], other: [Inode: [UInt8]]) = ([:], [:])
        var pending: [[UInt8]] = [[]]
        while let path = pending.popLast(), found.count < limit {
            let a = Node(root: one, path: path)
            let b = Node(root: other, path: path)
            guard let a, let b else {
                found.append(
                    Difference(path: path, field: .names, detail: a == nil ? "only in the second" : "only in the first")
                )
                continue
            }
            for (field, detail) in compare(a, b) { found.append(Difference(path: path, field: field, detail: detail)) }
            if a.kind == S_IFDIR, b.kind == S_IFDIR {
                for name in Set(a.children()).union(b.children()).sorted(by: { $1.lexicographicallyPrecedes($0) }) {
                    pending.append(path.isEmpty ? name : path + [0x2F] + name)
                }
            } else {
                let first = firstNames.one[a.inode] ?? path
                let second = firstNames.other[b.inode] ?? path
                firstNames.one[a.inode] = first
                firstNames.other[b.inode] = second
                if first != second {
                    found.append(Difference(path: path, field: .hardLinks, detail: "shares another file"))
                }
            }
            found.removeAll { ignored.contains($0.field) }
        }
        return found
    }

    private struct Inode: Hashable {
        var device: UInt64
        var number: UInt64
    }

    private struct Node {
        var place: [CChar]
        var status: stat

        init?(root: [UInt8], path: [UInt8]) {
            place = (path.isEmpty ? root : root + [0x2F] + path).map { CChar(bitPattern: $0) } + [0]
            status = stat()
            guard lstat(place, &status) == 0 else { return nil }
        }

        var kind: mode_t { status.st_mode & S_IFMT }
        var inode: Inode { Inode(device: UInt64(status.st_dev), number: UInt64(status.st_ino)) }

        func children() -> [[UInt8]] {
            guard let stream = opendir(place) else { return [] }
            defer { closedir(stream) }
            var names: [[UInt8]] = []
            while let record = readdir(stream) {
                let name = withUnsafeBytes(of: &record.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
                if name != [0x2E], name != [0x2E, 0x2E] { names.append(name) }
            }
            return names
        }

        func linkTarget() -> [UInt8] {
            var buffer = [CChar](repeating: 0, count: 8192)
            let count = readlink(place, &buffer, buffer.count)
            return buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }
        }

        func attributes() -> [[UInt8]: [UInt8]] {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = buffer.withUnsafeMutableBytes {
                tree_attribute_names_at(AT_FDCWD, place, $0.baseAddress, $0.count, 1)
            }
            var found: [[UInt8]: [UInt8]] = [:]
            for name in buffer.prefix(max(0, count)).split(separator: 0) {
                var value = [UInt8](repeating: 0, count: 65_536)
                let key = name.map { CChar(bitPattern: $0) } + [0]
                let length = value.withUnsafeMutableBytes {
                    tree_attribute_at(AT_FDCWD, place, key, $0.baseAddress, $0.count, 1)
                }
                found[Array(name)] = length < 0 ? nil : Array(value[..<length])
            }
            return found
        }
    }

    private static func compare(_ a: Node, _ b: Node) -> [(Field, String)] {
        var found: [(Field, String)] = []
        func check<T: Equatable>(_ field: Field, _ x: T, _ y: T) {
            if x != y { found.append((field, "\(x) became \(y)")) }
        }
        check(.kind, a.kind, b.kind)
        guard a.kind == b.kind else { return found }
        check(.permissions, a.status.st_mode & 0o7777, b.status.st_mode & 0o7777)
        check(.owner, [a.status.st_uid, a.status.st_gid], [b.status.st_uid, b.status.st_gid])
        check(
            .modified, [a.status.st_mtim.tv_sec, a.status.st_mtim.tv_nsec],
            [b.status.st_mtim.tv_sec, b.status.st_mtim.tv_nsec])
        if a.kind == S_IFCHR || a.kind == S_IFBLK { check(.deviceNumber, a.status.st_rdev, b.status.st_rdev) }
        if a.kind == S_IFLNK { check(.linkTarget, a.linkTarget(), b.linkTarget()) }
        check(.attributes, a.attributes(), b.attributes())
        if a.kind == S_IFREG {
            check(.size, a.status.st_size, b.status.st_size)
            found += compareContent(a, b)
        }
        return found
    }

    private static func compareContent(_ a: Node, _ b: Node) -> [(Field, String)] {
        let first = open(a.place, O_RDONLY)
        let second = open(b.place, O_RDONLY)
        defer {
            close(first)
            close(second)
        }
        guard first >= 0, second >= 0 else { return [(.content, "cannot be opened")] }
        var one = [UInt8](repeating: 0, count: 1 << 18)
        var other = [UInt8](repeating: 0, count: 1 << 18)
        var offset = 0
        while true {
            let count = pread(first, &one, one.count, offset)
            guard count == pread(second, &other, other.count, offset), count >= 0 else {
                return [(.content, "ends differently")]
            }
            if count == 0 { break }
            if memcmp(one, other, count) != 0 { return [(.content, "differs after byte \(offset)")] }
            offset += count
        }
        let (x, y) = (dataRanges(first), dataRanges(second))
        return x == y ? [] : [(.holes, "\(x) became \(y)")]
    }

    /// Where data begins and ends, in turn.
    private static func dataRanges(_ file: Int32) -> [Int64] {
        var bounds: [Int64] = []
        var at: Int64 = 0
        while true {
            at = tree_seek(file, at, bounds.count.isMultiple(of: 2) ? 0 : 1)
            if at < 0 { return bounds }
            bounds.append(at)
        }
    }
}
