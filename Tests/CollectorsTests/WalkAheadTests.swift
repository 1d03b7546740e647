import CLinux
import Domain
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Collectors

@Suite("Walking with a second thread ahead")
struct WalkAheadTests {
    @Test("Whatever the tree and the options, both walks tell the same in the same order")
    func same() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed of the trees: \(seed)")
        var dice = Dice(seed: seed)
        var taken = 0
        for round in 0..<25 {
            let tree = try RandomTree(&dice)
            for _ in 0..<4 {
                var options = try tree.options(&dice)
                var after: [UInt8]?
                let alone = try Told(options, in: tree.bench)
                if dice.chance(3), let entry = alone.entries.randomElement(using: &dice) {
                    after = entry.path
                    if dice.chance(3) { after?.append(0x21) }
                }
                let expected = try Told(options, in: tree.bench, after: after)
                options.walksAhead = true
                let found = try Told(options, in: tree.bench, after: after, pausing: &dice)
                taken += found.takenCount
                let place =
                    "seed \(seed), round \(round), after \(after.map { String(decoding: $0, as: UTF8.self) } ?? "-")"
                #expect(found.entries == expected.entries, "\(place)")
                #expect(found.blocks == expected.blocks, "\(place)")
                #expect(found.excluded == expected.excluded, "\(place)")
                #expect(found.problems == expected.problems, "\(place)")
            }
        }
        #expect(taken > 100)
    }

    @Test("A directory that is too large, one of thousands of directories, and a deep one keep within the limits")
    func limits() throws {
        let bench = try Workbench()
        for name in ["tree", "tree/many", "tree/wide"] { try bench.directory(name) }
        for number in 0..<12_000 { try bench.file("tree/many/a file of many \(number)", "") }
        for number in 0..<2500 { try bench.directory("tree/wide/\(number)") }
        var deep = "tree/deep"
        try bench.directory(deep)
        for _ in 0..<150 {
            for name in ["a", "m", "z"] { try bench.directory("\(deep)/\(name)") }
            deep += "/m"
        }
        let root = WalkOptions(roots: [bench.bytes("tree")])
        let expected = try Told(root, in: bench)
        var options = root
        options.walksAhead = true
        let walker = try FileTreeWalker(options)
        var paths: [[UInt8]] = []
        var taken = 0
        while try walker.next() {
            if PathOrder.isInside(walker.entry.path, expected.entries[0].path) { paths.append(walker.entry.path) }
            taken = max(taken, walker.ahead?.takenCount ?? 0)
            guard paths.count % 50 == 0 else { continue }
            usleep(300)
            let open = Self.descriptors(in: bench)
            let most = DirectoryStack.openLimit + WalkAhead.directoryLimit + WalkAhead.groupLimit
            #expect(open.count <= most + 4, "\(walker.entry.displayPath)")
        }
        #expect(paths == expected.entries.map(\.path))
        #expect(walker.problems.isEmpty)
        #expect(taken > 100)
    }

    @Test("When the walk is over, or given up in the middle, thread and descriptors are gone")
    func end() throws {
        let bench = try Workbench()
        try Self.plant(bench, directories: 40)
        for steps in [2, 15, 60, .max] {
            var walker: FileTreeWalker? = try bench.ahead("tree")
            weak var ahead: WalkAhead?
            ahead = walker?.ahead
            try #require(ahead != nil)
            var count = 0
            while count < steps, try walker?.next() == true {
                if walker?.entry.displayPath.hasPrefix(bench.place("tree")) == true { count += 1 }
                if count == 3 { Self.wait { ahead.map { $0.readyCount > 3 } ?? true } }
            }
            if steps == .max {
                // The thread holds on to what it works for until it ends.
                #expect(ahead == nil)
                #expect(count == 81)
            } else {
                #expect(ahead != nil)
                #expect(!Self.descriptors(in: bench).isEmpty)
            }
            walker = nil
            #expect(ahead == nil)
            #expect(Self.descriptors(in: bench) == [])
        }
    }

    @Test("What was found more than a second ago is looked at again")
    func staleness() throws {
        let bench = try Workbench()
        try Self.plant(bench, directories: 6)
        let walker = try bench.ahead("tree")
        try Self.advance(walker, to: bench.place("tree/d0"))
        try #require(Self.wait { walker.ahead?.readyCount == 6 })
        try bench.file("tree/d3/f", "longer than before")
        try bench.file("tree/d3/new")
        usleep(1_100_000)
        var sizes: [String: UInt64] = [:]
        while try walker.next() {
            if walker.entry.kind == .file { sizes[walker.entry.displayPath] = walker.entry.size }
            if walker.entry.displayPath == bench.place("tree/d1") { #expect(walker.ahead?.takenCount == 0) }
        }
        #expect(sizes[bench.place("tree/d3/f")] == 18)
        #expect(sizes.count == 7)
        #expect(walker.problems.isEmpty)
    }

    @Test("In a directory that the walk stays in for more than a second the rest is examined when its turn comes")
    func staleInside() throws {
        let bench = try Workbench()
        try Self.plant(bench, directories: 2)
        for name in ["tree/d0/a", "tree/d0/x", "tree/d0/y"] { try bench.file(name) }
        let walker = try bench.ahead("tree")
        try Self.advance(walker, to: bench.place("tree/d0"))
        try #require(Self.wait { walker.ahead?.readyCount == 2 })
        try Self.advance(walker, to: bench.place("tree/d0/a"))
        #expect(walker.ahead?.takenCount == 1)
        try bench.file("tree/d0/x", "longer than before")
        try #require(unlink(bench.place("tree/d0/y")) == 0)
        usleep(1_100_000)
        try Self.advance(walker, to: bench.place("tree/d0/x"))
        #expect(walker.entry.size == 18)
        try Self.advance(walker, to: bench.place("tree/d1"))
        #expect(walker.problems.take().map(\.what) == [.vanished])
    }

    @Test("A file has the stamp and size that it had when it was opened, and names that vanish are missed there")
    func stamps() throws {
        let bench = try Workbench()
        try Self.plant(bench, directories: 3)
        let walker = try bench.ahead("tree")
        try Self.advance(walker, to: bench.place("tree/d0"))
        try #require(Self.wait { walker.ahead?.readyCount == 3 })
        try bench.file("tree/d0/f", "longer than before")
        try #require(unlink(bench.place("tree/d1/f")) == 0)
        try Self.advance(walker, to: bench.place("tree/d0/f"))
        let file = try walker.open()
        let status = try #require(bench.status("tree/d0/f"))
        #expect(walker.entry.size == 18)
        #expect(walker.entry.changed.seconds == status.st_ctim.tv_sec)
        #expect(Int(walker.entry.changed.nanoseconds) == status.st_ctim.tv_nsec)
        let hasChanged = try file.hasChanged()
        #expect(!hasChanged)
        while try walker.next() {
            guard walker.entry.displayPath == bench.place("tree/d1/f") else { continue }
            let error = #expect(throws: CollectorError.self) { _ = try walker.open() }
            #expect(error?.code == .notFound)
        }
    }

    @Test("Names that patterns leave out, excluded trees and what only they hold are not opened ahead")
    func untouched() throws {
        let bench = try Workbench()
        try Self.plant(bench, directories: 4)
        for name in ["d0/skip", "d0/skip/in", "d1/tree", "d1/tree/in", "d2/cache", "d2/cache/in"] {
            try bench.directory("tree/\(name)")
        }
        try bench.file("tree/d2/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
        let status = try #require(bench.status("tree/d1/tree"))
        var options = WalkOptions(roots: [bench.bytes("tree")], walksAhead: true)
        options.excludes = try ExcludePatterns(["/d0/skip/", "/d3"])
        options.excludeCaches = true
        options.excludedTrees = [FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))]
        let walker = try FileTreeWalker(options)
        try Self.advance(walker, to: bench.place("tree/d0"))
        let wanted = Set(["tree", "tree/d0", "tree/d1", "tree/d2"].map(bench.place))
        let isSo = Self.wait { walker.ahead?.readyCount == 3 && Set(Self.descriptors(in: bench)) == wanted }
        #expect(isSo)
        usleep(20_000)
        #expect(walker.ahead?.readyCount == 3)
    }

    @Test("In a tree that others turn over meanwhile no link is followed, and what nobody touches is handed out")
    func unrest() throws {
        let bench = try Workbench()
        try Self.plant(bench, directories: 30)
        try bench.directory("outside")
        try bench.file("outside/secret")
        for number in 0..<30 where number % 3 == 0 {
            for inner in 0..<3 {
                try bench.directory("tree/d\(number)/s\(inner)")
                try bench.file("tree/d\(number)/s\(inner)/moved")
            }
        }
        let unrest = Unrest(path: bench.path, directories: 30)
        try unrest.start()
        var taken = 0
        var calm: Set<String> = []
        for number in 0..<30 where number % 3 != 0 {
            calm.formUnion([bench.place("tree/d\(number)"), bench.place("tree/d\(number)/f")])
        }
        var rounds = 0
        while rounds < 60 || unrest.turns < 1000 && rounds < 10_000 {
            rounds += 1
            let walker = try bench.ahead("tree")
            var last: [UInt8] = []
            var missed = calm
            while try walker.next() {
                let path = walker.entry.path
                #expect(last.isEmpty || PathOrder.compare(last, path) < 0)
                last = path
                missed.remove(walker.entry.displayPath)
                #expect(!walker.entry.displayPath.hasSuffix("secret"))
                taken = max(taken, walker.ahead?.takenCount ?? 0)
            }
            #expect(missed == [])
            #expect(
                walker.problems.take().allSatisfy {
                    $0.what == .changed || $0.what == .vanished || $0.what == .unreadable
                })
        }
        unrest.stop()
        #expect(unrest.turns >= 1000)
        #expect(taken > 0)
        #expect(Self.descriptors(in: bench) == [])
    }

    /// `tree/d0`, `tree/d1` and so on, each with a file `f` of four bytes.
    private static func plant(_ bench: Workbench, directories: Int) throws {
        try bench.directory("tree")
        for number in 0..<directories {
            try bench.directory("tree/d\(number)")
            try bench.file("tree/d\(number)/f")
        }
    }

    private static func advance(_ walker: FileTreeWalker, to path: String) throws {
        while walker.entry.displayPath != path { try #require(try walker.next()) }
    }

    /// False after ten seconds.
    @discardableResult
    private static func wait(_ isTrue: () -> Bool) -> Bool {
        for _ in 0..<10_000 {
            if isTrue() { return true }
            usleep(1000)
        }
        return false
    }

    /// What this process has open inside the bench.
    private static func descriptors(in bench: Workbench) -> [String] {
        guard let stream = opendir("/proc/self/fd") else { return [] }
        defer { closedir(stream) }
        var found: [String] = []
        while let record = readdir(stream) {
            let name = withUnsafeBytes(of: &record.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            var buffer = [CChar](repeating: 0, count: 65_536)
            let count = readlink("/proc/self/fd/\(name)", &buffer, buffer.count)
            guard count > 0 else { continue }
            let target = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if target.hasPrefix(bench.path + "/") { found.append(target) }
        }
        return found
    }
}

extension Workbench {
    fileprivate func ahead(_ root: String) throws -> FileTreeWalker {
        try FileTreeWalker(WalkOptions(roots: [bytes(root)], walksAhead: true))
    }
}

/// Numbers that follow from a seed alone.
private struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
    /// One time in `limit`.
    mutating func chance(_ limit: Int) -> Bool { below(limit) == 0 }
}

