import API
import ArgumentParser
import Domain
import Operations

struct VolumeGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volume",
        abstract: "Keep archives on offline volumes that open without qala.",
        discussion: """
            Arxivləri qala olmadan da açılan oflayn daşıyıcılarda saxlayır.

            Examples:
              qala volume create /mnt/volume --shelf B-12 --secret /safe/volume.secret
              qala volume write /mnt/volume latest --secret /safe/volume.secret
              qala volume verify /mnt/volume --secret /safe/volume.secret
            """,
        subcommands: [
            VolumeCreate.self, VolumeWrite.self, VolumeVerify.self, VolumeInventory.self, VolumeLabel.self,
            VolumeList.self, VolumeCheckout.self, VolumeCheckin.self, VolumeDestroy.self, VolumeLost.self,
            VolumePullList.self, VolumeRestore.self, VolumeSecret.self,
        ])
}

struct VolumeCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make an empty volume and enter it in the register.",
        discussion: """
            Boş oflayn daşıyıcı hazırlayır və onu reyestrə yazır.

            The secret goes to a new file that only you can read, and never onto the
            volume in the clear. Keep it away from the volume.

            Examples:
              qala volume create /mnt/volume --shelf B-12 --secret /safe/volume.secret
              qala volume create /mnt/volume --title "2026" --shelf B-12 --reverify "6 months" --secret s.txt
            """)

    @Argument(help: ArgumentHelp("An empty directory on the medium.", valueName: "dir"), completion: .directory)
    var directory: String

    @Option(help: ArgumentHelp("Where the volume will lie.", valueName: "text"))
    var shelf: String

    @Option(help: ArgumentHelp("What people call it.", valueName: "text"))
    var title: String?

    @Option(help: ArgumentHelp("Bytes that the medium may take.", valueName: "bytes"))
    var capacity: Int?

    @Option(help: ArgumentHelp("How long a verification counts.", valueName: "period"))
    var reverify = "1 year"

    @Option(help: ArgumentHelp("New file for the secret.", valueName: "file"), completion: .file())
    var secret: String

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let capacity, capacity < 1 << 20 { throw ValidationError("--capacity is 1048576 bytes or more.") }
    }

    func run() throws {
        try common.perform { session in
            do throws(RetentionError) { _ = try Period(parsing: reverify) } catch {
                throw CommandError(.usage, error.message(in: session.language), hint: error.hint(in: session.language))
            }
            let request = CreateVolume.Request(
                directory: try session.absolute(directory), title: title, shelf: shelf, capacity: capacity,
                reverify: reverify, secretPath: try session.absolute(secret))
            let made = try CreateVolume.run(request, at: session.workplace())
            try session.answer(made) { Rendering.volumeCreated(made, session.language) }
            return .done
        }
    }
}

struct VolumeWrite: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "write",
        abstract: "Write archives to a volume.",
        discussion: """
            Arxivləri oflayn daşıyıcıya yazır.

            What lies on the volume already is skipped, so the same command goes on after
            an interruption. Plaintext goes through pipes only, never into a file.

            Examples:
              qala volume write /mnt/volume latest --secret /safe/volume.secret
              qala volume write /mnt/volume latest:config 3fa91c02 --secret s.txt --dry-run
            """)

    @Argument(help: ArgumentHelp("Where the volume is mounted.", valueName: "dir"), completion: .directory)
    var directory: String

    @Argument(help: ArgumentHelp("The archives.", valueName: "archive"))
    var archives: [String]

    @Option(help: ArgumentHelp("The secret file of the volume.", valueName: "file"), completion: .file())
    var secret: String

    @Option(help: ArgumentHelp("Bytes of one part of a stream.", valueName: "bytes"))
    var partSize = WriteVolume.usualPartBytes

    @Flag(help: "Tell what would be written, and write nothing.")
    var dryRun = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let request = WriteVolume.Request(
                directory: try session.absolute(directory), archives: archives,
                secretPath: try session.absolute(secret), partBytes: partSize, dryRun: dryRun)
            let report = try session.showingProgress { try WriteVolume.run(request, at: session.workplace()) }
            try session.answer(report) { Rendering.volumeWritten(report, session.language) }
            return .done
        }
    }
}

struct VolumeVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify that a volume holds what was written to it.",
        discussion: """
            Oflayn daşıyıcının bütövlüyünü yoxlayır.

            The signed list first, then every digest, and the decoy, which must be found
            bad. With the secret every stream is opened too; only that moves the day of
            the next verification. Damage is exit status 13. Where neither the register
            nor --fingerprint says who signs, the status is 3.

            Examples:
              qala volume verify /mnt/volume --secret /safe/volume.secret
              qala volume verify /mnt/volume --fingerprint 77c0a1b2d3e4f506
            """)

    @Argument(help: ArgumentHelp("Where the volume is mounted.", valueName: "dir"), completion: .directory)
    var directory: String

    @Option(help: ArgumentHelp("The secret file of the volume.", valueName: "file"), completion: .file())
    var secret: String?

    @Option(help: ArgumentHelp("Key fingerprint on the label, 16 digits or more.", valueName: "digits"))
    var fingerprint: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let request = VerifyVolume.Request(
                directory: try session.absolute(directory), secretPath: try secret.map { try session.absolute($0) },
                fingerprint: fingerprint)
            let unknown = [ToldOutcome.verification(ofVolumeAt: request.directory)]
            session.trial = Trial(failing: unknown, passing: [], isCheck: true)
            let report = try session.showingProgress { try VerifyVolume.run(request, at: session.workplace()) }
            let depths = (secret == nil ? [false] : [true, false]).map {
                ToldOutcome.verification(ofVolume: report.volume, opened: $0)
            }
            session.trial = Trial(
                failing: Array(depths.prefix(1)), passing: depths + unknown, isCheck: true,
                message: report.complaint ?? "")
            try session.answer(report) { Rendering.volumeVerified(report, session.language) }
            return report.findings.isEmpty ? (report.keyProven ? .done : .partial) : .damaged
        }
    }
}

