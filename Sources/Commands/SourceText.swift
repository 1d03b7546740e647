package import Domain

/// What `qala source` says to people, like ``Text`` in both languages.
package enum SourceText: CaseIterable, Sendable {
    case nothing, place, version, databases, running, stopped, asFiles, notPlanned
    case compared, noPolicies, changed, vanished, unplanned, unseen

    package func callAsFunction(_ language: Language, _ arguments: [String] = []) -> String {
        Text.filled(language == .azerbaijani ? both.az : both.en, arguments)
    }

    package var both: (en: String, az: String) {
        switch self {
        case .nothing: ("No database and no repository was found.", "Heç bir baza və git anbarı tapılmadı.")
        case .place: ("PLACE", "YER")
        case .version: ("VERSION", "VERSİYA")
        case .databases: ("DATABASES", "BAZALAR")
        case .running: ("running", "işləyir")
        case .stopped: ("stopped", "dayanıb")
        case .asFiles: ("as files", "fayl kimi")
        case .notPlanned: ("not planned", "nəzərdə tutulmayıb")
        case .compared: ("Compared with the policies: %1", "Müqayisə edilən siyasətlər: %1")
        case .noPolicies:
            (
                "No policies are in force; --policies FOLDER compares with a folder.",
                "Qüvvədə siyasət yoxdur; --policies QOVLUQ göstərilən qovluqla müqayisə edir."
            )
        case .changed: ("%1: version %2 became %3", "%1: versiya %2 əvəzinə %3 olub")
        case .vanished: ("%1 is not there", "%1 yerində yoxdur")
        case .unplanned:
            (
                "Not planned: %1. `qala source discover --draft` drafts a policy.",
                "Nəzərdə tutulmayıb: %1. `qala source discover --draft` siyasət layihəsi tərtib edir."
            )
        case .unseen: ("Could not be looked at: %1", "Baxıla bilmədi: %1")
        }
    }
}
