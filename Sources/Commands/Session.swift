import API
import ArgumentParser
import Documents
import Domain
import Glibc
import Operations
import Synchronization

extension Language: ExpressibleByArgument {}

/// The options that every command takes.
struct CommonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Directory of the vault.", valueName: "dir"), completion: .directory)
    var vault: String?

    @Option(help: ArgumentHelp("Directory of this host's state.", valueName: "dir"), completion: .directory)
    var state: String?

    @Option(
        help: ArgumentHelp("File that holds the passphrase, or fd:N.", valueName: "file"), completion: .file())
    var passphraseFile: String?

    @Option(
        help: ArgumentHelp("Key file or recovery kit to open the vault with.", valueName: "file"),
        completion: .file())
    var keyFile: String?

    @Flag(help: "Write one JSON object to standard output; errors as JSON to standard error.")
    var json = false

    @Flag(name: [.long, .short], help: "Show no progress and no notes.")
    var quiet = false

    @Option(help: "Language of messages: az or en.")
    var language: Language?

    /// Runs the body of a command and turns whatever it throws into a message and an exit status.
    func perform(_ body: (Session) throws -> ExitStatus) throws {
        let session = Session(self)
        let recording = ActRecording(session)
        var status: ExitStatus
        do {
            try Workplace.prepareProcess()
            try recording?.begin()
            status = try body(session)
            recording?.end(status)
            session.tellOutcome(status)
            try session.out.flush()
            try session.remark()
        } catch let error as BrokenPipe {
            recording?.endByBrokenPipe()
            throw error
        } catch {
            status = ExitStatus(Session.kind(of: error))
            recording?.end(status, error)
            session.tellOutcome(status, error)
            // What was already written stands before the error, as it happened.
            try session.out.flush()
            try session.report(error)
        }
        recording?.settle()
        if status != .done { throw ExitCode(status.rawValue) }
    }
}

/// One run of a command: how it speaks, and where it works.
final class Session {
    let language: Language
    let isJSON: Bool
    let isQuiet: Bool
    let out = Output(descriptor: 1)
    let note = Output(descriptor: 2)
    let secrets: SecretInput
    let progress = Progress()
    /// For the audit log: what was looked at, where, and figures of the answer.
    let witness = Witness()
    var vaultPath: String?
    var told: [ActDetail] = []
    /// What its end is to tell the register of problems of.
    var trial: Trial?
    /// The daemon that was asked records what it told.
    var isRecordedByDaemon = false
    private let options: CommonOptions

    init(_ options: CommonOptions) {
        self.options = options
        language = options.language ?? Language.chosen(by: SystemText.environment)
        ProcessState.speaksAzerbaijani.store(language == .azerbaijani, ordering: .relaxed)
        isJSON = options.json
        isQuiet = options.quiet
        let prefix = language
        let isQuiet = options.quiet
        // An explicit option goes before the environment, and a key before a passphrase.
        let keyFile =
            options.keyFile
            ?? (options.passphraseFile == nil ? SystemText.environment("QALA_KEY_FILE") : nil)
        secrets = SecretInput(
            language: language, interrupt: ProcessState.interrupt,
            passphraseFile: options.passphraseFile ?? SystemText.environment("QALA_PASSPHRASE_FILE"),
            keyFile: keyFile
        ) { text in
            if isQuiet { return }
            let line = Text.warningPrefix(prefix, [text]) + "\n"
            _ = Array(line.utf8).withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
        }
    }

    /// Where the operation works. `preferred` is what a policy says: it goes before the environment and the default,
    /// and after the option.
    func workplace(preferred: String? = nil) throws -> Workplace {
        let vault =
            options.vault ?? preferred ?? SystemText.environment("QALA_VAULT")
            ?? Places.vault(isRoot: geteuid() == 0, SystemText.environment)
        var made = Workplace(
            vaultPath: try absolute(vault), statePath: try statePath(), unlocking: secrets.unlocking,
            asksForKey: secrets.asksForKey, progress: progress, interrupt: ProcessState.interrupt)
        made.witness = witness
        vaultPath = made.vaultPath
        return made
    }

    func statePath() throws -> String {
        try absolute(
            options.state ?? SystemText.environment("QALA_STATE")
                ?? Places.state(isRoot: geteuid() == 0, SystemText.environment))
    }

    /// Whether somebody said where the state, or the vault, is.
    var namesState: Bool { options.state != nil || SystemText.environment("QALA_STATE") != nil }
    var namesVault: Bool { options.vault != nil }