/// All that a walk tells of what is inside a bench.
private struct Told {
    var entries: [Entry] = []
    var blocks: [UInt64] = []
    var excluded: [String] = []
    var problems: [FileProblem] = []
    var takenCount = 0

    init(_ options: WalkOptions, in bench: Workbench, after: [UInt8]? = nil) throws {
        var dice: Dice?
        try self.init(options, bench, after, &dice)
    }

    /// Rests now and then, so that the other thread gets ahead.
    init(_ options: WalkOptions, in bench: Workbench, after: [UInt8]?, pausing dice: inout Dice) throws {
        var own: Dice? = Dice(seed: dice.next())
        try self.init(options, bench, after, &own)
    }

    private init(_ options: WalkOptions, _ bench: Workbench, _ after: [UInt8]?, _ dice: inout Dice?) throws {
        var options = options
        let heard = Mutex<[String]>([])
        options.onExcluded = { path, reason in
            heard.withLock { $0.append("\(reason.rawValue) \(String(decoding: path, as: UTF8.self))") }
        }
        let walker = try FileTreeWalker(options)
        if let after { walker.seek(after: after) }
        let inside = Array(bench.path.utf8.dropFirst())
        while try walker.next() {
            takenCount = max(takenCount, walker.ahead?.takenCount ?? 0)
            guard PathOrder.isInside(walker.entry.path, inside) else { continue }
            if dice?.chance(8) == true { usleep(UInt32(dice?.below(300) ?? 0)) }
            blocks.append(walker.blocks)
            try walker.loadDetails()
            entries.append(walker.entry)
        }
        excluded = heard.withLock { $0 }
        problems = walker.problems.take()
    }
}

