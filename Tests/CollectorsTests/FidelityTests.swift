@testable import Collectors
import Domain
import Glibc
import TestSupport
import Testing

@Suite("Fidelity of a walk and a restore")
struct FidelityTests {
    /// Without root, foreign owners cannot be given; the tree then holds none.
    private static let isRoot = geteuid() == 0

    @Test("Everything Linux keeps in a tree comes back", arguments: [true, false])
    func roundTrip(usesOpenFile: Bool) throws {
        let bench = try Workbench()
        try FidelityTree(at: bench.bytes("source"))
        let problems = try Copy.tree(
            bench.bytes("source"), RestoreOptions(target: bench.bytes("target")), usesOpenFile: usesOpenFile)
        #expect(problems.map(\.message) == [])
        // The root of the source itself is not restored; the target keeps its own metadata.
        let found = TreeComparison.differences(bench.bytes("source"), bench.bytes("target"))
            .filter { !$0.path.isEmpty }
        #expect(found.map(\.description) == [])
    }

    @Test("Overwriting a tree that differs in everything gives the archived one")
    func overwrite() throws {
        let bench = try Workbench()
        try FidelityTree(at: bench.bytes("source"))
        try bench.directory("target")
        try bench.file("target/plain", "an older and longer text")
        try bench.link("plain", "target/empty")
        try bench.file("target/three", "not linked")
        try bench.directory("target/links")
        try bench.file("target/links/relative", "not a link")
        try bench.link("/nowhere", "target/nodes")
        try bench.directory("target/attributes")
        try bench.directory("target/attributes/default")
        for _ in 0..<2 {
            let problems = try Copy.tree(
                bench.bytes("source"), RestoreOptions(target: bench.bytes("target"), conflict: .overwrite))
            #expect(problems.map(\.message) == [])
            let found = TreeComparison.differences(bench.bytes("source"), bench.bytes("target"))
                .filter { !$0.path.isEmpty }
            #expect(found.map(\.description) == [])
        }
    }

    @Test("A default ACL on the target leaves no trace in what is restored")
    func inheritedACL() throws {
        let bench = try Workbench()
        try bench.directory("source")
        try bench.directory("source/d")
        try bench.file("source/d/f")
        try bench.file("source/f")
        try bench.directory("target")
        let acl = FidelityTree.aclBytes(user: 4321)
        let code = setAttribute(bench.place("target"), "system.posix_acl_default", acl)
        try #require(code == 0)
        let problems = try Copy.tree(bench.bytes("source"), RestoreOptions(target: bench.bytes("target")))
        #expect(problems.map(\.message) == [])
        let found = TreeComparison.differences(bench.bytes("source"), bench.bytes("target")).filter { !$0.path.isEmpty }
        #expect(found.map(\.description) == [])
    }

    @Test("Without holes wanted, the whole file gets room")
    func allocated() throws {
        let bench = try Workbench()
        try bench.directory("source")
        try bench.file("source/f")
        try #require(truncate(bench.place("source/f"), 1 << 20) == 0)
        try Copy.tree(bench.bytes("source"), RestoreOptions(target: bench.bytes("target"), sparse: false))
        let status = try #require(bench.status("target/f"))
        #expect(status.st_size == 1 << 20)
        #expect(status.st_blocks * 512 >= 1 << 20)
    }

    @Test("Attributes read through /proc equal those of the newer calls")
    func olderKernel() throws {
        let bench = try Workbench()
        let tree = try FidelityTree(at: bench.bytes("source"))
        let newer = try FileTreeWalker(WalkOptions(roots: [tree.root]), usesAttributeCalls: true)
        let older = try FileTreeWalker(WalkOptions(roots: [tree.root]), usesAttributeCalls: false)
        while try newer.next() {
            #expect(try older.next())
            try newer.loadDetails()
            try older.loadDetails()
            #expect(newer.entry == older.entry)
        }
        #expect(newer.problems.isEmpty)
        #expect(older.problems.isEmpty)
    }

    @Test("The comparison that judges fidelity sees every kind of difference")
    func judge() throws {
        let bench = try Workbench()
        try bench.directory("one")
        try bench.directory("other")
        for side in ["one", "other"] {
            for name in ["kind", "permissions", "content", "modified", "attribute", "hole", "link"] {
                try bench.file("\(side)/\(name)", name)
                try #require(utimensat(AT_FDCWD, bench.place("\(side)/\(name)"), [timespec(), timespec()], 0) == 0)
            }
        }
        try #require(remove(bench.place("other/kind")) == 0)
        try bench.directory("other/kind")
        try bench.file("other/extra")
        try #require(chmod(bench.place("other/permissions"), 0o600) == 0)
        try bench.file("other/content", "CONTENT")
        try bench.file("other/modified", "modified")
        try #require(setAttribute(bench.place("other/attribute"), "user.x", [1]) == 0)
        try #require(remove(bench.place("other/link")) == 0)
        try #require(link(bench.place("other/hole"), bench.place("other/link")) == 0)
        try #require(truncate(bench.place("other/hole"), 1 << 20) == 0)
        let fields = Set(TreeComparison.differences(bench.bytes("one"), bench.bytes("other")).map(\.field))
        #expect(
            fields.isSuperset(of: [.kind, .names, .permissions, .content, .modified, .attributes, .size, .hardLinks]))
    }
}
