import Domain
import Glibc
import TestSupport
import Testing

@testable import Collectors

@Suite("Restoring entries")
struct FileTreeRestorerTests {
    private func restorer(_ bench: Workbench, _ conflict: ConflictPolicy = .refuse) throws -> FileTreeRestorer {
        try FileTreeRestorer(RestoreOptions(target: bench.bytes("target"), conflict: conflict))
    }

    /// Restores one entry; content is as many letters `n` as its size says.
    private func restore(_ entry: Entry, _ restorer: FileTreeRestorer) throws {
        if try restorer.linkIfKnown(entry, as: entry.path) { return }
        guard let file = try restorer.begin(entry, as: entry.path) else { return }
        let content = [UInt8](repeating: 0x6E, count: Int(entry.size))
        try content.withUnsafeBytes { try file.write($0, at: 0) }
        try file.finish()
    }

    @Test("The target and its parents are made, and refuse to be a file")
    func target() throws {
        let bench = try Workbench()
        let restorer = try FileTreeRestorer(RestoreOptions(target: bench.bytes("x//y/target/")))
        try restore(made(.file, "f", size: 3), restorer)
        #expect(bench.text("x/y/target/f") == "nnn")
        try bench.file("file")
        #expect(throws: CollectorError.self) { _ = try FileTreeRestorer(RestoreOptions(target: bench.bytes("file"))) }
        #expect(throws: CollectorError.self) { _ = try FileTreeRestorer(RestoreOptions(target: [])) }
    }

    @Test("Refuse stops at the first thing in the way, even a directory, and changes nothing")
    func refuse() throws {
        let bench = try Workbench()
        try bench.directory("target")
        try bench.directory("target/d")
        try bench.file("target/f", "old")
        let restorer = try restorer(bench)
        for entry in [
            made(.directory, "d"), made(.file, "f", size: 1), made(.symlink, "f", target: "x"), made(.fifo, "f"),
        ] {
            let error = #expect(throws: CollectorError.self) { try restore(entry, restorer) }
            #expect(error?.code == .conflict)
        }
        #expect(bench.text("target/f") == "old")
        #expect(bench.status("target/d")?.st_mode == S_IFDIR | 0o755)
    }

    @Test("Refuse in place merges directories and leaves their metadata alone")
    func refuseInPlace() throws {
        let bench = try Workbench()
        try bench.directory("target")
        try bench.directory("target/d")
        let restorer = try FileTreeRestorer(RestoreOptions(target: bench.bytes("target"), inPlace: true))
        try restore(made(.directory, "d", permissions: 0o700), restorer)
        try restore(made(.file, "d/f", size: 1), restorer)
        try restorer.finishDirectories()
        #expect(bench.text("target/d/f") == "n")
        #expect(bench.status("target/d")?.st_mode == S_IFDIR | 0o755)
    }

    @Test("Skip leaves what exists and counts it")
    func skip() throws {
        let bench = try Workbench()
        try bench.directory("target")
        try bench.directory("target/d")
        try bench.file("target/d/old", "old")
        try bench.file("target/x", "a file where the archive has a directory")
        let restorer = try restorer(bench, .skip)
        try restore(made(.directory, "d", permissions: 0o700), restorer)
        try restore(made(.file, "d/new", size: 2), restorer)
        try restore(made(.file, "d/old", size: 2), restorer)
        try restore(made(.directory, "x"), restorer)
        try restore(made(.file, "x/inside", size: 1), restorer)
        try restore(made(.file, "y", size: 1), restorer)
        try restorer.finishDirectories()
        #expect(bench.text("target/d/old") == "old")
        #expect(bench.text("target/d/new") == "nn")
        #expect(bench.text("target/y") == "n")
        #expect(bench.status("target/d")?.st_mode == S_IFDIR | 0o755)
        #expect(restorer.skippedCount == 2)
        #expect(restorer.problems.take().map(\.what) == [.insideNotCreated])
    }