    /// Shows progress while `work` runs.
    func showingProgress<Result>(_ work: () throws -> Result) throws -> Result {
        let line = isQuiet ? nil : ProgressLine(progress, language: language)
        defer { line?.stop() }
        return try work()
    }

    /// An empty path is what an unset variable leaves of an argument: it must not come to mean the current directory.
    func absolute(_ path: String) throws -> String {
        guard !path.isEmpty else { throw CommandError(.usage, Text.emptyPath(language)) }
        let isAbsolute = path.utf8.first == 0x2F
        return try PathText.absolute(path, from: isAbsolute ? "/" : RawText.currentDirectory(language))
    }

    // MARK: Speaking

    func say(_ text: Text, _ arguments: String...) throws {
        try out.line(text(language, arguments.map(Printable.text)))
    }

    /// What a person should know beside the answer.
    func remark() throws {
        guard !isQuiet, !isJSON, let denial = progress.stateDenial else { return }
        try note.line(Text.warningPrefix(language, [Text.stateDenied(language, [Printable.text(denial)])]))
        try note.flush()
    }

    func lines(_ lines: [String]) throws {
        for line in lines { try out.line(line) }
    }

    /// The whole answer of a command: as JSON, or as the lines that `human` makes.
    func answer(_ value: some Encodable, human: () throws -> [String]) throws {
        told += ActFigures.of(value)
        if isJSON {
            try out.bytes(try JSONText.encode(value))
            try out.line("")
        } else {
            try lines(try human())
        }
    }

    /// A list that may be too long to hold: `{"key":[…]}`, element by element, or a line for each.
    func stream<Element: Encodable>(
        under key: String, _ each: ((Element) throws -> Void) throws -> Void, line: @escaping (Element) -> String
    ) throws -> Int {
        var count = 0
        defer { tell("count", "\(count)") }
        // Begun with the first element, so that an error before it leaves no half of an object behind.
        try each { element in
            if isJSON {
                try out.bytes(count > 0 ? [0x2C] : Array("{\"\(key)\":[".utf8))
                try out.bytes(try JSONText.encode(element))
            } else {
                try out.line(line(element))
            }
            count += 1
        }
        if isJSON { try out.line(count > 0 ? "]}" : "{\"\(key)\":[]}") }
        return count
    }

    static func kind(of error: any Error) -> FailureKind { (error as? any Failure)?.kind ?? .failed }

    func report(_ error: any Error) throws {
        let kind = Self.kind(of: error)
        let (message, hint) = Self.words(error, language)
        if isJSON {
            try note.bytes(try JSONText.encode(ErrorBody(kind: kind, message: message, hint: hint)))
            try note.line("")
        } else {
            for line in Self.lines(kind: kind, message: message, hint: hint, language) { try note.line(line) }
        }
        try note.flush()
    }

    private static func words(_ error: any Error, _ language: Language) -> (message: String, hint: String) {
        switch error {
        case let error as DocumentsError: (error.message(in: language), error.hint(in: language))
        case let error as RetentionError: (error.message(in: language), error.hint(in: language))
        case let error as any Failure:
            (
                spoken(error.message, language),
                error.kind == .interrupted && error.hint.isEmpty
                    ? Text.interruptedResume(language) : spoken(error.hint, language)
            )
        default: ("\(error)", "")
        }
    }

    /// A sentence of the operations in the language of the person, where it is known in it.
    static func spoken(_ text: String, _ language: Language) -> String {
        language == .azerbaijani ? ErrorWords.azerbaijani(text) ?? text : text
    }

    /// An error for people. What ``ErrorWords`` lacks is in English: in the other language the kind goes first.
    /// The lines of a document's errors stand alone, so that an editor finds its way from them.
    static func lines(kind: FailureKind, message: String, hint: String, _ language: Language) -> [String] {
        var text = message.split(separator: "\n", omittingEmptySubsequences: false).map { Printable.text(String($0)) }
        let name = Text.failure(kind)
        if kind == .badPolicy {
            text.insert(language == .azerbaijani ? name.az : name.en, at: 0)
        } else if language == .azerbaijani {
            text[0] = name.az + ": " + text[0]
        }
        text[0] = "qala: " + Text.errorPrefix(language, [text[0]])
        if !hint.isEmpty { text.append(Text.hintPrefix(language, [Printable.text(hint)])) }
        return text
    }
}
