import Domain
import Glibc
import TestSupport
import Testing

@testable import Collectors

/// What a restore leaves to the threads that fill its files: making them, in directories that are its own alone.
@Suite("Files made by who fills them")
struct PlannedFileTests {
    /// A restorer that has made the directory `d`.
    private func restorer(_ bench: Workbench, _ conflict: ConflictPolicy = .refuse) throws -> FileTreeRestorer {
        try bench.directory("target")
        let restorer = try FileTreeRestorer(RestoreOptions(target: bench.bytes("target"), conflict: conflict))
        #expect(try restorer.begin(made(.directory, "d", permissions: 0o755), as: Array("d".utf8)) == nil)
        return restorer
    }

    private func begin(_ entry: Entry, _ restorer: FileTreeRestorer) throws -> RestoringFile {
        try #require(try restorer.begin(entry, as: entry.path))
    }

    private func fill(_ file: RestoringFile) throws {
        let content = [UInt8](repeating: 0x6E, count: Int(file.size))
        try content.withUnsafeBytes { try file.write($0, at: 0) }
        try file.finish()
    }

    @Test("A file is there when it is filled, closed until it is finished, and then as archived; an empty one too")
    func filled() throws {
        let bench = try Workbench()
        let restorer = try restorer(bench)
        let file = try begin(made(.file, "d/f", size: 2, permissions: 0o4750), restorer)
        let empty = try begin(made(.file, "d/none", permissions: 0o640), restorer)
        #expect(!bench.exists("target/d/f") && !bench.exists("target/d/none") && restorer.isLastRestored)
        #expect(try file.make() && file.make())
        #expect(bench.status("target/d/f")?.st_mode == S_IFREG | 0o1200)
        try fill(file)
        #expect(bench.text("target/d/f") == "nn")
        #expect(bench.status("target/d/f")?.st_mode == S_IFREG | 0o4750)
        #expect(bench.status("target/d/f")?.st_mtim.tv_sec == 1_000_000_000)
        try empty.finish()
        #expect(bench.text("target/d/none")?.isEmpty == true)
        #expect(bench.status("target/d/none")?.st_mode == S_IFREG | 0o640)
        #expect(bench.status("target/d/none")?.st_mtim.tv_sec == 1_000_000_000)
        try restorer.finishDirectories()
        #expect(bench.status("target/d")?.st_mode == S_IFDIR | 0o755 && restorer.problems.isEmpty)
    }

    @Test("Without holes wanted, it gets its room when it is made")
    func allocated() throws {
        let bench = try Workbench()
        let restorer = try FileTreeRestorer(RestoreOptions(target: bench.bytes("target"), sparse: false))
        let file = try begin(made(.file, "f", size: 1 << 20), restorer)
        #expect(try file.make())
        #expect(try #require(bench.status("target/f")).st_blocks * 512 >= 1 << 20)
        try file.finish()
    }

    @Test(
        "What took the name meanwhile stays as it is, and that is one problem",
        arguments: [ConflictPolicy.refuse, .skip, .overwrite])
    func taken(policy: ConflictPolicy) throws {
        let bench = try Workbench()
        let restorer = try restorer(bench, policy)
        try bench.file("outside", "kept")
        let files = try ["file", "link", "nothing"].map { try begin(made(.file, "d/\($0)", size: 1), restorer) }
        let empty = try begin(made(.file, "d/zero"), restorer)
        try bench.file("target/d/file", "theirs")
        try bench.file("target/d/zero", "theirs")
        try bench.link("../../outside", "target/d/link")
        try bench.link("../../new", "target/d/nothing")
        for file in files + [empty] {
            #expect(try !file.make() && !file.make())
            try fill(file)
        }
        #expect(bench.text("target/d/file") == "theirs" && bench.text("target/d/zero") == "theirs")
        #expect(bench.text("outside") == "kept" && !bench.exists("new"))
        #expect(restorer.skippedCount == 0)
        let problems = restorer.problems.take()
        #expect(problems.map(\.what) == [.notCreated, .notCreated, .notCreated, .notCreated])
        #expect(problems.allSatisfy { $0.systemError == EEXIST })
        #expect(problems.map(\.path) == (files + [empty]).map(\.path))
    }