    @Test("What a restore that was killed left is made anew or completed, and what is another's is left alone")
    func ended() throws {
        let bench = try Workbench()
        try bench.directory("target")
        try bench.directory("target/d")
        try bench.file("target/d/half", "")
        try bench.file("target/d/theirs", "kept")
        try bench.file("target/d/two", "")
        try #require(link(bench.place("target/d/two"), bench.place("target/d/names")) == 0)
        chmod(bench.place("target/d/half"), 0o1200)
        chmod(bench.place("target/d/two"), 0o1200)
        chmod(bench.place("target/d"), 0o5700)
        try bench.directory("target/empty")
        chmod(bench.place("target/empty"), 0o1700)
        try bench.directory("target/private")
        try bench.file("target/private/f", "kept")
        chmod(bench.place("target/private"), 0o1700)
        let restorer = try restorer(bench, .skip)
        try restore(made(.directory, "d", permissions: 0o750), restorer)
        for name in ["half", "names", "theirs", "two"] { try restore(made(.file, "d/\(name)", size: 4), restorer) }
        for name in ["empty", "private"] { try restore(made(.directory, name, permissions: 0o755), restorer) }
        try restorer.finishDirectories()
        #expect(bench.text("target/d/half") == "nnnn" && bench.text("target/d/theirs") == "kept")
        #expect(bench.text("target/d/two") == "nnnn" && bench.text("target/d/names") == "nnnn")
        #expect(restorer.skippedCount == 1)
        #expect(bench.status("target/empty")?.st_mode == S_IFDIR | 0o755)
        #expect(bench.status("target/private")?.st_mode == S_IFDIR | 0o1700)
        #expect(bench.status("target/d")?.st_mode == S_IFDIR | 0o750)
        #expect(bench.status("target/d/half")?.st_mode != S_IFREG | 0o1200 && restorer.problems.isEmpty)
    }

    @Test(
        "What root's restore had given away already when it was killed is its own all the same",
        .enabled(if: geteuid() == 0))
    func givenAway() throws {
        let bench = try Workbench()
        try bench.directory("target")
        try bench.directory("target/d")
        for (name, owner) in [("half", uid_t(65_534)), ("another's", 65_533)] {
            try bench.file("target/d/\(name)", "")
            chmod(bench.place("target/d/\(name)"), 0o1200)
            try #require(chown(bench.place("target/d/\(name)"), owner, gid_t.max) == 0)
        }
        chmod(bench.place("target/d"), 0o5700)
        try #require(chown(bench.place("target/d"), 65_534, gid_t.max) == 0)
        let restorer = try restorer(bench, .skip)
        var directory = made(.directory, "d", permissions: 0o750)
        directory.userID = 65_534
        try restore(directory, restorer)
        for name in ["another's", "half"] {
            var file = made(.file, "d/\(name)", size: 4)
            file.userID = 65_534
            try restore(file, restorer)
        }
        try restorer.finishDirectories()
        #expect(bench.text("target/d/half") == "nnnn")
        #expect(bench.status("target/d/another's")?.st_mode == S_IFREG | 0o1200 && restorer.skippedCount == 1)
        #expect(bench.status("target/d")?.st_mode == S_IFDIR | 0o750)
    }

    @Test("A file that was removed while it was restored is a problem")
    func removed() throws {
        let bench = try Workbench()
        let restorer = try restorer(bench, .refuse)
        let file = try #require(try restorer.begin(made(.file, "f", size: 2), as: Array("f".utf8)))
        try #require(try file.make() && unlink(bench.place("target/f")) == 0)
        try file.finish()
        #expect(restorer.problems.take().map(\.what) == [.changed])
    }

    @Test("Until it is finished a file shows that it is not")
    func mark() throws {
        let bench = try Workbench()
        let restorer = try restorer(bench, .refuse)
        let file = try #require(try restorer.begin(made(.file, "f", size: 2), as: Array("f".utf8)))
        #expect(try file.make() && bench.status("target/f")?.st_mode == S_IFREG | 0o1200)
        try [UInt8]("ab".utf8).withUnsafeBytes { try file.write($0, at: 0) }
        try file.finish()
        #expect(bench.status("target/f")?.st_mode != S_IFREG | 0o1200 && bench.text("target/f") == "ab")
    }

