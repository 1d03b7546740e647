import ArgumentParser
import Domain
import Operations

extension PointInTime.Action: ExpressibleByArgument {}

/// With `--cluster`: the moment that a restored cluster is brought to by its WAL.
struct PointInTimeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("With --cluster: recover to `latest`, the end of the archived WAL.", valueName: "end"))
    var target: String?

    @Option(help: ArgumentHelp("With --cluster: recover to this time.", valueName: "time"))
    var targetTime: String?

    @Option(help: ArgumentHelp("With --cluster: recover to this place in the WAL.", valueName: "lsn"))
    var targetLsn: String?

    @Option(help: ArgumentHelp("With --cluster: recover to the commit of this transaction.", valueName: "xid"))
    var targetXid: UInt64?

    @Option(help: ArgumentHelp("With --cluster: recover to this named restore point.", valueName: "name"))
    var targetName: String?

    @Option(help: ArgumentHelp("The timeline to follow; the newest when not given.", valueName: "number"))
    var targetTimeline: UInt32?

    @Option(
        help: ArgumentHelp("What the server does at the target: promote, pause, shutdown.", valueName: "act"),
        completion: .list(["promote", "pause", "shutdown"]))
    var targetAction: PointInTime.Action = .promote

    @Option(help: ArgumentHelp("The source of the WAL, where it has another name than the cluster.", valueName: "name"))
    var walSource: String?

    /// The targets, of which there may be one.
    var named: [String] { [target, targetTime, targetLsn, targetXid.map { "\($0)" }, targetName].compactMap(\.self) }

    /// Nil when no target was named.
    func options(_ language: Language) throws -> PointInTime.Options? {
        guard named.count <= 1 else {
            throw usage(language, "name one target", "bir məqsəd göstərin")
        }
        guard let recovery = try recovery(language) else {
            guard targetTimeline == nil, walSource == nil, targetAction == .promote else {
                throw usage(language, "name a target", "məqsəd göstərin")
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
        if let target {
            guard target == "latest" else {
                throw usage(language, "--target takes `latest` alone", "--target yalnız `latest` qəbul edir")
            }
            return .latest
        }
        if let targetTime {
            guard let time = RecoveryTime.parse(targetTime) else {
                throw usage(
                    language, "\(Printable.text(targetTime)) is no time, such as 2026-11-23T09:50:00+04:00",
                    "\(Printable.text(targetTime)) vaxt deyil; belə yazın: 2026-11-23T09:50:00+04:00")
            }
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

    func usage(_ language: Language, _ english: String, _ azerbaijani: String) -> CommandError {
        CommandError(
            .usage, language == .azerbaijani ? azerbaijani : english,
            hint: language == .azerbaijani
                ? "--target latest, --target-time, --target-lsn, --target-xid və ya --target-name; --cluster ilə birgə."
                : "One of --target latest, --target-time, --target-lsn, --target-xid, --target-name; with --cluster.")
    }
}
