import CLinux
import Domain
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Collectors

/// Archives made to write outside the target, and an attacker who changes the target meanwhile. `box/outside` must
/// never change.
@Suite("Restoring hostile trees")
struct HostileRestoreTests {
    private struct Case {
        var name: String
        var entries: [Entry]
        /// Makes something in the target before.
        var prepare: (Workbench) throws -> Void = { _ in }
    }

    private static let badPaths = [
        "", "/", "..", "../outside/x", "../../x", "a/..", "a/../../outside/x", "a/../x", ".", "./x", "a/./x", "a//x",
        "/outside/x", "//x", "a/", "a\0b", "\0", "../target/../outside/secret", "..\0", "a/b/../../../outside/secret",
        String(repeating: "x/", count: 40_000) + "x",
    ]

    private static let links = [
        "../outside", "../outside/", "../outside/secret", "..", "../..", ".", "/", "/proc/self/root", "/proc/self/cwd",
        "ABSOLUTE", "b", "../target/../outside",
    ]

    /// Entries that go through `a`, a link.
    private static var through: [(String, [Entry])] {
        [
            ("file", [made(.file, "a/new", size: 3)]), ("existing file", [made(.file, "a/secret", size: 3)]),
            ("deeper", [made(.file, "a/d/new", size: 3)]),
            ("directory", [made(.directory, "a/new", permissions: 0o777)]),
            ("link", [made(.symlink, "a/new", target: "x")]), ("pipe", [made(.fifo, "a/new")]),
            ("directory entry", [made(.directory, "a", permissions: 0o777), made(.file, "a/secret", size: 3)]),
            ("file entry", [made(.file, "a", size: 3, permissions: 0o777)]),
            ("empty file entry", [made(.file, "a", permissions: 0o4777)]),
            ("long way", [made(.file, "a/outside/secret", size: 3)]),
            (
                "hard link",
                [made(.file, "c", size: 3, links: 3, inode: 9), made(.file, "a/secret", size: 3, links: 3, inode: 9)]
            ),
        ]
    }

    private static func cases() -> [Case] {
        var all: [Case] = []
        for path in badPaths {
            for kind in EntryKind.allCases {
                let entry = made(kind, path, size: kind == .file ? 3 : 0, target: kind == .symlink ? "/" : "")
                all.append(Case(name: "\(kind) at \(path.prefix(40))", entries: [entry]))
            }
        }
        for target in links {
            for (name, entries) in through {
                let planted = made(.symlink, "a", target: target, links: 2, inode: 5)
                all.append(Case(name: "planted link to \(target), \(name)", entries: [planted] + entries))
                all.append(
                    Case(name: "existing link to \(target), \(name)", entries: entries) { bench in
                        let real = target == "ABSOLUTE" ? bench.place("outside") : target
                        try bench.link(real, "target/a")
                    })
            }
        }
        return all
    }

    private func makeBox() throws -> Workbench {
        let bench = try Workbench()
        for name in ["outside", "outside/d", "target"] { try bench.directory(name) }
        try bench.file("outside/secret", "secret")
        try bench.file("outside/d/new", "old")
        for name in ["outside/secret", "outside/d/new", "outside/d", "outside"] {
            let times = [timespec(tv_sec: 77, tv_nsec: 7), timespec(tv_sec: 77, tv_nsec: 7)]
            try #require(utimensat(AT_FDCWD, bench.place(name), times, 0) == 0)
        }
        return bench
    }

    /// Whatever is thrown or reported is fine; a real restore would end with it.
    private func restore(_ entries: [Entry], _ restorer: FileTreeRestorer) {
        for entry in entries {
            do {
                if try restorer.linkIfKnown(entry, as: entry.path) { continue }
                guard let file = try restorer.begin(entry, as: entry.path) else { continue }
                try [0x62, 0x61, 0x64].withUnsafeBytes { try file.write($0, at: 0) }
                try file.finish()
            } catch {
                continue
            }
        }
        do { try restorer.finishDirectories() } catch { return }
    }

    @Test("300 malicious trees under every policy leave everything outside the target as it was")
    func maliciousTrees() throws {
        let reference = try makeBox()
        let all = Self.cases()
        #expect(all.count >= 300)
        for policy in ConflictPolicy.allCases {
            for one in all {
                let bench = try makeBox()
                try one.prepare(bench)
                var entries = one.entries
                for index in entries.indices where entries[index].linkTarget == Array("ABSOLUTE".utf8) {
                    entries[index].linkTarget = bench.bytes("outside")
                }
                let restorer = try FileTreeRestorer(RestoreOptions(target: bench.bytes("target"), conflict: policy))
                restore(entries, restorer)
                let found = TreeComparison.differences(reference.bytes("outside"), bench.bytes("outside"))
                #expect(found.map(\.description) == [], "\(policy), \(one.name)")
                #expect(try names(in: bench.path) == ["outside", "target"], "\(policy), \(one.name)")
                #expect(bench.status("outside/secret")?.st_nlink == 1, "\(policy), \(one.name)")
            }
        }
    }

