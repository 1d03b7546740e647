@testable import Collectors
import Domain
import Foundation
import Glibc
import Testing

@Suite("git repositories", .enabled(if: access(GitMirror.program, X_OK) == 0))
struct GitCollectorTests {
    private static let noon: Int64 = 1_800_000_000

    private func collect(_ bench: Workbench, after seconds: Int64 = 0, _ name: String = "src") -> Collected {
        Collected(
            GitCollector(
                GitSource(name: "code", repository: bench.place(name)), state: bench.place("state"),
                started: Timestamp(seconds: Self.noon + seconds), isInterrupted: { false }))
    }

    /// git as a person would use it, on a repository of the bench.
    @discardableResult
    private func git(_ bench: Workbench, _ arguments: String..., at name: String = "src") throws -> String {
        let identity = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
        return try Beside.run(
            GitMirror.program, ["-C", bench.place(name)] + identity + arguments,
            environment: ["PATH": "/usr/bin:/bin", "HOME": bench.path, "GIT_CONFIG_NOSYSTEM": "1"])
    }

    private func commit(_ bench: Workbench, _ names: String...) throws {
        for name in names {
            try bench.file("src/\(name)", String(repeating: "line of \(name)\n", count: 300))
            try git(bench, "add", name)
            try git(bench, "commit", "-q", "-m", name)
        }
    }

    private func repository() throws -> Workbench {
        let bench = try Workbench()
        try bench.directory("src")
        try git(bench, "init", "-q")
        try commit(bench, "a", "b", "c")
        try git(bench, "branch", "side", "HEAD~1")
        try git(bench, "tag", "-a", "-m", "first", "v1")
        try git(bench, "update-ref", "refs/remotes/origin/main", "HEAD")
        try git(bench, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
        return bench
    }

    /// Clones the bundle that was archived; its place on the bench.
    private func clone(_ collected: Collected, _ bench: Workbench, _ name: String) throws -> String {
        let bytes = try #require(collected.contents["@git/code/code.bundle"], "\(collected.message)")
        try Data(bytes).write(to: URL(filePath: bench.place("\(name).bundle")))
        try git(bench, "clone", "-q", "--mirror", bench.place("\(name).bundle"), bench.place(name))
        return try git(bench, "log", "--format=%s", "main", at: name)
    }

    private func damage(_ path: String) throws {
        try #require(chmod(path, 0o600) == 0)
        let file = try FileHandle(forUpdating: URL(filePath: path))
        let size = try file.seekToEnd()
        try file.seek(toOffset: size / 2)
        try file.write(contentsOf: Data(repeating: 0xA5, count: 16))
        try file.close()
    }

    private func objects(_ folder: String, _ ending: String) throws -> [String] {
        let found = FileManager.default.enumerator(atPath: folder)
        var paths: [String] = []
        while let path = found?.nextObject() as? String {
            let name = path.split(separator: "/").last ?? ""
            if ending.isEmpty ? name.utf8.count == 38 : name.hasSuffix(ending) { paths.append("\(folder)/\(path)") }
        }
        return try #require(paths.isEmpty ? nil : paths.sorted())
    }

    private func mirror(_ bench: Workbench) throws -> String {
        let home = bench.place("state/sources/git")
        let names = try FileManager.default.contentsOfDirectory(atPath: home).filter { $0.hasSuffix(".git") }
        return "\(home)/\(try #require(names.first))"
    }

    @Test("The bundle is cloned to what the repository was, with every ref; the same again while nothing changes")
    func bundle() throws {
        let bench = try repository()
        let first = collect(bench)
        #expect(first.facts.isWhole && first.problems.isEmpty, "\(first.message) \(first.problems)")
        #expect(
            first.entries.map { String(decoding: $0.path, as: UTF8.self) } == ["@git/code", "@git/code/code.bundle"])
        let facts = first.facts.facts
        #expect(facts["refs"] == "5" && facts["head"] == "refs/heads/main" && facts["integrity-check"] == "ok")
        #expect(try facts["head-commit"] == git(bench, "rev-parse", "HEAD"))
        #expect(facts["deleted-refs"] == nil && facts["rewritten-refs"] == nil)
        #expect(facts["newest-commit"]?.hasPrefix("20") == true)
        #expect(try clone(first, bench, "back") == "c\nb\na")
        let format = "--format=%(objectname) %(refname)"
        let restored = try git(bench, "for-each-ref", format, at: "back")
        #expect(try git(bench, "for-each-ref", format) == restored)
        try git(bench, "fsck", "--full", at: "back")
        let again = collect(bench, after: 60)
        #expect(again.contents == first.contents, "an unchanged repository gives an unchanged bundle")
        #expect(again.facts.facts["integrity-check"] == "not due")
        let staging = try FileManager.default.contentsOfDirectory(atPath: bench.place("state/staging"))
        #expect(staging.isEmpty)
    }

