import API
import ArgumentParser
import Domain
import Operations

struct LogSegmentGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log-segments",
        abstract: "List and verify the segments that logs were sealed into.",
        discussion: """
            Loqların yazıldığı seqmentləri göstərir və yoxlayır.

            Examples:
              qala log-segments list
              qala log-segments verify
            """,
        subcommands: [LogSegmentList.self, LogSegmentVerify.self])
}

struct LogSegmentList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the log segments of this host: when, from where, how much, and what was found.",
        discussion: """
            Bu hostun loq seqmentlərini göstərir: nə vaxt, haradan, nə qədər və nə aşkar edilib.

            A finding is a gap, something altered, a line cut off by a rotation, a jump
            of the clock, or entries that came twice.

            Examples:
              qala log-segments list
              qala log-segments list --policy log --json
            """)

    @Option(help: ArgumentHelp("Of this policy only.", valueName: "name"))
    var policy: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let list = try LogSegments.list(policy: policy, at: session.workplace())
            try session.answer(list) { Rendering.logSegments(list.segments, session.language) }
            return .done
        }
    }
}

struct LogSegmentVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify that no log segment is missing or changed.",
        discussion: """
            Heç bir loq seqmentinin itmədiyini və dəyişmədiyini yoxlayır.

            The numbers and digests of the ledger are compared with each other, with the
            segments in the spool and, where a key is at hand, with those in archives.
            Without one the status is 3 when segments lie in archives alone.

            Examples:
              qala log-segments verify
              qala log-segments verify --policy log --key-file kit.txt
            """)

    @Option(help: ArgumentHelp("Of this policy only.", valueName: "name"))
    var policy: String?

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try LogSegments.verify(policy: policy, at: session.workplace())
            try session.answer(report) { Rendering.logVerification(report, session.language) }
            // What was not read was not verified.
            if report.isSound, report.unread > 0 { return .partial }
            return report.isSound ? .done : .damaged
        }
    }
}