/// A tree of all kinds of things.
private struct RandomTree {
    let bench: Workbench
    private var tops: [String] = []
    private var directories: [String] = []

    init(_ dice: inout Dice) throws {
        bench = try Workbench()
        try bench.directory("tree")
        var left = 40 + dice.below(250)
        while left > 0 { try grow("tree", isTop: true, &left, &dice) }
        // What nobody but root may read, or only list.
        for directory in directories.reversed() {
            if dice.chance(25) { try #require(chmod(bench.place(directory), dice.chance(2) ? 0 : 0o444) == 0) }
        }
    }

    private mutating func grow(_ directory: String, isTop: Bool, _ left: inout Int, _ dice: inout Dice) throws {
        for _ in 0..<dice.below(9) + (isTop ? 2 : 0) where left > 0 {
            left -= 1
            let start = ["a", "b.", "b", "-", "é", "a long name that begins like others "].randomElement(using: &dice)
            let path = "\(directory)/\(start ?? "")\(left)"
            switch dice.below(10) {
            case 0...4:
                try bench.directory(path)
                if isTop { tops.append(path) } else { directories.append(path) }
                try grow(path, isTop: false, &left, &dice)
            case 5: try bench.link(["..", "/etc/passwd", "nowhere", bench.place("tree")][dice.below(4)], path)
            case 6: try #require(mkfifo(bench.place(path), 0o600) == 0)
            case 7: try bench.file(path + ".o")
            case 8 where dice.chance(3) && !bench.exists("\(directory)/CACHEDIR.TAG"):
                let text = dice.chance(4) ? "no tag" : "Signature: 8a477f597d28d172789f06886806bc55\n"
                try bench.file("\(directory)/CACHEDIR.TAG", text)
            default:
                try bench.file(path)
                if dice.chance(5) { try #require(link(bench.place(path), bench.place(path + " again")) == 0) }
            }
        }
    }

    func options(_ dice: inout Dice) throws -> WalkOptions {
        var roots = ["tree"]
        if dice.chance(4) { roots = Array(tops.shuffled(using: &dice).prefix(3)) }
        if roots.isEmpty { roots = ["tree"] }
        var patterns: [String] = []
        for pattern in ["*.o", "a1*/", "/a*", "!*3", "b*/**/é*", "*7", "tree/"] where dice.chance(5) {
            patterns.append(pattern)
        }
        let excluded = directories.filter { _ in dice.chance(30) }.compactMap { bench.status($0) }
        return WalkOptions(
            roots: roots.map(bench.bytes), excludes: try ExcludePatterns(patterns), oneFileSystem: dice.chance(2),
            excludeCaches: dice.chance(2),
            excludedTrees: Set(excluded.map { FileIdentity(device: UInt64($0.st_dev), inode: UInt64($0.st_ino)) }))
    }
}

/// Turns every third directory of a tree over until it is told to stop: in their places, for moments, are links.
private final class Unrest: Sendable {
    private let path: String
    private let directories: Int
    private let isStopped = Atomic(false)
    private let hasEnded = Atomic(false)
    private let count = Atomic(0)
    var turns: Int { count.load(ordering: .relaxed) }

    init(path: String, directories: Int) {
        self.path = path
        self.directories = directories
    }

    func start() throws {
        var thread = pthread_t()
        let started = pthread_create(
            &thread, nil,
            { raw in
                if let raw { Unmanaged<Unrest>.fromOpaque(raw).takeRetainedValue().run() }
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        try #require(started == 0)
        pthread_detach(thread)
    }

    func stop() {
        isStopped.store(true, ordering: .relaxed)
        while !hasEnded.load(ordering: .acquiring) { usleep(1000) }
    }

    private func run() {
        var dice = Dice(seed: UInt64.random(in: 0 ... .max))
        while !isStopped.load(ordering: .relaxed) {
            let directory = "\(path)/tree/d\(dice.below((directories + 2) / 3) * 3)"
            switch dice.below(3) {
            case 0: swap(directory)
            case 1: swap("\(directory)/s\(dice.below(3))")
            default:
                let file = open("\(directory)/new", O_WRONLY | O_CREAT, 0o600)
                if file >= 0 { close(file) }
                unlink("\(directory)/new")
            }
            count.add(1, ordering: .relaxed)
        }
        hasEnded.store(true, ordering: .releasing)
    }

    /// Puts a link to `outside` in the place of `name`, and what was there back again.
    private func swap(_ name: String) {
        let bait = "\(path)/bait"
        symlink("\(path)/outside", bait)
        if tree_exchange(AT_FDCWD, bait, name) == 0 { _ = tree_exchange(AT_FDCWD, bait, name) }
        unlink(bait)
    }
}
