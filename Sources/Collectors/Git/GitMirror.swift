import Domain
import Glibc

/// A mirror of a repository in the host state, and the programs of git that keep it.
///
/// Nothing of a user's or the host's configuration has a say, no hooks run, nobody is asked for anything, and no transport is
/// used but those that the policy can name. The mirror is a cache: it can be thrown away, and then only the record of what was
/// deleted since the last run is lost.
final class GitMirror {
    static let program = "/usr/bin/git"
    /// Of lists of refs; a repository with more is not archived.
    private static let listLimit = 256 << 20

    let path: String
    private let source: GitSource
    private let config: String
    private let isInterrupted: () -> Bool
    private var lock: Int32 = -1

    /// `folder` is made if it is not there. The mirror is locked until it is closed.
    init(_ source: GitSource, in folder: String, isInterrupted: @escaping () -> Bool) throws(CollectorError) {
        self.source = source
        self.isInterrupted = isInterrupted
        let number = source.repository.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3
        }
        // Another repository of the same name has a mirror of its own.
        let place = "\(folder)/\(source.name)-\(String(number, radix: 16))"
        path = place + ".git"
        config = place + ".config"
        try StagingFolder.make(folder)
        lock = open(place + ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw CollectorError.system(errno, "cannot open", Array((place + ".lock").utf8)) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw CollectorError(
                .changed, "another run is reading the repository \(source.name)", hint: "Try again when it is over.")
        }
        try StagingFolder.write(configuration, to: config)
    }

    deinit { close() }

    func close() {
        if lock >= 0 { Glibc.close(lock) }
        lock = -1
    }

    private var configuration: String {
        var text = """
            [core]
            \thooksPath = /dev/null
            \tfsmonitor = false
            [gc]
            \tauto = 0
            [maintenance]
            \tauto = false
            [pack]
            \tthreads = 1
            [fetch]
            \trecurseSubmodules = no
            \tunpackLimit = 1
            [transfer]
            \tunpackLimit = 1

            """
        if let local = source.localPath {
            // The repository belongs to whom it belongs to; only this one is read in spite of that.
            let shown = local.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            text += "[safe]\n\tdirectory = \"\(shown)\"\n\tdirectory = \"\(shown)/.git\"\n"
        }
        return text
    }

    private var environment: [String] {
        RunningProgram.usualEnvironment + [
            "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=\(config)", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=/bin/false",
            "GIT_ALLOW_PROTOCOL=file:https:ssh", "GIT_NO_LAZY_FETCH=1", "GIT_NO_REPLACE_OBJECTS=1",
            "GIT_ATTR_NOSYSTEM=1", "GIT_OPTIONAL_LOCKS=0", "GIT_SSH_COMMAND=ssh -oBatchMode=yes", "HOME=/nonexistent",
        ]
    }

    /// Runs git on the mirror.
    func start(_ arguments: [String]) throws(CollectorError) -> RunningProgram {
        guard access(Self.program, X_OK) == 0 else {
            throw CollectorError(.notFound, "\(Self.program) is not on this host", hint: "Install the package git.")
        }
        return try RunningProgram(
            [Self.program, "--git-dir=\(path)"] + arguments, environment: environment,
            timeout: Double(source.timeout.seconds), timeoutText: source.timeout.text(in: .english),
            isInterrupted: isInterrupted)
    }

    /// All that it prints.
    @discardableResult
    func run(_ arguments: String...) throws(CollectorError) -> String {
        let running = try start(arguments)
        defer { running.close() }
        var output: [UInt8] = []
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { block.deallocate() }
        while true {
            let count = try running.read(into: block)
            output += block[..<count]
            guard output.count <= Self.listLimit else {
                throw CollectorError(
                    .limit, "git \(arguments.first ?? "") prints more than \(Self.listLimit >> 20) MiB")
            }
            if count < block.count { return String(decoding: output, as: UTF8.self) }
        }
    }

    // MARK: -

    /// Makes the mirror if it is not there; one that was half made is made anew.
    func prepare() throws(CollectorError) {
        if access("\(path)/qala-ready", F_OK) == 0 { return }
        remove()
        try run("init", "--bare", "--quiet", "--template=", path)
        try StagingFolder.write("", to: "\(path)/qala-ready")
    }

    func remove() {
        unlink("\(path)/qala-ready")
        StagingFolder.removeTree(path)
    }

    /// Objects by the full names of their refs.
    func refs() throws(CollectorError) -> [String: String] {
        Self.refs(try run("for-each-ref", "--format=%(objectname) %(refname)"), separator: " ")
    }

    static func refs(_ list: String, separator: Character) -> [String: String] {
        var refs: [String: String] = [:]
        for line in list.split(separator: "\n") {
            let parts = line.split(separator: separator, maxSplits: 1)
            if parts.count == 2 { refs[String(parts[1])] = String(parts[0]) }
        }
        return refs
    }

    struct Remote {
        /// Of refs, and of what tags name.
        var count: Int
        /// The ref that HEAD is; nil when it is detached.
        var head: String?
        var headObject: String?
    }

    /// What the repository has now.
    func remote() throws(CollectorError) -> Remote {
        let list = try run("ls-remote", "--symref", "--", source.repository)
        var head: String?
        var refs: [String: String] = [:]
        for line in list.split(separator: "\n") {
            let parts = line.split(separator: "\t", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { continue }
            if parts[0].hasPrefix("ref: ") {
                if parts[1] == "HEAD" { head = String(parts[0].dropFirst("ref: ".count)) }
            } else {
                refs[parts[1]] = parts[0]
            }
        }
        let object = refs.removeValue(forKey: "HEAD")
        return Remote(count: refs.count, head: head, headObject: object)
    }

    /// Brings everything, and takes away what the repository has no more; the objects of what went stay in the mirror.
    func fetch() throws(CollectorError) {
        try run(
            "fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--",
            source.repository, "+refs/*:refs/*")
    }

    func setHead(_ ref: String?, _ object: String?) throws(CollectorError) {
        if let ref {
            try run("symbolic-ref", "HEAD", ref)
        } else if let object {
            try run("update-ref", "--no-deref", "HEAD", object)
        }
    }

    /// Whether a commit, or what a tag names, is part of the history of another. What is no commit has none.
    func isPart(_ old: String, of new: String) -> Bool {
        guard let left = try? run("rev-list", "--max-count=1", old, "^\(new)") else { return false }
        return left.isEmpty
    }
}
