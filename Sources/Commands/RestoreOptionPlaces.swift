import Domain
import Operations

/// Options of one kind of restore that were given to another: which one it is, and what to write instead.
extension Restore {
    enum Subject {
        case files, cluster, server
    }

    private typealias Words = (en: String, az: String)

    /// An option and what is to be given in its place; nil for a kind of restore that takes it.
    private struct Option {
        var name: String
        var isGiven: Bool
        var cluster: Words?
        var server: Words?
        var isForFiles = false
    }

    /// Refuses the first option that does not belong to what is restored; `path` is the first that was named.
    func checkOptions(for subject: Subject, path: String?, _ language: Language) throws {
        for option in targets + options(path) where option.isGiven {
            switch subject {
            case .files where !option.isForFiles: throw Self.homeless(option, language)
            case .cluster: try Self.refuse(option.name, with: "--cluster", option.cluster, language)
            case .server: try Self.refuse(option.name, with: "--server", option.server, language)
            case .files: continue
            }
        }
    }

    private static func refuse(_ name: String, with subject: String, _ instead: Words?, _ language: Language) throws {
        guard let instead else { return }
        throw language == .azerbaijani
            ? CommandError(.usage, "\(name) \(subject) ilə birgə verilmir", hint: instead.az)
            : CommandError(.usage, "\(name) does not go with \(subject)", hint: instead.en)
    }

    /// It is for databases, and none was named.
    private static func homeless(_ option: Option, _ language: Language) -> CommandError {
        let isAzerbaijani = language == .azerbaijani
        let homes = [
            (
                option.cluster == nil, "--cluster NAME",
                isAzerbaijani ? "PostgreSQL klasteri" : "a cluster of PostgreSQL"
            ),
            (option.server == nil, "--server NAME", isAzerbaijani ? "MariaDB serveri" : "a server of MariaDB"),
        ].filter(\.0)
        let names = homes.map { "\($0.1) (\($0.2))" }.joined(separator: isAzerbaijani ? " və ya " : " or ")
        return isAzerbaijani
            ? CommandError(
                .usage, "\(option.name) fayllara aid deyil",
                hint: "\(names) ilə birgə verilir.")
            : CommandError(
                .usage, "\(option.name) is not for files",
                hint: "It goes with \(names).")
    }

    private var targets: [Option] {
        [
            Option(name: "--target", isGiven: recovery.target != nil),
            Option(name: "--target-time", isGiven: recovery.targetTime != nil),
            Option(
                name: "--target-lsn", isGiven: recovery.targetLsn != nil,
                server: (
                    "A place in the binary logs is --target-position FILE:POSITION.",
                    "İkilik loqlarda yer --target-position FAYL:MÖVQE ilə göstərilir."
                )),
            Option(
                name: "--target-xid", isGiven: recovery.targetXid != nil,
                server: (
                    "A transaction of MariaDB is --target-gtid DOMAIN-SERVER-SEQUENCE.",
                    "MariaDB tranzaksiyası --target-gtid DOMEN-SERVER-SIRA ilə göstərilir."
                )),
            Option(
                name: "--target-name", isGiven: recovery.targetName != nil,
                server: (
                    "MariaDB has no named restore points: give --target-time, --target-position or --target-gtid.",
                    "MariaDB-də adlı bərpa nöqtəsi yoxdur: --target-time, --target-position və ya --target-gtid verin."
                )),
            Option(
                name: "--target-position", isGiven: recovery.targetPosition != nil,
                cluster: (
                    "A place in the WAL is --target-lsn LSN.", "WAL jurnalında yer --target-lsn LSN ilə göstərilir."
                )),
            Option(
                name: "--target-gtid", isGiven: recovery.targetGtid != nil,
                cluster: (
                    "A transaction of PostgreSQL is --target-xid XID.",
                    "PostgreSQL tranzaksiyası --target-xid XID ilə göstərilir."
                )),
            Option(
                name: "--target-timeline", isGiven: recovery.targetTimeline != nil,
                server: (
                    "Binary logs have no timelines: leave it out.", "İkilik loqlarda zaman xətti yoxdur: onu yazmayın."
                )),
            Option(
                name: "--target-action", isGiven: recovery.targetAction != .promote,
                server: (
                    "The server stands still when its directory is made: leave it out.",
                    "Qovluq hazır olanda server dayanmış olur: onu yazmayın."
                )),
            Option(
                name: "--wal-source", isGiven: recovery.walSource != nil,
                server: (
                    "The binary logs belong to the server that is named: leave it out.",
                    "İkilik loqlar adı verilən serverindir: onu yazmayın."
                )),
        ]
    }

    private func options(_ path: String?) -> [Option] {
        [
            Option(
                name: "--tablespace-map", isGiven: !tablespaceMap.isEmpty,
                server: (
                    "A copy of MariaDB has one directory alone, --to DIR: leave it out.",
                    "MariaDB nüsxəsinin bir qovluğu var, --to QOVLUQ: onu yazmayın."
                )),
            Option(
                name: "--delta", isGiven: delta,
                server: (
                    "Restore into a directory that is empty or does not exist.",
                    "Boş və ya mövcud olmayan qovluğa bərpa edin."
                )),
            Option(
                name: "--server", isGiven: cluster != nil && server != nil,
                cluster: ("Restore one of them, then the other.", "Əvvəl birini, sonra o birini bərpa edin."),
                isForFiles: true),
            Option(
                name: "--in-place", isGiven: inPlace,
                cluster: (
                    "Name the directory with --to DIR; with --delta it may be that of the stopped cluster itself.",
                    "Qovluğu --to QOVLUQ ilə göstərin; --delta ilə o, dayandırılmış klasterin öz qovluğu ola bilər."
                ), server: ("Name an empty directory with --to DIR.", "Boş qovluğu --to QOVLUQ ilə göstərin."),
                isForFiles: true),
            Option(
                name: "--conflict", isGiven: conflict != .refuse,
                cluster: (
                    "A cluster goes into an empty directory, or with --delta over itself.",
                    "Klaster boş qovluğa, --delta ilə isə öz üzərinə bərpa olunur."
                ), server: ("A copy goes into an empty directory.", "Nüsxə boş qovluğa bərpa olunur."), isForFiles: true
            ),
            Option(
                name: "--verify", isGiven: verify,
                server: (
                    "`qala verify --read-data` reads what the archive holds: leave it out.",
                    "`qala verify --read-data` arxivin məzmununu oxuyub yoxlayır: onu yazmayın."
                ), isForFiles: true),
            Option(
                name: Printable.text(path ?? ""), isGiven: path != nil,
                cluster: (
                    "All of the cluster is restored; to have single files of it, name their paths without --cluster.",
                    "Bütün klaster bərpa olunur; ayrı fayllar üçün onların yollarını --cluster olmadan göstərin."
                ),
                server: (
                    "All of the server is restored; to have single files of it, name their paths without --server.",
                    "Bütün server bərpa olunur; ayrı fayllar üçün onların yollarını --server olmadan göstərin."
                ), isForFiles: true),
        ]
    }
}
