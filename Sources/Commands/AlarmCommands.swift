import API
import ArgumentParser
import Documents
import Domain
import Operations

struct AlarmGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alarms",
        abstract: "Show what is wrong now, and try the ways in which it is told.",
        discussion: """
            İndi nəyin qaydasında olmadığını göstərir və xəbərdarlıq kanallarını sınayır.

            Examples:
              qala alarms
              qala alarms test
            """,
        subcommands: [AlarmList.self, AlarmTest.self, AlarmValidate.self], defaultSubcommand: AlarmList.self)
}

struct AlarmList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the alarms that are open.",
        discussion: """
            Açıq xəbərdarlıqların siyahısı.

            Examples:
              qala alarms
              qala alarms list --json
            """)

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let reply = try socket.client(session).get(ControlPath.alarms, as: AlarmsReply.self)
            try session.answer(reply) { Rendering.alarms(reply.alarms, session.language) }
            return .done
        }
    }
}

struct AlarmTest: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Send a trial through one channel, or through all.",
        discussion: """
            Sınaq xəbərini bir kanalla və ya bütün kanallarla göndərir.

            Examples:
              qala alarms test
              qala alarms test duty
            """)

    @Argument(help: ArgumentHelp("The channel; without one, all.", valueName: "channel"))
    var channel: String?

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            // A channel that hangs has a minute.
            let reply = try socket.client(session, patience: 90).post(
                ControlPath.alarmTest, ChannelAsked(channel: channel), as: AlarmTestReply.self)
            try session.answer(reply) { Rendering.alarmTest(reply.channels, session.language) }
            return reply.channels.contains { $0.failure != nil } ? .failed : .done
        }
    }
}

struct AlarmValidate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Check the document that says where alarms go.",
        discussion: """
            Xəbərdarlıqların hara göndəriləcəyini göstərən sənədi yoxlayır.

            Examples:
              qala alarms validate /etc/qala/alarms.yaml
            """)

    @Argument(help: ArgumentHelp("The document.", valueName: "file"), completion: .file())
    var file: String

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try AlarmSheet.read(file)
            try session.answer(report) { Rendering.alarmSheet(report, session.language) }
            return .done
        }
    }
}

extension Rendering {
    static func alarms(_ rows: [AlarmRow], _ language: Language) -> [String] {
        let isEnglish = language == .english
        guard !rows.isEmpty else {
            return [isEnglish ? "Nothing is wrong that is known." : "Məlum olan heç bir nasazlıq yoxdur."]
        }
        var table = Table([
            (isEnglish ? "LEVEL" : "DƏRƏCƏ", .left), (isEnglish ? "SINCE" : "BAŞLANIB", .left),
            (isEnglish ? "SUBJECT" : "OBYEKT", .left), (isEnglish ? "WHAT" : "NƏ BAŞ VERİB", .left),
            (isEnglish ? "DETAIL" : "TƏFSİLAT", .left),
        ])
        for row in rows {
            table.add([
                Alarm.Level(rawValue: row.level)?.name(in: language) ?? row.level, Printable.localTime(row.since),
                row.subject, Alarm.Kind(rawValue: row.kind)?.text(in: language) ?? row.kind,
                row.detail.split(separator: "\n").joined(separator: "; "),
            ])
        }
        return table.lines
    }

    static func alarmTest(_ rows: [AlarmTestRow], _ language: Language) -> [String] {
        rows.map { row in
            let said = row.failure ?? (language == .english ? "delivered" : "çatdırıldı")
            return Printable.text("\(row.channel): \(said)")
        }
    }

    static func alarmSheet(_ sheet: AlarmSheet, _ language: Language) -> [String] {
        let isEnglish = language == .english
        var lines = [isEnglish ? "The document is valid." : "Sənəd düzgündür."]
        lines += sheet.channels.map { row in
            let least = Alarm.Level(rawValue: row.least)?.name(in: language) ?? row.least
            return Printable.text("  \(row.name): \(row.kind), \(least)")
        }
        if let seconds = sheet.deadManSeconds {
            lines.append("  dead-man: \(Readable.duration(Double(seconds), language))")
        }
        return lines
    }
}