    private func names(in path: String) throws -> [String] {
        let stream = try #require(opendir(path))
        defer { closedir(stream) }
        var found: [String] = []
        while let record = readdir(stream) {
            let name = withUnsafeBytes(of: &record.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { found.append(name) }
        }
        return found.sorted()
    }

    @Test("A path that could lead out is refused by name")
    func refusedPaths() throws {
        let bench = try makeBox()
        let restorer = try FileTreeRestorer(RestoreOptions(target: bench.bytes("target"), conflict: .overwrite))
        for path in Self.badPaths {
            let error = #expect(throws: CollectorError.self) {
                _ = try restorer.begin(made(.file, path, size: 1), as: Array(path.utf8))
            }
            #expect(error?.code == .unsafePath, "\(path.prefix(40))")
        }
        #expect(try names(in: bench.place("target")) == [])
    }

    @Test(
        "An attacker who swaps directories for links all the time gains nothing",
        arguments: [ConflictPolicy.overwrite, .keepBoth])
    func racingAttacker(policy: ConflictPolicy) throws {
        let reference = try makeBox()
        let bench = try makeBox()
        let path = bench.path
        let attack = Attack(path: path)
        attack.start()
        for round in 0..<300 {
            let restorer = try FileTreeRestorer(RestoreOptions(target: bench.bytes("target"), conflict: policy))
            restore(
                [
                    made(.directory, "a", permissions: 0o777), made(.file, "a/secret", size: 3, links: 2, inode: 3),
                    made(.directory, "a/d", permissions: 0o777), made(.file, "a/d/new", size: 3),
                    made(.symlink, "a/link \(round)", target: "x"), made(.fifo, "a/pipe \(round)"),
                    made(.file, "a/z", size: 3, links: 2, inode: 3), made(.file, "b/a/secret", size: 3),
                ], restorer)
        }
        attack.stop()
        #expect(attack.swaps > 100)
        let found = TreeComparison.differences(reference.bytes("outside"), bench.bytes("outside"))
        #expect(found.map(\.description) == [])
        #expect(bench.status("outside/secret")?.st_nlink == 1)
    }

    /// Swaps `target/a` and `target/a/d` with links to `outside` until it is told to stop.
    private final class Attack: Sendable {
        private let path: String
        private let isStopped = Atomic(false)
        private let hasEnded = Atomic(false)
        private let swapCount = Atomic(0)
        var swaps: Int { swapCount.load(ordering: .relaxed) }

        init(path: String) { self.path = path }

        func start() {
            var thread = pthread_t()
            let box = Unmanaged.passRetained(self)
            pthread_create(
                &thread, nil,
                { argument in
                    if let argument { Unmanaged<Attack>.fromOpaque(argument).takeRetainedValue().run() }
                    return nil
                }, box.toOpaque())
            pthread_detach(thread)
        }

        func stop() {
            isStopped.store(true, ordering: .relaxed)
            while !hasEnded.load(ordering: .acquiring) { usleep(1000) }
        }

        private func run() {
            var round = 0
            while !isStopped.load(ordering: .relaxed) {
                round += 1
                swap("\(path)/bait \(round)", to: "\(path)/outside", with: "\(path)/target/a")
                // Through a descriptor, so that the attacker's own first link does not lead it outside.
                let inside = tree_open(AT_FDCWD, "\(path)/target/a", tree_path_only | O_DIRECTORY | O_NOFOLLOW, 0)
                guard inside >= 0 else { continue }
                swap("\(path)/second bait \(round)", to: "\(path)/outside/d", with: "/proc/self/fd/\(inside)/d")
                close(inside)
            }
            hasEnded.store(true, ordering: .releasing)
        }

        /// Puts a new link where `name` is, and what was there back again.
        private func swap(_ bait: String, to target: String, with name: String) {
            symlink(target, bait)
            if exchange(bait, name) {
                swapCount.add(1, ordering: .relaxed)
                _ = exchange(bait, name)
            }
            unlink(bait)
        }

        private func exchange(_ one: String, _ other: String) -> Bool {
            tree_exchange(AT_FDCWD, one, other) == 0
        }
    }
}
