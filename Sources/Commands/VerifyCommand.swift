import API
import ArgumentParser
import Domain
import Operations

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Verify that the vault holds what was stored.",
        discussion: """
            Anbarda saxlanılanların bütövlüyünü yoxlayır.

            Without options: the log against the head that this host knows, and the
            structure of everything it names. With --sample also the data of some packs,
            of one at least. Damage is listed object by object, and the exit status is
            then 13.

            Examples:
              qala verify
              qala verify --read-data
              qala verify --sample 5%
              qala verify --without-keys
              qala verify --without-keys --head 1:f0b1faa88c9d5099
            """)

    @Flag(help: "Read every chunk: decrypt it, decompress it, identify it.")
    var readData = false

    @Option(help: ArgumentHelp("Read only this share of the packs, chosen at random.", valueName: "n%"))
    var sample: String?

    @Flag(help: "Compare digests only; no key is needed.")
    var withoutKeys = false

    @Option(
        help: ArgumentHelp(
            "Record that the log must have, as a recovery kit names it: its number and the first 16 digits of its digest at least.",
            valueName: "number:digest"))
    var head: String?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if withoutKeys, readData || sample != nil {
            throw ValidationError("--without-keys cannot read data; leave out --read-data and --sample.")
        }
        if let head, KnownHead(head) == nil {
            throw ValidationError(
                "`\(head)` is no record: write its number, a colon, and 16 to 64 digits of its digest.")
        }
    }

    func run() throws {
        try common.perform { session in
            let share = try sample.map { try Self.percent($0, session.language) }
            let request = VerifyVault.Request(
                readData: readData || share != nil, samplePercent: share, withoutKeys: withoutKeys,
                head: head.flatMap(KnownHead.init))
            let place = try session.workplace()
            var trial = Trial.reading(place.vaultPath)
            let whole = ToldOutcome.verification(of: place.vaultPath, opened: false)
            if withoutKeys { trial.failing = [whole] }
            // A sample, and the structure alone, prove nothing of what was damaged.
            if share == nil, readData || withoutKeys { trial.passing = readData ? trial.failing + [whole] : [whole] }
            session.trial = trial
            let report = try session.showingProgress { try VerifyVault.run(request, at: place) }
            session.trial?.message = report.complaint ?? ""
            try session.answer(report) { Rendering.verified(report, session.language) }
            return report.damage.isEmpty ? .done : .damaged
        }
    }

    /// `5`, `5%` or `0.5%`.
    static func percent(_ text: String, _ language: Language) throws -> Double {
        let digits = text.last == "%" ? String(text.dropLast()) : text
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E }),
            let value = Double(digits), value > 0, value <= 100
        else { throw CommandError(.usage, Text.sampleInvalid(language, [text])) }
        return value
    }
}