    @Test("What cannot be made is a problem of its own, and the next file is restored")
    func failed() throws {
        let bench = try Workbench()
        let restorer = try restorer(bench)
        let lost = try begin(made(.file, "d/f", size: 1), restorer)
        let long = try begin(made(.file, "d/" + String(repeating: "x", count: 300)), restorer)
        let next = try begin(made(.file, "e/f", size: 1), restorer)
        #expect(try !long.make())
        try #require(rmdir(bench.place("target/d")) == 0)
        #expect(try !lost.make())
        try fill(next)
        #expect(restorer.problems.take().map(\.systemError) == [ENAMETOOLONG, ENOENT])
        #expect(bench.text("target/e/f") == "n")
    }

    @Test("What is given up before it is made never appears")
    func discarded() throws {
        let bench = try Workbench()
        let restorer = try restorer(bench)
        let file = try begin(made(.file, "d/f", size: 1), restorer)
        file.discard()
        #expect(try !file.make())
        try fill(file)
        do { _ = try begin(made(.file, "d/g", size: 1), restorer) }
        #expect(try bench.walk(["target"]) == ["target", "target/d"])
        #expect(restorer.problems.isEmpty)
    }

    @Test("Where something may be in the way, files are made at once: what was there before, several names, two of one")
    func atOnce() throws {
        let bench = try Workbench()
        let restorer = try restorer(bench)
        let linked = try begin(made(.file, "d/f", size: 1, links: 2, inode: 7), restorer)
        #expect(bench.exists("target/d/f"))
        #expect(try restorer.linkIfKnown(made(.file, "d/g", size: 1, links: 2, inode: 7), as: Array("d/g".utf8)))
        try fill(linked)
        #expect(bench.text("target/d/g") == "n")
        let there = try begin(made(.file, "z", size: 1), restorer)
        #expect(bench.exists("target/z"))
        try fill(there)
        let other = try Workbench()
        let keeping = try self.restorer(other, .keepBoth)
        let both = try begin(made(.file, "d/f", size: 1), keeping)
        #expect(other.exists("target/d/f"))
        try fill(both)
        #expect(keeping.problems.isEmpty && restorer.problems.isEmpty)
    }

    @Test("An ACL that it inherited when it was made leaves no trace")
    func inheritedACL() throws {
        let bench = try Workbench()
        for name in ["source", "source/d", "above"] { try bench.directory(name) }
        for name in ["source/f", "source/d/f"] { try bench.file(name) }
        let code = setAttribute(
            bench.place("above"), "system.posix_acl_default", FidelityTree.aclBytes(user: 4321, ownerRights: 7))
        try #require(code == 0)
        // The target is made by the restore, and gets what is set above it.
        let problems = try Copy.tree(bench.bytes("source"), RestoreOptions(target: bench.bytes("above/target")))
        #expect(problems.map(\.message) == [])
        let found = TreeComparison.differences(bench.bytes("source"), bench.bytes("above/target"))
            .filter { !$0.path.isEmpty }
        #expect(found.map(\.description) == [])
    }

    @Test("Threads that fill one file at once make it once")
    func together() async throws {
        let bench = try Workbench()
        let restorer = try restorer(bench)
        let parts = 8
        for number in 0..<200 {
            let file = try begin(made(.file, "d/\(1000 + number)", size: UInt64(parts)), restorer)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for offset in 0..<UInt64(parts) {
                    group.addTask { try [0x6E as UInt8].withUnsafeBytes { try file.write($0, at: offset) } }
                }
                try await group.waitForAll()
            }
            try file.finish()
            #expect(bench.text("target/d/\(1000 + number)") == "nnnnnnnn")
        }
        #expect(restorer.problems.isEmpty)
    }
}
