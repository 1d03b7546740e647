package import Domain

/// What the commands about changes of the policies say to people, like ``Text`` in both languages.
package enum PolicyText: CaseIterable, Sendable {
    case inForceIs, versionNumber, nothingInForce, folderDiffers
    case planNothing, planTitle, planSecond, planAlone, planRemarks
    case policyAdded, policyRemoved, policyChanged, personAdded, personRemoved, personChanged, needsSecond, nothingSaid
    case earlierNone, earlierTitle, columnUntilNow, columnThen, columnWhy, never, vaultMissing, unread
    case applied, appliedDry, unchanged, requested, requestedDry, requestNext
    case daemonReloaded, daemonNone, daemonOther, daemonSaid
    case authorIs, reasonIs, requestIs, askedIs, approversIs, approvedIn, approvedDry, keyMade
    case noVersions, columnVersion, columnAuthor, columnApprovers, columnChanges, firstStart, sameAs
    case calendarTitle, columnExpires

    package func callAsFunction(_ language: Language, _ arguments: [String] = []) -> String {
        Text.filled(language == .azerbaijani ? both.az : both.en, arguments)
    }

    package var both: (en: String, az: String) {
        switch self {
        case .inForceIs: ("In force", "Qüvvədədir")
        case .versionNumber: ("version %1", "%1 nömrəli versiya")
        case .nothingInForce: ("nothing yet", "hələ heç nə")
        case .folderDiffers:
            (
                "The folder holds other policies: `qala policy plan %1` shows how they differ, `qala policy apply %1` puts them into force.",
                "Qovluqda başqa siyasətlər var: fərqi `qala policy plan %1` göstərir, `qala policy apply %1` onları qüvvəyə mindirir."
            )
        case .planNothing:
            ("Nothing that a policy says would change.", "Siyasətlərin məzmununda heç nə dəyişməz.")
        case .planTitle: ("%1, against what is in force (%2):", "%1 və qüvvədə olan (%2):")
        case .planSecond:
            (
                "A second person must approve: `qala policy apply … --request FILE` writes the request.",
                "İkinci şəxs təsdiq etməlidir: `qala policy apply … --request FAYL` sorğunu yazır."
            )
        case .planAlone: ("No second person is needed.", "İkinci şəxsin təsdiqi lazım deyil.")
        case .planRemarks:
            ("It can be applied, and does not conform yet:", "Tətbiq edilə bilər, lakin hələ tam uyğun deyil:")
        case .policyAdded: ("policy %1: added", "%1 siyasəti: əlavə olunur")
        case .policyRemoved: ("policy %1: removed", "%1 siyasəti: çıxarılır")
        case .policyChanged: ("policy %1: %2", "%1 siyasəti: %2")
        case .personAdded: ("person %1: added", "%1 (şəxs): əlavə olunur")
        case .personRemoved: ("person %1: removed", "%1 (şəxs): çıxarılır")
        case .personChanged: ("person %1: changed", "%1 (şəxs): dəyişir")
        case .needsSecond: ("needs a second person: %1", "ikinci şəxs təsdiq etməlidir: %1")
        case .nothingSaid: ("(nothing)", "(yoxdur)")
        case .earlierNone:
            ("No archive could be disposed of earlier.", "Heç bir arxiv daha tez məhv edilə bilməz.")
        case .earlierTitle:
            ("Archives that could be disposed of earlier: %1", "Daha tez məhv edilə bilən arxivlər: %1")
        case .columnUntilNow: ("UNTIL NOW", "İNDİYƏDƏK")
        case .columnThen: ("THEN", "SONRA")
        case .columnWhy: ("WHY", "NİYƏ")
        case .never: ("never", "heç vaxt")
        case .vaultMissing:
            ("The archives of %1 are not looked at: %2", "%1 anbarının arxivlərinə baxılmadı: %2")
        case .unread:
            (
                "%1 archives tell nothing of themselves without a key and are left out.",
                "%1 arxiv açarsız oxunmur və nəzərə alınmadı."
            )
        case .applied: ("Version %1 of the policies is in force.", "Siyasətlərin %1 nömrəli versiyası qüvvəyə mindi.")
        case .appliedDry:
            (
                "Dry run: this would come into force; nothing was changed.",
                "Sınaq: bu, qüvvəyə minərdi; heç nə dəyişdirilmədi."
            )
        case .unchanged:
            (
                "These documents are in force already: version %1.",
                "Bu sənədlər artıq qüvvədədir: %1 nömrəli versiya."
            )
        case .requested:
            ("The request is in %1; nothing is in force yet.", "Sorğu %1 faylındadır; hələ heç nə dəyişmədi.")
        case .requestedDry:
            ("Dry run: the request would be written to %1.", "Sınaq: sorğu %1 faylına yazılardı.")
        case .requestNext:
            (
                "Next: `qala policy approve %1 --person ID --signing-key FILE --to APPROVAL` by a second person, then `qala policy apply --request %1 --approval APPROVAL`.",
                "Növbəti addım: ikinci şəxs `qala policy approve %1 --person ID --signing-key FAYL --to TƏSDİQ`, sonra `qala policy apply --request %1 --approval TƏSDİQ`."
            )
        case .daemonReloaded: ("The daemon works by it now.", "Xidmət artıq buna görə işləyir.")
        case .daemonNone:
            (
                "No daemon answered: it takes this version when it starts.",
                "Xidmət cavab vermədi: bu versiyanı başlayanda götürəcək."
            )
        case .daemonOther:
            (
                "A daemon answered that works by another version: it serves another state directory.",
                "Cavab verən xidmət başqa versiya ilə işləyir: onun vəziyyət qovluğu başqadır."
            )
        case .daemonSaid:
            ("The daemon was asked to take it and answered: %1", "Xidmətin cavabı: %1")
        case .authorIs: ("Author", "Müəllif")
        case .reasonIs: ("Reason", "Səbəb")
        case .requestIs: ("Request", "Sorğu")
        case .askedIs: ("Asked", "Sorğunun vaxtı")
        case .approversIs: ("Approved by", "Təsdiq edən")
        case .approvedIn: ("%1 approves; the signature is in %2.", "%1 təsdiq edir; imza %2 faylındadır.")
        case .approvedDry: ("Dry run: nothing was signed.", "Sınaq: heç nə imzalanmadı.")
        case .keyMade:
            (
                "The signing key is in %1; keep it secret. For people.yaml:",
                "İmza açarı %1 faylındadır; onu gizli saxlayın. people.yaml üçün:"
            )
        case .noVersions: ("No policies were applied yet.", "Hələ heç bir siyasət tətbiq edilməyib.")
        case .columnVersion: ("VERSION", "VERSİYA")
        case .columnAuthor: ("AUTHOR", "MÜƏLLİF")
        case .columnApprovers: ("APPROVED BY", "TƏSDİQ EDƏN")
        case .columnChanges: ("CHANGES", "DƏYİŞİKLİKLƏR")
        case .firstStart: ("first start", "ilk başlanğıc")
        case .sameAs: ("as version %1", "%1 nömrəli versiya kimi")
        case .calendarTitle:
            (
                "By %2, up to %1: %3 archives may be disposed of, %4 are kept longer.",
                "%2 üzrə, %1 tarixinədək: %3 arxiv məhv edilə bilər, %4 arxiv daha uzun saxlanılır."
            )
        case .columnExpires: ("FROM", "BU VAXTDAN")
        }
    }
}