struct VolumeInventory: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inventory",
        abstract: "List what lies on a volume.",
        discussion: """
            Oflayn daşıyıcıdakı faylların siyahısı.

            From the medium where a directory is named, else from the register. No secret
            is needed.

            Examples:
              qala volume inventory 3fa91c0277be4d10
              qala volume inventory /mnt/volume --path /etc
            """)

    @Argument(help: ArgumentHelp("Where the volume is mounted, or its id.", valueName: "dir|id"))
    var volume: String

    @Option(help: ArgumentHelp("Only this path and what is below it.", valueName: "path"))
    var path: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let place = try session.absolute(volume)
            _ = try session.stream(under: "entries") { each in
                try Volumes.inventory(place, path: path, at: session.workplace(), each: each)
            } line: { (row: SliceRow) in
                Rendering.sliceRow(row, session.language)
            }
            return .done
        }
    }
}

struct VolumeLabel: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label",
        abstract: "Print the label of a volume.",
        discussion: """
            Oflayn daşıyıcının etiketini QR kodu ilə yazır.

            Examples:
              qala volume label 3fa91c0277be4d10 | lp
            """)

    @Argument(help: ArgumentHelp("The volume's id.", valueName: "id"))
    var volume: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let found = try Volumes.label(volume, at: session.workplace())
            try session.answer(found.record) {
                found.label.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }
            }
            return .done
        }
    }
}

struct VolumeList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the volumes, with their shelves and when they are due.",
        discussion: """
            Oflayn daşıyıcıların siyahısı: rəf yeri və növbəti yoxlama.

            Examples:
              qala volume list
              qala volume list --overdue
            """)

    @Flag(help: "Only those that are due for verification.")
    var overdue = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try Volumes.list(overdue: overdue, at: session.workplace())
            try session.answer(report) { Rendering.volumes(report.volumes, session.language) }
            return .done
        }
    }
}

struct VolumeCheckout: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkout",
        abstract: "Register that somebody takes a volume from its shelf.",
        discussion: """
            Oflayn daşıyıcının rəfdən götürülməsini qeydiyyata alır.

            Examples:
              qala volume checkout 3fa91c02 --to "Aysel Quliyeva, standby centre"
            """)

    @Argument(help: ArgumentHelp("The volume's id.", valueName: "id"))
    var volume: String

    @Option(help: ArgumentHelp("Who takes it, or where it goes.", valueName: "text"))
    var to: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let record = try Volumes.checkOut(volume, to: to, at: session.workplace())
            try session.answer(record) { Rendering.volumeMoved(record, session.language) }
            return .done
        }
    }
}

struct VolumeCheckin: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkin",
        abstract: "Register that a volume lies on a shelf.",
        discussion: """
            Oflayn daşıyıcının rəfə qoyulmasını qeydiyyata alır.

            One that was lost is found by that; it counts again when it is verified.

            Examples:
              qala volume checkin 3fa91c02 --shelf B-12
            """)

    @Argument(help: ArgumentHelp("The volume's id.", valueName: "id"))
    var volume: String

    @Option(help: ArgumentHelp("The shelf.", valueName: "text"))
    var shelf: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let record = try Volumes.checkIn(volume, shelf: shelf, at: session.workplace())
            try session.answer(record) { Rendering.volumeMoved(record, session.language) }
            return .done
        }
    }
}

struct VolumePullList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull-list",
        abstract: "Name the volumes to fetch for an archive.",
        discussion: """
            Arxiv üçün hansı oflayn daşıyıcıların gətirilməli olduğunu göstərir.

            Examples:
              qala volume pull-list 3fa91c02
              qala volume pull-list 3fa91c02 /srv/www /etc/ssh
            """)

    @Argument(help: ArgumentHelp("The archive's id.", valueName: "archive"))
    var archive: String

    @Argument(help: ArgumentHelp("Only what is needed for these paths.", valueName: "path"))
    var paths: [String] = []

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try Volumes.pullList(archive, paths: paths, at: session.workplace())
            try session.answer(report) { Rendering.pullList(report, session.language) }
            return report.missing.isEmpty ? .done : .notFound
        }
    }
}

struct VolumeSecret: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secret",
        abstract: "Write a volume's secret file again, with a key of the vault.",
        discussion: """
            Oflayn daşıyıcının sirrini anbarın açarı ilə yenidən fayla yazır.

            Examples:
              qala volume secret /mnt/volume --to /safe/volume.secret --key-file kit.txt
            """)

    @Argument(help: ArgumentHelp("Where the volume is mounted.", valueName: "dir"), completion: .directory)
    var directory: String

    @Option(help: ArgumentHelp("New file for the secret.", valueName: "file"), completion: .file())
    var to: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let path = try session.absolute(to)
            let id = try VolumeSecrets.recover(session.absolute(directory), to: path, at: session.workplace())
            try session.answer(VolumeSecretReply(volume: id, secretPath: path)) {
                Rendering.volumeSecret(id, path, session.language)
            }
            return .done
        }
    }
}

/// The answer of `qala volume secret`.
struct VolumeSecretReply: Encodable {
    var volume: String
    var secretPath: String
}
