import API
import ArgumentParser
import Domain
import Operations

struct Key: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Keys that open the vault, and hosts that may write to it.",
        discussion: """
            Anbarı açan açarlar və ora yaza bilən hostlar.

            Examples:
              qala key list
              qala key add file --to /media/usb/escrow.key --label escrow
            """,
        subcommands: [
            KeyAdd.self, KeyRemove.self, KeyList.self, KeyRotate.self, KeyKit.self, KeyTest.self, KeyEnrolHost.self,
        ])
}

/// What a new key is kept in.
enum KeyForm: String, ExpressibleByArgument, CaseIterable {
    case passphrase, file, kit
}

struct KeyAdd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add a key that can read the vault.",
        discussion: """
            Anbarı oxuya bilən açar əlavə edir.

            An administrator's key must open the vault first. FORM is passphrase, file
            or kit; --to names the new key file or kit.

            Examples:
              qala key add passphrase --label "second operator"
              qala key add file --to /media/usb/escrow.key --label escrow
              qala key add kit --to kit-2.txt --administrator
            """)

    @Argument(help: ArgumentHelp("passphrase, file or kit.", valueName: "form"))
    var form: KeyForm

    @Option(help: ArgumentHelp("Write the key file or kit to this new file.", valueName: "file"), completion: .file())
    var to: String?

    @Option(
        help: ArgumentHelp("File that holds the new passphrase, or fd:N.", valueName: "file"), completion: .file())
    var newPassphraseFile: String?

    @Option(help: ArgumentHelp("What the key is called in lists.", valueName: "text"))
    var label: String = ""

    @Flag(help: "The key may also change keys.")
    var administrator = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if form == .file, to == nil { throw ValidationError("A key file needs --to FILE.") }
        if form == .passphrase, to != nil {
            throw ValidationError("A passphrase is not written to a file; leave out --to.")
        }
        if form != .passphrase, newPassphraseFile != nil {
            throw ValidationError("--new-passphrase-file belongs to `key add passphrase`.")
        }
    }

    func run() throws {
        try common.perform { session in
            let kind: ManageKeys.NewKey =
                switch form {
                case .passphrase: .passphrase(try session.secrets.newPassphrase(from: newPassphraseFile))
                case .file: .file(try session.absolute(to ?? ""))
                case .kit: .kit(try to.map(session.absolute))
                }
            if form == .kit { try requirePlaceForKit(to, session) }
            let made = try ManageKeys.add(
                kind, label: label, administrator: administrator, at: session.workplace())
            try showKit(made.kitDocument, session)
            try session.answer(KeyReply(key: made.row)) {
                [Text.keyAdded(session.language, [Printable.shortID(made.row.id)])]
            }
            return .done
        }
    }
}

struct KeyRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Remove a key.",
        discussion: """
            Açarı çıxarır.

            Archives from now on are not sealed to it. The last administrator's key
            cannot be removed.

            Examples:
              qala key remove 81c2
            """)

    @Argument(help: ArgumentHelp("The start of the key's id.", valueName: "id"))
    var id: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            try ManageKeys.remove(id, at: session.workplace())
            try session.answer(DoneReply(done: "key remove")) { [Text.keyRemoved(session.language, [id])] }
            return .done
        }
    }
}

struct KeyList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the keys that can read the vault.",
        discussion: """
            Anbarı oxuya bilən açarların siyahısı.

            Examples:
              qala key list
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let rows = try ManageKeys.list(at: session.workplace())
            try session.answer(KeysReply(keys: rows)) { Rendering.keys(rows, session.language) }
            return .done
        }
    }
}

struct KeyRotate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Replace the keys that new archives are sealed with.",
        discussion: """
            Yeni arxivlərin möhürləndiyi açarları dəyişdirir.

            Run it after a key was removed, or when one may be known to others. Older
            archives stay readable.

            Examples:
              qala key rotate
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            try ManageKeys.rotate(at: session.workplace())
            try session.answer(DoneReply(done: "key rotate")) { [Text.keysRotated(session.language)] }
            return .done
        }
    }
}

struct KeyKit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kit",
        abstract: "Make a fresh recovery kit.",
        discussion: """
            Yeni bərpa dəsti yaradır.

            Without --to it is shown once, on the terminal.

            Examples:
              qala key kit --to kit.txt
            """)

    @Option(help: ArgumentHelp("Write the kit to this new file.", valueName: "file"), completion: .file())
    var to: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            try requirePlaceForKit(to, session)
            let document = try ManageKeys.kit(path: try to.map(session.absolute), at: session.workplace())
            try showKit(document, session)
            try session.answer(DoneReply(done: "key kit")) {
                to == nil ? [] : [Text.kitKeep(session.language)]
            }
            return .done
        }
    }
}

struct KeyTest: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Find out whether a key opens the vault.",
        discussion: """
            Açarın anbarı açıb-açmadığını yoxlayır.

            Try every kit and key file in this way before it is needed.

            Examples:
              qala key test
              qala key test --key-file kit.txt
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let row = try ManageKeys.test(at: session.workplace())
            try session.answer(KeyReply(key: row)) {
                [Text.keyOpens(session.language, [Printable.shortID(row.id)])] + Rendering.keys([row], session.language)
            }
            return .done
        }
    }
}

struct KeyEnrolHost: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enrol-host",
        abstract: "Let this host write to a vault that another one made.",
        discussion: """
            Bu hosta başqasının yaratdığı anbara yazmağa icazə verir.

            An administrator's key must open the vault. The host gets a signing key and
            a domain of its own.

            Examples:
              qala key enrol-host --vault /srv/vault --label archive-2
            """)

    @Option(help: ArgumentHelp("What the host is called in lists.", valueName: "text"))
    var label: String = ""

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try EnrolHost.run(label: label, at: session.workplace())
            try session.answer(report) {
                [Text.hostEnrolled(session.language)] + Rendering.initFacts(report, session.language)
            }
            return .done
        }
    }
}
