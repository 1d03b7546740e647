import API
import ArgumentParser
import Operations

struct VolumeDestroy: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "destroy",
        abstract: "Register that a volume was destroyed.",
        discussion: """
            Oflayn daşıyıcının məhv edilməsini qeydiyyata alır.

            From then on it keeps nothing, and never will again. It is refused with 77
            where an archive on it is still to be kept and is neither verified in the vault
            nor on another volume that is verified, not overdue and on its shelf. A medium
            that is gone against anybody's will is recorded with `qala volume lost`.

            Examples:
              qala volume destroy 3fa91c02 --reason "terms ended, act 12"
              qala volume destroy 3fa91c02 --reason "terms ended" --dry-run
            """)

    @Argument(help: ArgumentHelp("The volume's id.", valueName: "id"))
    var volume: String

    @Option(help: ArgumentHelp("Why, and by which act.", valueName: "text"))
    var reason: String

    @Flag(help: "Tell whether it would be recorded, and record nothing.")
    var dryRun = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try Volumes.destroy(volume, because: reason, dryRun: dryRun, at: session.workplace())
            try session.answer(report) { Rendering.volumeGone(report, session.language) }
            return .done
        }
    }
}

struct VolumeLost: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lost",
        abstract: "Register that a volume was lost.",
        discussion: """
            Oflayn daşıyıcının itirilməsini qeydiyyata alır.

            Stolen, missing, or unreadable for good: it is recorded in any case, and the
            volume keeps nothing from then on. What is still to be kept and is nowhere
            else is named, and the status is 13; what could not be found out makes it 3.
            Damage of the volume's own register hinders nothing and is told: 13 too.
            A volume that was found is checked in, and counts when it is verified again.

            Examples:
              qala volume lost 3fa91c02 --reason "not on its shelf, inventory of 2026"
              qala volume lost 3fa91c02 --reason "cannot be read" --dry-run
            """)

    @Argument(help: ArgumentHelp("The volume's id.", valueName: "id"))
    var volume: String

    @Option(help: ArgumentHelp("What is known of it.", valueName: "text"))
    var reason: String

    @Flag(help: "Tell what would follow, and record nothing.")
    var dryRun = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try Volumes.lose(volume, because: reason, dryRun: dryRun, at: session.workplace())
            try session.answer(report) { Rendering.volumeGone(report, session.language) }
            if !report.nowhere.isEmpty || !report.damage.isEmpty { return .damaged }
            return report.unknown == nil ? .done : .partial
        }
    }
}