    @Test("Overwrite replaces the name, never the content of another name or the target of a link")
    func overwrite() throws {
        let bench = try Workbench()
        try bench.directory("target")
        for name in ["shared", "pointed at"] { try bench.file(name, "untouched") }
        try #require(link(bench.place("shared"), bench.place("target/a")) == 0)
        try bench.link("../pointed at", "target/b")
        try bench.directory("target/c")
        try bench.file("target/c/kept", "kept")
        try bench.link("../pointed at", "target/d")
        let restorer = try restorer(bench, .overwrite)
        try restore(made(.file, "a", size: 1), restorer)
        try restore(made(.file, "b", size: 1), restorer)
        try restore(made(.file, "c", size: 1), restorer)
        try restore(made(.directory, "d", permissions: 0o700), restorer)
        try restore(made(.file, "d/new", size: 1), restorer)
        try restorer.finishDirectories()
        for name in ["shared", "pointed at"] { #expect(bench.text(name) == "untouched") }
        for name in ["a", "b", "d/new"] { #expect(bench.text("target/\(name)") == "n") }
        #expect(bench.text("target/c/kept") == "kept")
        #expect(restorer.problems.take().map(\.what) == [.kindConflict])
        #expect(
            try bench.walk(["target"]) == [
                "target", "target/a", "target/b", "target/c", "target/c/kept", "target/d", "target/d/new",
            ])
    }

    @Test("The old file keeps its name until the new one is finished")
    func atomicity() throws {
        let bench = try Workbench()
        try bench.directory("target")
        try bench.file("target/f", "old")
        let restorer = try restorer(bench, .overwrite)
        let file = try #require(try restorer.begin(made(.file, "f", size: 1), as: Array("f".utf8)))
        #expect(bench.text("target/f") == "old")
        try [0x6E as UInt8].withUnsafeBytes { try file.write($0, at: 0) }
        #expect(bench.text("target/f") == "old")
        try file.finish()
        #expect(bench.text("target/f") == "n")
        let dropped = try #require(try restorer.begin(made(.file, "f", size: 9), as: Array("f".utf8)))
        dropped.discard()
        #expect(bench.text("target/f") == "n")
        #expect(try bench.walk(["target"]) == ["target", "target/f"])
    }

    @Test("Keep both gives a second name, to directories in the way of nothing but a file, too")
    func keepBoth() throws {
        let bench = try Workbench()
        try bench.directory("target")
        let long = String(repeating: "ä", count: 127)
        for name in ["f", "x", long] { try bench.file("target/\(name)", "old") }
        for _ in 0..<2 {
            let restorer = try restorer(bench, .keepBoth)
            for entry in [
                made(.file, "f", size: 1), made(.directory, "x", permissions: 0o755),
                made(.file, "x/in", size: 1),
                made(.file, long, size: 1),
            ] { try restore(entry, restorer) }
            try restorer.finishDirectories()
            #expect(restorer.problems.isEmpty)
        }
        for name in ["f", "x", long] { #expect(bench.text("target/\(name)") == "old") }
        for name in ["f.restored", "f.restored-2", "x.restored/in", "x.restored-2/in"] {
            #expect(bench.text("target/\(name)") == "n")
        }
        #expect(bench.text("target/\(String(repeating: "ä", count: 123)).restored") == "n")
    }

    @Test("Names of one file share it, also while it is being written, and survive a hidden second name")
    func hardLinks() throws {
        let bench = try Workbench()
        let restorer = try restorer(bench)
        try restore(made(.directory, "d"), restorer)
        let file = try #require(
            try restorer.begin(made(.file, "d/1", size: 1, links: 3, inode: 7), as: Array("d/1".utf8)))
        try restore(made(.file, "d/2", size: 1, links: 3, inode: 7), restorer)
        try restore(made(.file, "e", size: 1, links: 3, inode: 7), restorer)
        try restore(made(.file, "z", size: 1, links: 2, inode: 8), restorer)
        try file.finish()
        let inode = bench.status("target/d/1")?.st_ino
        #expect(bench.status("target/d/2")?.st_ino == inode)
        #expect(bench.status("target/e")?.st_ino == inode)
        #expect(bench.status("target/e")?.st_nlink == 3)
        #expect(bench.status("target/z")?.st_nlink == 1)
    }

    @Test("A first name that somebody replaced is not linked to")
    func replacedSource() throws {
        let bench = try Workbench()
        try bench.file("secret", "secret")
        let restorer = try restorer(bench)
        try restore(made(.file, "1", size: 1, links: 2, inode: 7), restorer)
        try #require(remove(bench.place("target/1")) == 0)
        try #require(link(bench.place("secret"), bench.place("target/1")) == 0)
        try restore(made(.file, "2", size: 1, links: 2, inode: 7), restorer)
        #expect(bench.text("target/2") == "n")
        #expect(restorer.problems.take().map(\.what) == [.hardLinkNotKept])
    }

    @Test("A file that is dropped unfinished is taken away; one that is too short gets zero bytes")
    func unfinished() throws {
        let bench = try Workbench()
        let restorer = try restorer(bench)
        do { _ = try restorer.begin(made(.file, "gone", size: 5), as: Array("gone".utf8)) }
        #expect(!bench.exists("target/gone"))
        let file = try #require(try restorer.begin(made(.file, "f", size: 3), as: Array("f".utf8)))
        try [0x6E as UInt8].withUnsafeBytes { try file.write($0, at: 1) }
        try file.finish()
        #expect(bench.text("target/f") == "\0n\0")
        try file.finish()
        file.discard()
        #expect(bench.exists("target/f"))
    }

    @Test("Content beyond the size is refused")
    func tooMuchContent() throws {
        let bench = try Workbench()
        let restorer = try restorer(bench)
        let file = try #require(try restorer.begin(made(.file, "f", size: 3), as: Array("f".utf8)))
        for (count, offset) in [(4, UInt64(0)), (1, 3), (1, .max), (0, 4)] {
            let bytes = [UInt8](repeating: 1, count: count)
            #expect(throws: CollectorError.self) { try bytes.withUnsafeBytes { try file.write($0, at: offset) } }
        }
    }

    @Test("Values that Linux cannot keep are problems")
    func badValues() throws {
        let bench = try Workbench()
        let restorer = try restorer(bench)
        var entry = made(.file, "a")
        entry.modified.nanoseconds = 0x3FFF_FFFF
        entry.attributes = [
            ExtendedAttribute(name: [], value: []), ExtendedAttribute(name: Array("user.a\0b".utf8), value: []),
            ExtendedAttribute(name: Array("nonsense".utf8), value: []),
        ]
        entry.userID = .max
        try restore(entry, restorer)
        try restore(made(.symlink, "b", target: "with a \0"), restorer)
        try restore(made(.symlink, "c", target: ""), restorer)
        try restore(made(.file, String(repeating: "x", count: 300), size: 1), restorer)
        try restore(made(.directory, String(repeating: "y", count: 300)), restorer)
        try restore(made(.file, String(repeating: "y", count: 300) + "/z"), restorer)
        var late = made(.file, "z")
        late.modified = Timestamp(seconds: .max)
        try restore(late, restorer)
        #expect(
            restorer.problems.take().map(\.what) == [
                .ownershipNotSet, .attributeNotSet, .attributeNotSet, .attributeNotSet, .timeNotSet, .notCreated,
                .notCreated, .notCreated, .notCreated, .insideNotCreated, .timeNotSet,
            ])
    }

