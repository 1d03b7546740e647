import Domain
import Glibc
import Testing

@testable import Collectors

@Suite("Walking a tree")
struct FileTreeWalkerTests {
    @Test("Entries come in path order, a directory before its content and before longer names")
    func order() throws {
        let bench = try Workbench()
        for name in ["a", "a/b", "a.b", "B"] { try bench.directory(name) }
        for name in ["a/b/c", "a/z", "a-", "a.b/x", "a!", "zz", "B/1"] { try bench.file(name) }
        #expect(try bench.walk() == ["B", "B/1", "a", "a/b", "a/b/c", "a/z", "a!", "a-", "a.b", "a.b/x", "zz"])
    }

    @Test("Directories above the roots come first, once, and nothing else in them")
    func ancestors() throws {
        let bench = try Workbench()
        for name in ["x", "x/y", "x/y/one", "x/y/other", "x/unseen"] { try bench.directory(name) }
        try bench.file("x/y/one/f")
        try bench.file("x/y/other/g")
        try bench.file("x/y/h")
        let walker = try FileTreeWalker(WalkOptions(roots: [bench.bytes("x/y/other"), bench.bytes("x/y/one")]))
        var all: [String] = []
        while try walker.next() { all.append(walker.entry.displayPath) }
        var above: [String] = []
        var path = ""
        for component in bench.path.split(separator: "/") {
            path += "/\(component)"
            above.append(path)
        }
        let below = ["x", "x/y", "x/y/one", "x/y/one/f", "x/y/other", "x/y/other/g"].map { bench.place($0) }
        #expect(all == above + below)
    }

    @Test("Roots may be files, and roots inside roots and duplicates count once")
    func merging() throws {
        let bench = try Workbench()
        try bench.directory("d")
        try bench.directory("d/e")
        try bench.file("d/e/f")
        try bench.file("d-")
        #expect(try bench.walk(["d/e", "d-", "d", "d/e/f", "d"]) == ["d", "d/e", "d/e/f", "d-"])
    }

    @Test("A root that is a link stays one, unless it ends in a slash; links above it are resolved")
    func linkedRoots() throws {
        let bench = try Workbench()
        try bench.directory("real")
        try bench.directory("real/in")
        try bench.file("real/in/f")
        try bench.link("real", "link")
        #expect(try bench.walk(["link"]) == ["link"])
        #expect(try bench.walk(["link/"]) == ["real", "real/in", "real/in/f"])
        #expect(try bench.walk(["link/in"]) == ["real", "real/in", "real/in/f"])
    }

    @Test("A directory that is held open is walked itself, whatever has its path by then")
    func held() throws {
        let bench = try Workbench()
        for name in ["real", "real/d", "other"] { try bench.directory(name) }
        for name in ["real/a", "real/d/f", "real/d/left", "other/x"] { try bench.file(name) }
        let folder = try #require(try DirectoryHandle.existing(bench.place("real")))
        try #require(rename(bench.place("real"), bench.place("away")) == 0)
        try bench.link("other", "real")
        let walker = FileTreeWalker(in: folder, excludes: try ExcludePatterns(["/d/left"]))
        var found: [String] = []
        while try walker.next() { found.append(String(decoding: walker.entry.path, as: UTF8.self)) }
        #expect(found == ["a", "d", "d/f"])
        #expect(walker.problems.isEmpty)
    }

    @Test("A root that does not exist is an error before anything is read")
    func missingRoot() throws {
        let bench = try Workbench()
        for path in [bench.bytes("nothing"), bench.bytes("nothing/deeper")] {
            let error = #expect(throws: CollectorError.self) { _ = try FileTreeWalker(WalkOptions(roots: [path])) }
            #expect(error?.code == .notFound)
        }
        for path in [Array("relative".utf8), [], [0x2F, 0x61, 0]] {
            let error = #expect(throws: CollectorError.self) { _ = try FileTreeWalker(WalkOptions(roots: [path])) }
            #expect(error?.code == .invalidInput)
        }
        #expect(throws: CollectorError.self) { _ = try FileTreeWalker(WalkOptions(roots: [])) }
    }

