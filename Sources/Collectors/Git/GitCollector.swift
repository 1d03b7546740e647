package import Domain
import Glibc

/// A git repository, as `@git/NAME/NAME.bundle`: all refs with their whole history in one file that `git clone` reads.
///
/// Invariants:
/// 1. The bundle is made of the mirror, after the mirror was brought to what the repository has, and counts only when git finds
///    it complete and it names the refs that the mirror has.
/// 2. Refs that vanished or were rewritten since the last run are told in the facts; what they named is in the archives of before.
/// 3. A mirror that its check finds damaged is made anew once; when the new one is damaged too, the source is not whole.
package final class GitCollector: DataCollector {
    /// Names of refs that the facts tell.
    private static let toldRefs = 8
    /// Changed branches whose history is looked at; more are counted alone.
    private static let followedRefs = 256

    private let source: GitSource
    private let staging: String
    private let home: String
    private let started: Timestamp
    private let isInterrupted: () -> Bool
    private var given = 0
    private var folder: StagingFolder?
    private var mirror: GitMirror?
    private var content: StagedFile?
    private var learnt: SourceFacts
    package let problems = ProblemLog()

    /// `state` is the directory of this host's state: the mirror is kept in `sources/git` below it, and the bundle is made in
    /// `staging`.
    package init(_ source: GitSource, state: String, started: Timestamp, isInterrupted: @escaping () -> Bool) {
        self.source = source
        staging = state + "/staging"
        home = state + "/sources/git"
        self.started = started
        self.isInterrupted = isInterrupted
        learnt = SourceFacts(kind: DataSource.Kind.git.rawValue, name: source.name)
        learnt.facts["repository"] = source.repository
    }

    private var root: String { DataSource.git(source).root }

    package func next() throws -> DataItem? {
        defer { given += 1 }
        switch given {
        case 0: return .entry(.made(root, kind: .directory, modified: started), content: nil)
        case 1: return try bundled()
        default: return nil
        }
    }

    package func close() {
        mirror?.close()
        mirror = nil
        folder?.close()
        folder = nil
    }

    package var facts: SourceFacts { content.map { learnt.whole($0) } ?? learnt }

    // MARK: -

    private func bundled() throws -> DataItem {
        let mirror = try GitMirror(source, in: home, isInterrupted: isInterrupted)
        self.mirror = mirror
        try mirror.prepare()
        try update(mirror)
        try check(mirror)
        let refs = try mirror.refs()
        let folder = try StagingFolder(in: staging, for: "git")
        self.folder = folder
        let path = "\(folder.path)/bundle"
        let size = try write(try mirror.start(["bundle", "create", "--quiet", "-", "--all"]), to: path)
        try mirror.run("bundle", "verify", "--quiet", path)
        var heads = GitMirror.refs(try mirror.run("bundle", "list-heads", path), separator: " ")
        let head = heads.removeValue(forKey: "HEAD")
        guard heads == refs else {
            throw CollectorError(
                .io, "the bundle of \(source.name) names other refs than the repository has",
                hint: "Run the policy again; if it stays so, report it.")
        }
        learnt.facts["head-commit"] = head
        learnt.facts["bytes"] = "\(size)"
        learnt.facts["refs"] = "\(refs.count)"
        learnt.facts["newest-commit"] = try mirror.run(
            "for-each-ref", "--count=1", "--sort=-committerdate", "--format=%(committerdate:iso-strict)", "refs/heads"
        ).split(separator: "\n").first.map(String.init)
        learnt.isWhole = problems.isEmpty
        var entry = Entry.made("\(root)/\(source.name).bundle", modified: started, size: size)
        // Never that of another bundle: a run that is resumed must not go on in the middle of one.
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        entry.changed = Timestamp(seconds: Int64(now.tv_sec), nanoseconds: UInt32(now.tv_nsec))
        let content = StagedFile(path)
        self.content = content
        return .entry(entry, content: content)
    }

    private func update(_ mirror: GitMirror) throws {
        let remote = try mirror.remote()
        guard remote.count > 0 else {
            throw CollectorError(
                .invalidInput, "the repository \(source.repository) is empty: it has no branch and no tag",
                hint:
                    "See whether it is the right one. The mirror of this host and the archives of before are as they were."
            )
        }
        let before = try mirror.refs()
        do { try bring(mirror, remote) } catch {
            // The mirror may be what is wrong.
            guard error.code == .io, !before.isEmpty, let found = try damage(of: mirror) else { throw error }
            try renew(mirror, because: found)
        }
        guard !before.isEmpty else { return }
        tell(before, try mirror.refs(), mirror)
    }

    private func tell(_ before: [String: String], _ after: [String: String], _ mirror: GitMirror) {
        let deleted = before.keys.filter { after[$0] == nil }.sorted()
        let changed = before.keys.filter { after[$0] != nil && after[$0] != before[$0] }.sorted()
        let rewritten = changed.prefix(Self.followedRefs).filter { ref in
            guard let old = before[ref], let new = after[ref] else { return false }
            return !mirror.isPart(old, of: new)
        }
        for (name, refs) in [("deleted-refs", deleted), ("rewritten-refs", rewritten)] where !refs.isEmpty {
            let names = refs.prefix(Self.toldRefs).joined(separator: " ")
            learnt.facts[name] = "\(refs.count): \(names)" + (refs.count > Self.toldRefs ? " …" : "")
        }
        if changed.count > Self.followedRefs {
            learnt.facts["refs-not-followed"] = "\(changed.count - Self.followedRefs)"
        }
    }

    // MARK: - The check of all objects

    private func check(_ mirror: GitMirror) throws {
        let last = LastCheck(of: source.name, source.repository, in: home)
        guard last.isDue(every: source.integrityCheck, at: started) else {
            learnt.facts["integrity-check"] = "not due"
            return
        }
        if let found = try damage(of: mirror) {
            last.forget()
            try renew(mirror, because: found)
            if let again = try damage(of: mirror) {
                learnt.facts["integrity-check"] = "damaged: \(again)"
                problems.add(
                    FileProblem(
                        path: Array("\(root)/\(source.name).bundle".utf8), what: .damagedRepository,
                        detail: String(again.prefix(300))))
                return
            }
        }
        learnt.facts["integrity-check"] = "ok"
        last.keep(started)
    }

    /// What git finds wrong with the objects of the mirror; nil when nothing is.
    private func damage(of mirror: GitMirror) throws(CollectorError) -> String? {
        do {
            try mirror.run("fsck", "--full", "--no-dangling", "--no-progress")
            return nil
        } catch {
            guard error.code == .io else { throw error }
            return error.message
        }
    }

    private func renew(_ mirror: GitMirror, because why: String) throws(CollectorError) {
        learnt.facts["mirror"] = "made anew: \(why)"
        mirror.remove()
        try mirror.prepare()
        try bring(mirror, try mirror.remote())
    }

    private func bring(_ mirror: GitMirror, _ remote: GitMirror.Remote) throws(CollectorError) {
        try mirror.fetch()
        try mirror.setHead(remote.head, remote.headObject)
        learnt.facts["head"] = remote.head ?? remote.headObject
    }

    /// Bytes written.
    private func write(_ program: RunningProgram, to path: String) throws -> UInt64 {
        defer { program.close() }
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw CollectorError.system(errno, "cannot make", Array(path.utf8)) }
        defer { Glibc.close(file) }
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { block.deallocate() }
        var size: UInt64 = 0
        while true {
            let count = try program.read(into: block)
            var done = 0
            while done < count, let start = block.baseAddress {
                let written = Glibc.write(file, start + done, count - done)
                if written < 0, errno == EINTR { continue }
                guard written > 0 else { throw CollectorError.system(errno, "cannot write", Array(path.utf8)) }
                done += written
            }
            size += UInt64(count)
            if count < block.count { return size }
        }
    }
}
