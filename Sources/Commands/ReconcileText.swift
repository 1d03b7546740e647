package import Domain

/// What `qala reconcile` says to people, like ``Text`` in both languages.
package enum ReconcileText: CaseIterable, Sendable {
    case differences, notices, repaired, repairedDry, missing, unread
    case vaults, archives, own, disposed, departed, runs, acts, holds, volumes, segments, versions

    package func callAsFunction(_ language: Language, _ arguments: [String] = []) -> String {
        Text.filled(language == .azerbaijani ? both.az : both.en, arguments)
    }

    package var both: (en: String, az: String) {
        switch self {
        case .differences: ("%1 differences", "%1 fərq")
        case .notices: ("Notices: %1", "Bildirişlər: %1")
        case .repaired: ("Runs added to the register: %1", "Reyestrə əlavə olunan icralar: %1")
        case .repairedDry:
            ("Dry run: runs that would be added to the register: %1", "Sınaq: reyestrə əlavə olunacaq icralar: %1")
        case .missing: ("The vault %1 was not looked into: %2", "%1 anbarına baxılmadı: %2")
        case .unread:
            (
                "Not compared, for want of a key or of a vault: %1",
                "Açar və ya anbar olmadığından müqayisə edilmədi: %1"
            )
        case .vaults: ("Vaults", "Anbarlar")
        case .archives: ("Archives in their logs", "Jurnallardakı arxivlər")
        case .own: ("Made by this host", "Bu hostun yaratdıqları")
        case .disposed: ("Disposed of", "Məhv edilmişlər")
        case .departed: ("Kept on volumes only", "Yalnız daşıyıcıda saxlanılanlar")
        case .runs: ("Runs in the register", "Reyestrdəki icralar")
        case .acts: ("Entries of the audit log", "Audit jurnalının qeydləri")
        case .holds: ("Holds", "Qadağalar")
        case .volumes: ("Volumes", "Daşıyıcılar")
        case .segments: ("Log segments", "Loq seqmentləri")
        case .versions: ("Versions of the policies", "Siyasətlərin versiyaları")
        }
    }
}
