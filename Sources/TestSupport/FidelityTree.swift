import CLinux
import Glibc

/// Makes a small tree that holds one of everything Linux can keep in a file system, for tests of fidelity.
///
/// What only root can make is left out for other accounts.
package struct FidelityTree {
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    /// Absolute path of the tree.
    package let root: [UInt8]
    private let isRoot = geteuid() == 0

    /// Makes the tree in the new directory `root`.
    @discardableResult
    package init(at root: [UInt8]) throws {
        self.root = root
        try check(mkdir(c(""), 0o755), "mkdir")
        try makeFiles()
        try makeSparseFiles()
        try makeNames()
        try makeLinks()
        try makeNodes()
        try makePermissions()
        try makeAttributes()
        try makeDepth()
        try makeTimes()
    }

    /// A POSIX ACL as its attribute holds it: owner, one named user, group, mask, others.
    package static func aclBytes(user: UInt32, ownerRights: UInt8 = 6, mask: UInt8 = 6) -> [UInt8] {
        let none = UInt32.max
        let rows: [(UInt16, UInt8, UInt32)] = [
            (1, ownerRights, none), (2, 6, user), (4, 4, none), (0x10, mask, none), (0x20, 0, none),
        ]
        var bytes: [UInt8] = [2, 0, 0, 0]
        for (tag, rights, id) in rows {
            bytes += [UInt8(tag), 0, rights, 0]
            withUnsafeBytes(of: id.littleEndian) { bytes += $0 }
        }
        return bytes
    }

    /// `cap_net_raw` permitted and effective, revision 2.
    package static let capabilityBytes: [UInt8] = [1, 0, 0, 2, 0, 0x20] + [UInt8](repeating: 0, count: 14)

    // MARK: Parts

    private func makeFiles() throws {
        try file("plain", "some text\n")
        try file("empty", "")
        var state: UInt64 = 88_172_645_463_325_252
        var bytes: [UInt8] = []
        for _ in 0..<(1 << 17) {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            withUnsafeBytes(of: state) { bytes += $0 }
        }
        try file("large", bytes + [1, 2, 3])
        try directory("wide")
        for number in 0..<500 { try file("wide/f\(number * 7919 % 500)", "\(number)") }
        try directory("empty directory")
    }

    private func makeSparseFiles() throws {
        try sparse("hole at start", size: 3 << 20, data: [2 << 20])
        try sparse("hole at end", size: 3 << 20, data: [0])
        try sparse("holes between", size: (8 << 20) + 5, data: [1 << 20, 3 << 20, 8 << 20])
        try sparse("only a hole", size: 10 << 20, data: [])
    }

    private func makeNames() throws {
        try directory("names")
        for byte in UInt8(1)...255 where byte != 0x2F && byte != 0x2E {
            try file(Array("names/".utf8) + [byte], "\(byte)")
        }
        try file(Array("names/".utf8) + [0xFF, 0xFE, 0x0A, 0xC3], "not text")
        try file(Array("names/".utf8) + [UInt8](repeating: 0x6E, count: 255), "long")
        for name in ["-rf", " blank ", "a.b", "a-b", "...", "ünïcödé", "\u{202E}rtl", "ab.c"] {
            try file("names/\(name)", name)
        }
        // The order of paths is not the order of their bytes.
        try directory("names/ab")
        try file("names/ab/b", "inside")
    }

    private func makeLinks() throws {
        try directory("links")
        try link("../plain", "links/relative")
        try link("/etc/passwd", "links/absolute")
        try link("no such thing", "links/dangling")
        try link(".", "links/loop")
        try link(String(repeating: "x/", count: 2000), "links/long")
        try file("links/one", "three names")
        try hardLink("links/one", "links/two")
        try hardLink("links/one", "three")
        try hardLink("links/relative", "links/same link")
        try check(mkfifo(c("links/pipe"), 0o640), "mkfifo")
        try hardLink("links/pipe", "links/same pipe")
    }

    private func makeNodes() throws {
        try directory("nodes")
        try check(mkfifo(c("nodes/pipe"), 0o620), "mkfifo")
        try check(mknod(c("nodes/socket"), S_IFSOCK | 0o755, 0), "mknod")
        guard isRoot else { return }
        try check(mknod(c("nodes/null"), S_IFCHR | 0o666, dev_t(1 << 8 | 3)), "mknod")
        try check(mknod(c("nodes/loop"), S_IFBLK | 0o660, dev_t(7 << 8 | 200)), "mknod")
        try check(mknod(c("nodes/large number"), S_IFCHR | 0o600, dev_t(0x12 << 8 | 0x34 | 0x56 << 20)), "mknod")
        try check(chown(c("nodes/pipe"), 1234, 5678), "chown")
    }

    private func makePermissions() throws {
        try directory("permissions")
        for mode: mode_t in [0o000, 0o400, 0o444, 0o600, 0o666, 0o777, 0o4755, 0o2755, 0o6711, 0o1644] {
            if !isRoot, mode & 0o400 == 0 { continue }
            let name = "permissions/\(String(mode, radix: 8))"
            try file(name, "mode")
            if isRoot { try check(chown(c(name), 1000, 1001), "chown") }
            try check(chmod(c(name), mode), "chmod")
        }
        for mode: mode_t in [0o500, 0o711, 0o1777, 0o2775, 0o3770] + (isRoot ? [0o000, 0o100] : []) {
            let name = "permissions/d\(String(mode, radix: 8))"
            try directory(name)
            if isRoot { try check(chown(c(name), 1000, 1001), "chown") }
            try check(chmod(c(name), 0o700), "chmod")
            try file(name + "/inside", "content")
            try check(chmod(c(name), mode), "chmod")
        }
        guard isRoot else { return }
        try link("x", "permissions/owned link")
        try check(lchown(c("permissions/owned link"), 1000, UInt32.max - 1), "lchown")
    }

    private func makeAttributes() throws {
        try directory("attributes")
        try file("attributes/file", "x")
        try attribute("attributes/file", "user.empty", [])
        try attribute("attributes/file", "user.bytes", Array(0...255))
        try attribute("attributes/file", "user.large", [UInt8](repeating: 7, count: 2000))
        try attribute("attributes", "user.on a directory", [1])
        try file("attributes/acl", "x")
        try attribute("attributes/acl", "system.posix_acl_access", Self.aclBytes(user: 1234))
        try directory("attributes/default")
        try attribute(
            "attributes/default", "system.posix_acl_access", Self.aclBytes(user: 1235, ownerRights: 7, mask: 7))
        try attribute("attributes/default", "system.posix_acl_default", Self.aclBytes(user: 1236, ownerRights: 7))
        try file("attributes/default/inherits", "x")
        try directory("attributes/default/inherits too")
        try file("attributes/default/does not inherit", "x")
        let plain = open(c("attributes/default/does not inherit"), O_RDONLY)
        defer { close(plain) }
        try check(tree_remove_attribute(plain, "system.posix_acl_access"), "remove an ACL")
        guard isRoot else { return }
        try file("attributes/capable", "x")
        try check(chown(c("attributes/capable"), 1000, 1000), "chown")
        try check(chmod(c("attributes/capable"), 0o755), "chmod")
        try attribute("attributes/capable", "security.capability", Self.capabilityBytes)
        try attribute("attributes/capable", "trusted.note", [1, 2])
        try link("capable", "attributes/link")
        try attribute("attributes/link", "trusted.on a link", [3])
    }

    private func makeDepth() throws {
        var path = "deep"
        try directory(path)
        for _ in 0..<1000 {
            path += "/d"
            try directory(path)
        }
        try file(path + "/bottom", "far down")
    }

    private func makeTimes() throws {
        for (name, seconds, nanoseconds) in [
            ("before 1970", -1_500_000_000, 999_999_999), ("second before", -1, 1), ("zero", 0, 0),
            ("after 2038", 4_294_967_296, 123_456_789), ("far", 15_032_385_535, 5),
        ] {
            try file(name, name)
            try link(name, "\(name) link")
            try time(name, seconds, nanoseconds)
            try time("\(name) link", seconds, nanoseconds)
        }
        try time("links", 1_000_000_000, 1)
        try time("permissions/d500", -77, 7)
        try time("attributes/default", 1_234_567_890, 987_654_321)
        try time("deep/d/d/d", 99, 9)
        try time("", 1_111_111_111, 1)
    }

    // MARK: Steps

    private func c(_ path: [UInt8]) -> [CChar] {
        (path.isEmpty ? root : root + [0x2F] + path).map { CChar(bitPattern: $0) } + [0]
    }

    private func c(_ path: String) -> [CChar] { c(Array(path.utf8)) }

    private func check(_ result: Int32, _ call: String) throws {
        if result != 0 { throw Failure(description: "\(call): error \(errno)") }
    }

    private func directory(_ path: String) throws { try check(mkdir(c(path), 0o755), "mkdir \(path)") }

    private func file(_ path: String, _ text: String) throws { try file(Array(path.utf8), Array(text.utf8)) }
    private func file(_ path: String, _ bytes: [UInt8]) throws { try file(Array(path.utf8), bytes) }
    private func file(_ path: [UInt8], _ text: String) throws { try file(path, Array(text.utf8)) }

    private func file(_ path: [UInt8], _ bytes: [UInt8]) throws {
        let file = open(c(path), O_WRONLY | O_CREAT | O_EXCL, 0o644)
        guard file >= 0 else { throw Failure(description: "open: error \(errno)") }
        defer { close(file) }
        guard pwrite(file, bytes, bytes.count, 0) == bytes.count else { throw Failure(description: "write: \(errno)") }
    }

    private func sparse(_ path: String, size: Int, data: [Int]) throws {
        let file = open(c(path), O_WRONLY | O_CREAT | O_EXCL, 0o644)
        guard file >= 0 else { throw Failure(description: "open: error \(errno)") }
        defer { close(file) }
        try check(ftruncate(file, size), "ftruncate")
        for offset in data {
            let bytes = [UInt8](repeating: 0xAB, count: min(64 << 10, size - offset))
            guard pwrite(file, bytes, bytes.count, offset) == bytes.count else {
                throw Failure(description: "write: \(errno)")
            }
        }
    }

    private func link(_ target: String, _ path: String) throws {
        try check(symlink(target, c(path)), "symlink \(path)")
    }

    private func hardLink(_ path: String, _ other: String) throws {
        try check(linkat(AT_FDCWD, c(path), AT_FDCWD, c(other), 0), "link \(other)")
    }

    private func attribute(_ path: String, _ name: String, _ value: [UInt8]) throws {
        let object = tree_open(AT_FDCWD, c(path), tree_path_only | O_NOFOLLOW, 0)
        guard object >= 0 else { throw Failure(description: "open \(path): error \(-object)") }
        defer { close(object) }
        let code = value.withUnsafeBytes { tree_set_attribute(object, 1, name, $0.baseAddress, $0.count) }
        if code < 0 { throw Failure(description: "attribute \(name) of \(path): error \(-code)") }
    }

    private func time(_ path: String, _ seconds: Int, _ nanoseconds: Int) throws {
        let times = [timespec(tv_sec: 0, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: nanoseconds)]
        try check(utimensat(AT_FDCWD, c(path), times, AT_SYMLINK_NOFOLLOW), "utimensat \(path)")
    }
}
