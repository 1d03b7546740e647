import Glibc
import Testing

@testable import Collectors

@Suite("Directories that are held open")
struct HeldDirectoryTests {
    @Test(
        "Links of this account lead to one, one behind the other, each from where it lies; what leads nowhere is none")
    func links() throws {
        let bench = try Workbench()
        for name in ["real", "a"] { try bench.directory(name) }
        try bench.link("../b", "a/one")
        try bench.link(bench.place("real"), "b")
        let held = try #require(try DirectoryHandle.existing(bench.place("a/one/")))
        #expect(held.isAt(bench.place("real")) && held.isAt(bench.place("a/one"), throughLink: true))
        #expect(!held.isAt(bench.place("a/one")) && !held.isAt(bench.place("a/one/")))

        try bench.link("loop", "loop")
        try bench.link("nothing", "dangling")
        try bench.file("file")
        try bench.link("file", "filed")
        for name in ["loop", "dangling", "file", "filed", "nothing"] {
            #expect(try DirectoryHandle.existing(bench.place(name)) == nil, "\(name)")
        }
    }

    @Test("A link of another account is refused, behind one of this account too", .enabled(if: geteuid() == 0))
    func foreign() throws {
        let bench = try Workbench()
        try bench.directory("real")
        try bench.link("real", "theirs")
        try #require(lchown(bench.place("theirs"), 65534, 65534) == 0)
        try bench.link("theirs", "ours")
        for name in ["theirs", "ours"] {
            let error = #expect(throws: CollectorError.self) { try DirectoryHandle.existing(bench.place(name)) }
            #expect(error?.code == .unsafePath, "\(name)")
        }
    }

    @Test("Another directory that took its path is not it")
    func replaced() throws {
        let bench = try Workbench()
        try bench.directory("real")
        let held = try #require(try DirectoryHandle.existing(bench.place("real")))
        try #require(rename(bench.place("real"), bench.place("away")) == 0)
        #expect(!held.isAt(bench.place("real")) && held.isAt(bench.place("away")))
        try bench.directory("real")
        #expect(!held.isAt(bench.place("real"), throughLink: true))
    }
}
