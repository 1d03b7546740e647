import API
import ArgumentParser
import Domain
import Operations

struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a vault, its keys and its recovery kit.",
        discussion: """
            Arxiv anbarını, açarlarını və bərpa dəstini yaradır.

            The passphrase is asked for twice on the terminal, or read from a file or
            descriptor. With --write-only-host this host keeps no key that can read: the
            reading key leaves through the kit alone.

            Examples:
              qala init --kit /media/usb/kit.txt
              qala init --vault /srv/vault --passphrase-file fd:3 --kit kit.txt
              qala init --write-only-host --kit kit.txt
            """)

    @Option(help: ArgumentHelp("Write the recovery kit to this new file.", valueName: "file"), completion: .file())
    var kit: String?

    @Flag(help: "Keep no reading key on this host.")
    var writeOnlyHost = false

    @Option(help: ArgumentHelp("Suite of hashes: blake3 or hmac-sha256.", valueName: "suite"))
    var suite: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            try requirePlaceForKit(kit, session)
            let secrets = session.secrets
            let request = InitializeVault.Request(
                writeOnlyHost: writeOnlyHost, kitPath: try kit.map(session.absolute),
                passphrase: writeOnlyHost ? nil : { try secrets.newPassphrase(from: secrets.passphraseFile) },
                suite: suite, keepKit: kit == nil ? { try showKit($0, session) } : nil)
            let made = try session.showingProgress { try InitializeVault.run(request, at: session.workplace()) }
            try session.answer(made.report) { Rendering.initialized(made.report, session.language) }
            return .done
        }
    }
}

/// A kit that can go neither to a file nor to a terminal must not be made: it would be lost.
func requirePlaceForKit(_ path: String?, _ session: Session) throws {
    if path != nil { return }
    guard Terminal.open() != nil else {
        throw CommandError(
            .usage, Text.noKitPlace(session.language), hint: Text.noKitPlaceHint(session.language))
    }
}

/// Shows a kit on the terminal itself, never on standard output, which may be a file or a log.
func showKit(_ document: String?, _ session: Session) throws {
    guard let document else { return }
    guard let terminal = Terminal.open() else {
        throw CommandError(
            .usage, Text.noKitPlace(session.language), hint: Text.noKitPlaceHint(session.language))
    }
    // Whatever progress stood on the line gives way.
    try terminal.write(
        "\r\u{1B}[K" + Text.kitShown(session.language) + "\n\n" + document + "\n" + Text.kitShownEnd(session.language)
            + "\n")
}
