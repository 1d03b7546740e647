import ArgumentParser
import Domain
import Operations

extension PointInTime.Action: ExpressibleByArgument {}

/// With `--cluster` or `--server`: the moment that what is restored is brought to by its logs.
struct PointInTimeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "With --cluster or --server: recover to `latest`, the end of the archived logs.", valueName: "end"))
    var target: String?

    @Option(help: ArgumentHelp("With --cluster or --server: recover to this time.", valueName: "time"))
    var targetTime: String?

    @Option(help: ArgumentHelp("With --cluster: recover to this place in the WAL.", valueName: "lsn"))
    var targetLsn: String?

    @Option(help: ArgumentHelp("With --cluster: recover to the commit of this transaction.", valueName: "xid"))
    var targetXid: UInt64?

    @Option(help: ArgumentHelp("With --cluster: recover to this named restore point.", valueName: "name"))
    var targetName: String?

    @Option(help: ArgumentHelp("With --server: recover to this place in a binary log.", valueName: "file:position"))
    var targetPosition: String?

    @Option(help: ArgumentHelp("With --server: recover to this transaction and it.", valueName: "gtid"))
    var targetGtid: String?

    @Option(help: ArgumentHelp("The timeline to follow; the newest when not given.", valueName: "number"))
    var targetTimeline: UInt32?

    @Option(
        help: ArgumentHelp("What the server does at the target: promote, pause, shutdown.", valueName: "act"),
        completion: .list(["promote", "pause", "shutdown"]))
    var targetAction: PointInTime.Action = .promote

    @Option(help: ArgumentHelp("The source of the WAL, where it has another name than the cluster.", valueName: "name"))
    var walSource: String?

    /// The targets that were given, of which there may be one.
    var named: [(option: String, value: String)] {
        let all: [(option: String, value: String?)] = [
            ("--target", target), ("--target-time", targetTime), ("--target-lsn", targetLsn),
            ("--target-xid", targetXid.map { "\($0)" }), ("--target-name", targetName),
            ("--target-position", targetPosition), ("--target-gtid", targetGtid),
        ]
        return all.compactMap { target in target.value.map { (target.option, $0) } }
    }

    /// For a server of MariaDB, whose options were checked; nil when no target was named.
    func ofServer(_ language: Language) throws -> BinaryLogTarget? {
        try checkOne(language)
        if target != nil { return try isLatest(language) ? .latest : nil }
        if let targetTime { return .time(try time(targetTime, language).seconds) }
        if let targetPosition {
            let parts = targetPosition.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, let position = UInt64(parts[1]) else {
                throw usage(
                    language,
                    "\(Printable.text(targetPosition)) is no place in a binary log, such as binlog.000007:4711",
                    "\(Printable.text(targetPosition)) ikilik loqda yer deyil; belə yazın: binlog.000007:4711")
            }
            return .place(BinaryLogPlace(file: String(parts[0]), position: position))
        }
        guard let targetGtid else { return nil }
        guard let gtid = BinaryLogGTID(targetGtid) else {
            throw usage(
                language, "\(Printable.text(targetGtid)) is no GTID, such as 0-1-99",
                "\(Printable.text(targetGtid)) GTID deyil; belə yazın: 0-1-99")
        }
        return .transaction(gtid)
    }

    private func checkOne(_ language: Language) throws {
        guard named.count <= 1 else {
            let list = named.map(\.option).joined(separator: ", ")
            throw usage(
                language, "\(list) are \(named.count) targets; name one",
                "\(list): \(named.count) məqsəd verilib; birini göstərin")
        }
    }

    private func isLatest(_ language: Language) throws -> Bool {
        guard target == "latest" else {
            throw usage(language, "--target takes `latest` alone", "--target yalnız `latest` qəbul edir")
        }
        return true
    }

    private func time(_ text: String, _ language: Language) throws -> (seconds: Int64, text: String) {
        guard let time = RecoveryTime.parse(text) else {
            throw usage(
                language, "\(Printable.text(text)) is no time, such as 2026-11-23T09:50:00+04:00",
                "\(Printable.text(text)) vaxt deyil; belə yazın: 2026-11-23T09:50:00+04:00")
        }
        return time
    }

    /// For a cluster of PostgreSQL, whose options were checked; nil when no target was named.
    func options(_ language: Language) throws -> PointInTime.Options? {
        try checkOne(language)
        guard let recovery = try recovery(language) else {
            guard targetTimeline == nil, walSource == nil, targetAction == .promote else {
                let name =
                    targetTimeline != nil ? "--target-timeline" : walSource != nil ? "--wal-source" : "--target-action"
                throw usage(language, "\(name) needs a target", "\(name) üçün məqsəd göstərilməlidir")
            }
            return nil
        }
        var options = PointInTime.Options(target: recovery)
        options.timeline = targetTimeline
        options.action = targetAction
        options.source = walSource
        return options
    }

    private func recovery(_ language: Language) throws -> RecoveryTarget? {
        if target != nil { return try isLatest(language) ? .latest : nil }
        if let targetTime {
            let time = try time(targetTime, language)
            return .time(time.seconds, text: time.text)
        }
        if let targetLsn {
            guard let position = LSN(targetLsn) else {
                throw usage(
                    language, "\(Printable.text(targetLsn)) is no place in the WAL, such as 16/B374D848",
                    "\(Printable.text(targetLsn)) WAL jurnalında yer deyil; belə yazın: 16/B374D848")
            }
            return .position(position)
        }
        if let targetXid { return .transaction(targetXid) }
        guard let targetName else { return nil }
        guard (1...63).contains(targetName.utf8.count), targetName.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw usage(
                language, "a restore point has a name of 1 to 63 bytes",
                "bərpa nöqtəsinin adı 1-dən 63 baytadək olur")
        }
        return .name(targetName)
    }

    private func usage(_ language: Language, _ english: String, _ azerbaijani: String) -> CommandError {
        CommandError(
            .usage, language == .azerbaijani ? azerbaijani : english,
            hint: language == .azerbaijani
                ? "--target latest və ya --target-time; --cluster ilə həm də --target-lsn, --target-xid, --target-name; --server ilə --target-position, --target-gtid."
                : "One of --target latest, --target-time; with --cluster also --target-lsn, --target-xid, --target-name; with --server --target-position, --target-gtid."
        )
    }
}
