import API
import ArgumentParser
import Domain
import Glibc
import Operations
import Synchronization

struct SocketOption: ParsableArguments {
    @Option(help: ArgumentHelp("Control socket of the daemon.", valueName: "file"), completion: .file())
    var socket: String?

    func client(_ session: Session, patience: Int = 30) throws -> ControlClient {
        let path =
            socket ?? SystemText.environment("QALA_SOCKET")
            ?? Places.socket(isRoot: geteuid() == 0, SystemText.environment)
        return ControlClient(socketPath: try session.absolute(path), patience: patience)
    }

    /// The daemon to be asked for what lies in its state: where --socket says so, and where this account may not look there
    /// while a daemon listens. Nil where the command looks itself.
    func reader(_ session: Session) throws -> ControlClient? {
        if socket == nil {
            // It has a vault of its own.
            if session.namesVault { return nil }
            if access(try session.statePath(), R_OK | X_OK) == 0 { return nil }
            guard errno == EACCES || errno == ENOENT && !session.namesState else { return nil }
        }
        let client = try client(session, patience: 120)
        do { try client.checkThatItListens() } catch let problem as ControlClient.Problem
            where problem.kind == .daemonDown && socket == nil
        { return nil }
        session.isRecordedByDaemon = true
        return client
    }
}

/// What is done through the daemon and takes more than one question.
enum Daemons {
    /// Asks for a run and waits for its end, showing how far it is.
    static func run(_ policy: String, _ socket: SocketOption, _ session: Session) throws -> ExitStatus {
        let client = try socket.client(session)
        var run = try client.post(ControlPath.runs, PolicyAsked(policy: policy), as: RunReply.self).run
        if !session.isJSON, !session.isQuiet {
            try session.note.line(Text.runAsked(session.language, [run.id, Printable.text(policy)]))
            try session.note.flush()
        }
        try session.showingProgress {
            while !run.state.isOver {
                // The run goes on without this command; who wants to end it says so.
                if ProcessState.interrupt.isSet {
                    throw CommandError(
                        .interrupted, "interrupted; the run goes on", hint: "`qala cancel \(run.id)` ends it.")
                }
                usleep(200_000)
                run = try client.get(ControlPath.run(run.id), as: RunReply.self).run
                guard run.state == .running else { continue }
                let status = try client.get(ControlPath.status, as: DaemonStatus.self)
                guard
                    let going = [status.going, status.beside].compactMap(\.self).first(where: { $0.run.id == run.id })
                else { continue }
                session.progress.files.store(going.files, ordering: .relaxed)
                session.progress.bytes.store(going.bytes, ordering: .relaxed)
                session.progress.stored.store(going.bytesStored, ordering: .relaxed)
                session.progress.expectedBytes.store(going.expectedBytes, ordering: .relaxed)
            }
        }
        try session.answer(RunReply(run: run)) { Rendering.run(run, session.language) }
        return status(of: run)
    }

    static func status(of run: RunRecord) -> ExitStatus {
        switch run.state {
        case .done: .done
        case .partial: .partial
        case .cancelled, .interrupted: .interrupted
        case .waiting, .running, .failed: .failed
        }
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what the daemon does, and how each policy fares.",
        discussion: """
            Xidmətin nə etdiyini və hər siyasətin vəziyyətini göstərir.

            Examples:
              qala status
              qala status --json
            """)

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let status = try socket.client(session).get(ControlPath.status, as: DaemonStatus.self)
            try session.answer(status) { Rendering.status(status, session.language) }
            return .done
        }
    }
}

struct Jobs: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the runs of the daemon, newest first.",
        discussion: """
            Xidmətin icralarının siyahısı, yenidən köhnəyə.

            Examples:
              qala jobs --limit 20
              qala jobs --policy system-config --json
            """)

    @Option(help: ArgumentHelp("Only those of this policy.", valueName: "name"))
    var policy: String?

    @Option(help: ArgumentHelp("How many.", valueName: "n"))
    var limit = 50

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if !(1...ControlPath.longestList).contains(limit) {
            throw ValidationError("--limit is a number from 1 to \(ControlPath.longestList).")
        }
        if let policy, !Policy.isWellFormed(name: policy) { throw ValidationError("--policy names a policy.") }
    }

    func run() throws {
        try common.perform { session in
            let query = "?limit=\(limit)" + (policy.map { "&policy=\($0)" } ?? "")
            let reply = try socket.client(session).get(ControlPath.runs + query, as: RunListReply.self)
            try session.answer(reply) { Rendering.runs(reply.runs, session.language) }
            return .done
        }
    }
}

struct Cancel: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "End a run of the daemon.",
        discussion: """
            Xidmətin bir icrasını dayandırır.

            What it archived so far is taken up by the next run of the policy.

            Examples:
              qala cancel 20261122T2315
            """)

    @Argument(help: ArgumentHelp("Id of the run, or its beginning.", valueName: "run"))
    var id: String

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if !RunRecord.isWellFormed(id: id) { throw ValidationError("`qala jobs` lists the ids of runs.") }
    }

    func run() throws {
        try common.perform { session in
            let client = try socket.client(session)
            let reply = try client.post(ControlPath.cancel(id), PolicyAsked(policy: nil), as: RunReply.self)
            try session.answer(reply) {
                [Text.runCancelling(session.language, [reply.run.id, Printable.text(reply.run.policy)])]
            }
            return .done
        }
    }
}

struct PauseOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The policy; without one, all.", valueName: "policy"))
    var policy: String?

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func ask(_ path: String, _ all: Text, _ one: Text) throws {
        try common.perform { session in
            let status = try socket.client(session).post(path, PolicyAsked(policy: policy), as: DaemonStatus.self)
            try session.answer(status) {
                [policy.map { one(session.language, [Printable.text($0)]) } ?? all(session.language)]
            }
            return .done
        }
    }
}

struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let no run start by schedule.",
        discussion: """
            Cədvəl üzrə icraların başlamasını dayandırır.

            What is due meanwhile is made up for afterwards as the policy says. A run
            that is going goes on.

            Examples:
              qala pause
              qala pause system-config
            """)

    @OptionGroup var options: PauseOptions
    func run() throws { try options.ask(ControlPath.pause, .pausedAll, .pausedOne) }
}

struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let runs start by schedule again.",
        discussion: """
            Cədvəl üzrə icraları davam etdirir.

            Examples:
              qala resume
              qala resume system-config
            """)

    @OptionGroup var options: PauseOptions
    func run() throws { try options.ask(ControlPath.resume, .resumedAll, .resumedOne) }
}

struct Logs: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what happened since the daemon started.",
        discussion: """
            Xidmət başlayandan bəri baş verənləri göstərir.

            Examples:
              qala logs --limit 20
            """)

    @Option(help: ArgumentHelp("How many of the newest.", valueName: "n"))
    var limit = 100

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if !(1...ControlPath.longestList).contains(limit) {
            throw ValidationError("--limit is a number from 1 to \(ControlPath.longestList).")
        }
    }

    func run() throws {
        try common.perform { session in
            let reply = try socket.client(session).get("\(ControlPath.events)?limit=\(limit)", as: EventsReply.self)
            try session.answer(reply) { Rendering.events(reply.events, session.language) }
            return .done
        }
    }
}