    @Test("Excluded paths and trees and caches stay out, and each is reported once")
    func exclusions() throws {
        let bench = try Workbench()
        for name in ["src", "src/build", "src/build/deep", "vault", "cache", "not a cache"] {
            try bench.directory(name)
        }
        for name in ["src/a.o", "src/a.c", "src/build/x", "vault/pack", "cache/x", "not a cache/x"] {
            try bench.file(name)
        }
        try bench.file("cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# made by a test\n")
        try bench.file("not a cache/CACHEDIR.TAG", "Signature: something else")
        let vault = try #require(bench.status("vault"))
        let patterns = try ExcludePatterns(["*.o", "/src/build/"])
        var reported: [String] = []
        let found = try bench.walk([""]) { options in
            options.excludes = patterns
            options.excludeCaches = true
            options.excludedTrees = [FileIdentity(device: UInt64(vault.st_dev), inode: UInt64(vault.st_ino))]
            options.onExcluded = { path, reason in
                reported.append(
                    "\(reason.rawValue) \(String(decoding: path, as: UTF8.self).split(separator: "/").last ?? "")")
            }
        }
        #expect(
            found == [
                "cache", "cache/CACHEDIR.TAG", "not a cache", "not a cache/CACHEDIR.TAG", "not a cache/x", "src",
                "src/a.c", "vault",
            ])
        #expect(reported == ["cacheDirectory cache", "pattern a.o", "pattern build", "excludedTree vault"])
    }

    @Test("Another file system is kept as a directory and not entered")
    func oneFileSystem() throws {
        // /dev/shm is a file system of its own wherever it exists; where it does not, /dev and /proc prove the same.
        let walker = try FileTreeWalker(WalkOptions(roots: [Array("/dev".utf8)], oneFileSystem: true))
        let device = try #require(stat(of: "/dev")).st_dev
        while try walker.next() {
            let path = walker.entry.path
            let parent = String(decoding: path[..<(path.lastIndex(of: 0x2F) ?? 0)], as: UTF8.self)
            if !parent.isEmpty { #expect(stat(of: "/" + parent)?.st_dev == device) }
        }
    }

    @Test("Files of proc and sysfs are read to their end, whatever size they claim, and have not changed by that")
    func madeUpFiles() throws {
        let paths = ["/proc/version", "/proc/cpuinfo", "/sys/kernel/uevent_seqnum", "/sys/class/net/lo/mtu"]
        for path in paths where access(path, R_OK) == 0 {
            let walker = try FileTreeWalker(WalkOptions(roots: [Array(path.utf8)]))
            while try walker.next(), walker.entry.kind != .file {}
            #expect(walker.entry.kind == .file, "\(path)")
            let claimed = walker.entry.size
            let file = try walker.open()
            let size = file.status.size
            #expect(size > 0 && size != claimed && walker.entry.size == size, "\(path)")
            #expect(walker.blocks * 512 >= size)
            var bytes = [UInt8](repeating: 0, count: Int(size) + 10)
            let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
            #expect(count == Int(size) && bytes[count - 1] == 0x0A, "\(path)")
            var rest = [UInt8](repeating: 0, count: 100)
            let tail = try rest.withUnsafeMutableBytes { try file.read(into: $0, at: size - 2) }
            #expect(tail == 2 && rest[..<2].elementsEqual(bytes[(count - 2)..<count]))
            let changed = try file.hasChanged()
            let data = try file.nextData(from: 0)
            let hole = try file.nextHole(from: 0)
            #expect(!changed && data == 0 && hole == size)
        }
        let walker = try FileTreeWalker(WalkOptions(roots: [Array("/proc/version".utf8)]))
        while try walker.next(), walker.entry.kind != .file {}
        let file = try walker.open()
        var bytes = [UInt8](repeating: 0, count: 4)
        _ = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        #expect(bytes.elementsEqual("Linu".utf8))
    }

    @Test("Files that reading empties, or that show the memory of devices, are not read")
    func streams() throws {
        for path in ["/proc/kmsg", "/proc/kcore"] where access(path, F_OK) == 0 && geteuid() == 0 {
            let walker = try FileTreeWalker(WalkOptions(roots: [Array(path.utf8)]))
            while try walker.next(), walker.entry.kind != .file {}
            do {
                let file = try walker.open()
                Issue.record("\(path) was read: \(file.status.size) bytes")
            } catch {
                #expect(error.code == .limit, "\(path)")
            }
        }
    }

    @Test("An empty file of an ordinary file system stays empty")
    func emptyFile() throws {
        let bench = try Workbench()
        try bench.file("f", "")
        let walker = try FileTreeWalker(WalkOptions(roots: [bench.bytes("f")]))
        while try walker.next(), walker.entry.kind != .file {}
        let file = try walker.open()
        let size = file.status.size
        #expect(size == 0 && walker.entry.size == 0)
        var bytes = [UInt8](repeating: 0, count: 1)
        let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        #expect(count == 0)
    }

    private func stat(of path: String) -> Glibc.stat? {
        var status = Glibc.stat()
        return lstat(path, &status) == 0 ? status : nil
    }

    @Test("A walk resumes after any path, whether it still exists or not")
    func resume() throws {
        let bench = try Workbench()
        for name in ["a", "a/b", "a/b/c", "d", "d/e"] { try bench.directory(name) }
        for name in ["a/1", "a/b/2", "a/b/c/3", "a/z", "a.x", "d/e/4", "f"] { try bench.file(name) }
        let all = try bench.walk()
        for (index, path) in all.enumerated() {
            #expect(try bench.walk(after: path) == Array(all[(index + 1)...]), "after \(path)")
        }
        for gone in ["a/b/c/0", "a/b/c/9", "a/b/bb/x/y", "a/b/2/below a file", "0", "zzz", "a.a", "d/e/4/x"] {
            let rest = all.filter { PathOrder.compare(Array($0.utf8), Array(gone.utf8)) > 0 }
            #expect(try bench.walk(after: gone) == rest, "after \(gone)")
        }
    }

    @Test("Thousands of levels need few descriptors")
    func depth() throws {
        let bench = try Workbench()
        var path = "d"
        try bench.directory(path)
        for _ in 0..<1500 {
            path += "/d"
            try bench.directory(path)
        }
        var up = path
        for _ in 0..<40 {
            try bench.file(up + "/f")
            up.removeLast(2 * 30)
        }
        let walker = try FileTreeWalker(WalkOptions(roots: [bench.bytes("")]))
        var files = 0
        var mostOpen = 0
        while try walker.next() {
            guard walker.entry.kind == .file else { continue }
            let file = try walker.open()
            #expect(file.status.size == 4)
            files += 1
            mostOpen = max(mostOpen, walker.openDirectories)
        }
        #expect(files == 40)
        #expect(mostOpen <= DirectoryStack.openLimit + 1)
        #expect(walker.problems.isEmpty)
    }

    @Test("A wide directory comes sorted, and the memory for its names is used again")
    func width() throws {
        let bench = try Workbench()
        for directory in ["one", "two"] {
            try bench.directory(directory)
            for number in 0..<3000 { try bench.file("\(directory)/a long name in common \(number)", "") }
        }
        let found = try bench.walk()
        #expect(found.count == 6002)
        #expect(found == found.sorted { PathOrder.compare(Array($0.utf8), Array($1.utf8)) < 0 })
    }

    @Test("What vanishes or changes under the walk is a problem or an error, never a wrong file")
    func changes() throws {
        let bench = try Workbench()
        for name in ["d", "e"] { try bench.directory(name) }
        for name in ["a", "b", "d/x", "e/x"] { try bench.file(name) }
        let walker = try FileTreeWalker(WalkOptions(roots: [bench.bytes("")]))
        func advance(to name: String) throws {
            while walker.entry.displayPath != bench.place(name) { try #require(try walker.next()) }
        }
        try advance(to: "a")
        try #require(remove(bench.place("a")) == 0)
        try bench.link("b", "a")
        let error = #expect(throws: CollectorError.self) { _ = try walker.open() }
        #expect(error?.code == .changed)
        try #require(remove(bench.place("b")) == 0)
        #expect(try walker.next())
        #expect(walker.entry.displayPath == bench.place("d"))
        #expect(walker.problems.take().map(\.what) == [.vanished])
        try #require(rename(bench.place("d"), bench.place("moved")) == 0)
        try bench.directory("d")
        #expect(try walker.next())
        #expect(walker.entry.displayPath == bench.place("e"))
        #expect(walker.problems.take().map(\.what) == [.changed])
        try #require(rename(bench.place("e"), bench.place("moved too")) == 0)
        try bench.link("d", "e")
        #expect(try !walker.next())
        #expect(walker.problems.take().map(\.what) == [.changed])
    }

    @Test("A file that changes while it is read is noticed")
    func changedWhileRead() throws {
        let bench = try Workbench()
        try bench.file("f", "before")
        let walker = try FileTreeWalker(WalkOptions(roots: [bench.bytes("f")]))
        while try walker.next() {
            guard walker.entry.kind == .file else { continue }
            let file = try walker.open()
            #expect(try !file.hasChanged())
            try bench.file("f", "afterwards")
            #expect(try file.hasChanged())
        }
    }

    @Test("A directory that cannot be read is handed out and is a problem", .enabled(if: geteuid() != 0))
    func unreadable() throws {
        let bench = try Workbench()
        try bench.directory("closed")
        try bench.file("closed/f")
        try #require(chmod(bench.place("closed"), 0) == 0)
        let walker = try FileTreeWalker(WalkOptions(roots: [bench.bytes("")]))
        var last = ""
        while try walker.next() { last = walker.entry.displayPath }
        #expect(last == bench.place("closed"))
        #expect(walker.problems.take().map(\.what) == [.unreadable])
    }

    @Test("Problems are all counted, while their details stay bounded")
    func problemLog() {
        let log = ProblemLog()
        for _ in 0..<ProblemLog.detailLimit + 5 { log.add(FileProblem(path: [0x61], what: .vanished)) }
        #expect(log.count == ProblemLog.detailLimit + 5)
        #expect(log.take().count == ProblemLog.detailLimit)
        #expect(log.take().isEmpty)
        #expect(log.counts == [.vanished: ProblemLog.detailLimit + 5])
        for what in FileProblem.What.allCases {
            #expect(FileProblem(path: [0x61], what: what, systemError: ENOENT).message.hasPrefix("/a "))
        }
    }
}