    @Test("Refs that were deleted or rewritten are told, those that went on are not; the archive before has what went")
    func history() throws {
        let bench = try repository()
        let first = collect(bench)
        try git(bench, "branch", "goes-on")
        #expect(collect(bench, after: 1).facts.facts["rewritten-refs"] == nil)
        try git(bench, "branch", "-q", "-D", "side")
        try git(bench, "commit", "-q", "--amend", "-m", "rewritten")
        try git(bench, "branch", "-q", "-f", "goes-on", "main")
        let second = collect(bench, after: 2)
        #expect(second.facts.isWhole, "\(second.message)")
        #expect(second.facts.facts["deleted-refs"] == "1: refs/heads/side")
        #expect(second.facts.facts["rewritten-refs"] == "2: refs/heads/goes-on refs/heads/main")
        #expect(try clone(second, bench, "new") == "rewritten\nb\na")
        #expect(try clone(first, bench, "old") == "c\nb\na")
        #expect(try git(bench, "log", "--format=%s", "side", at: "old") == "b\na")
        try commit(bench, "d")
        let third = collect(bench, after: 3)
        #expect(third.facts.facts["rewritten-refs"] == nil && third.facts.facts["deleted-refs"] == nil)
        #expect(try clone(third, bench, "newest") == "d\nrewritten\nb\na")
    }

    @Test("A corrupt object in the repository ends the source; the archives of before do not change by it")
    func corruptSource() throws {
        let bench = try repository()
        for object in try objects(bench.place("src/.git/objects"), "") { try damage(object) }
        let collected = collect(bench)
        #expect(!collected.facts.isWhole && collected.contents.isEmpty)
        #expect(collected.message.contains("ended with 128"), "\(collected.message)")
    }

    @Test("A damaged mirror is made anew, at the latest by the check that is due")
    func corruptMirror() throws {
        let bench = try repository()
        #expect(collect(bench).facts.isWhole)
        for pack in try objects(try mirror(bench), ".pack") { try damage(pack) }
        let due = collect(bench, after: 86_400)
        #expect(due.facts.isWhole, "\(due.message)")
        #expect(due.facts.facts["mirror"]?.hasPrefix("made anew: ") == true, "\(due.facts.facts)")
        #expect(try clone(due, bench, "back") == "c\nb\na")
        #expect(collect(bench, after: 86_401).facts.facts["mirror"] == nil)
    }

    @Test("An empty repository is an error, and takes nothing from a mirror that has something")
    func empty() throws {
        let bench = try repository()
        #expect(collect(bench).facts.isWhole)
        for name in ["heads/main", "heads/side", "tags/v1", "remotes/origin/HEAD", "remotes/origin/main"] {
            try git(bench, "update-ref", "--no-deref", "-d", "refs/\(name)")
        }
        let collected = collect(bench, after: 1)
        #expect(collected.message.contains("is empty: it has no branch and no tag"), "\(collected.message)")
        #expect(!collected.facts.isWhole && collected.contents.isEmpty)
        let kept = try git(bench, "--git-dir", try mirror(bench), "log", "--format=%s", "main")
        #expect(kept == "c\nb\na")
        let missing = collect(bench, after: 2, "nowhere")
        #expect(!missing.facts.isWhole && missing.message.contains("ended with 128"), "\(missing.message)")
    }

    @Test("Hooks and the configuration of users have no say")
    func hardened() throws {
        let bench = try repository()
        let mark = bench.place("was-here")
        for hook in ["post-update", "reference-transaction", "post-checkout", "pre-receive"] {
            try bench.file("src/.git/hooks/\(hook)", "#!/bin/sh\ntouch \(mark)\n")
            try #require(chmod(bench.place("src/.git/hooks/\(hook)"), 0o755) == 0)
        }
        try bench.file(
            ".gitconfig", "[core]\n\thooksPath = \(bench.place("src/.git/hooks"))\n[fetch]\n\tprune = false\n")
        let collected = collect(bench)
        #expect(collected.facts.isWhole, "\(collected.message)")
        #expect(!bench.exists("was-here"))
    }

    @Test("A repository of another account is read, and only the one that is named", .enabled(if: geteuid() == 0))
    func otherOwner() throws {
        let bench = try repository()
        try #require(chmod(bench.path, 0o755) == 0)
        _ = try Beside.run("/bin/chown", ["-R", "65534:65534", bench.place("src")])
        #expect(collect(bench).facts.isWhole)
    }
}

@Suite("Addresses of repositories")
struct GitSourceTests {
    @Test(
        "What may be an address",
        arguments: [
            ("https://git.example.az/a.git", true), ("ssh://git@git.example.az:22/a", true),
            ("file:///srv/a.git", true),
            ("https://user:secret@host/a", false), ("https://user@host/a", true), ("ssh://-oProxyCommand=x/a", false),
            ("ssh://a@-oProxyCommand=x/a", false), ("http://host/a", false), ("git://host/a", false),
            ("ext::sh -c x", false),
            ("ssh://host", false), ("https:///a", false), ("file://host/a", false), ("file:///", false),
            ("https://host/a b", false), ("--upload-pack=x", false), ("https://a@b@c/d", false), ("", false),
        ])
    func address(text: String, isOne: Bool) {
        #expect(GitSource.isAddress(text) == isOne, "\(text)")
    }
}