    @Test(
        "Without the right to give files away, owners are problems and set-id bits are dropped",
        .enabled(if: geteuid() != 0))
    func withoutRoot() throws {
        let bench = try Workbench()
        let restorer = try restorer(bench)
        var entry = made(.file, "f", size: 1, permissions: 0o6755)
        entry.userID = 0
        entry.groupID = 0
        try restore(entry, restorer)
        var device = made(.characterDevice, "null")
        device.deviceNumber = 0x103
        try restore(device, restorer)
        #expect(bench.status("target/f")?.st_mode == S_IFREG | 0o755)
        #expect(restorer.problems.take().map(\.what) == [.ownershipNotSet, .notCreated])
    }

    @Test("Owners go by name where that is asked for and known here")
    func ownersByName() throws {
        var numbers = OwnerNumbers(goesByName: true)
        var entry = made(.file, "f")
        (entry.userID, entry.groupID) = (4711, 4712)
        entry.userName = Array("root".utf8)
        entry.groupName = Array("no such group here".utf8)
        #expect(numbers.numbers(for: entry) == (0, 4712))
        numbers = OwnerNumbers(goesByName: false)
        #expect(numbers.numbers(for: entry) == (4711, 4712))
    }

    @Test("Threads fill files while the next ones are begun")
    func threads() async throws {
        let bench = try Workbench()
        let restorer = try restorer(bench)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                let path = "d\(number / 20)/f\(number)"
                guard let file = try restorer.begin(made(.file, path, size: 8000), as: Array(path.utf8)) else {
                    continue
                }
                group.addTask {
                    let half = [UInt8](repeating: 0x6E, count: 4000)
                    for offset in [4000, 0] as [UInt64] { try half.withUnsafeBytes { try file.write($0, at: offset) } }
                    try file.finish()
                }
            }
            try await group.waitForAll()
        }
        try restorer.finishDirectories()
        try restorer.sync()
        for number in 0..<200 { #expect(bench.text("target/d\(number / 20)/f\(number)")?.utf8.count == 8000) }
        #expect(restorer.problems.isEmpty)
    }
}
