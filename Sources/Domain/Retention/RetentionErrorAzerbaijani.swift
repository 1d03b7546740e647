extension RetentionError.Reason {
    private static let spellings = "Tam ədədi vahidlə yazın: `7 il`, `6 ay`, `30 gün` və ya `P7Y6M`."
    private static let units = "Vahidlər: il, ay, həftə, gün, saat, dəqiqə, saniyə."

    private static func meant(_ suggestion: String?, else otherwise: String) -> String {
        suggestion.map { "Bəlkə `\($0)`?" } ?? otherwise
    }

    var azerbaijani: (message: String, hint: String) {
        switch self {
        case .emptyPeriod: ("müddət boşdur", Self.spellings)
        case .periodTextTooLong: ("müddətin mətni \(PeriodText.maximumBytes) baytdan uzundur", Self.spellings)
        case .notAPeriod(let text, let suggestion):
            ("`\(text)` müddət deyil", Self.meant(suggestion, else: Self.spellings))
        case .noNumber(let text): ("`\(text)` sözündən əvvəl ədəd yoxdur", Self.spellings)
        case .noUnit(let digits): ("\(digits) ədədinin vahidi yoxdur", Self.units)
        case .notWhole(let text): ("`\(text)` kəsrdir", "Daha kiçik vahidin tam ədədini yazın, məsələn `18 ay`.")
        case .unknownUnit(let word, let suggestion):
            ("`\(word)` vaxt vahidi deyil", Self.meant(suggestion, else: Self.units))
        case .ambiguousUnit(let word): ("`\(word)` həm ay, həm dəqiqə ola bilər", "`ay` və ya `dəq` yazın.")
        case .repeatedUnit(let unit): ("müddətdə `\(unit)` vahidi iki dəfədir", "Hər vahidi bir dəfə yazın.")
        case .badISO(let text):
            ("`\(text)` ISO 8601 müddəti deyil", "`P`, sonra il, ay, gün yazın: `P7Y6M`; saatlar `T`-dən sonra gəlir.")
        case .periodTooLong:
            ("müddət \(Period.maximumYears) ildən uzundur", "Daimi mühafizə üçün `daimi` yazın.")
        default: azerbaijaniPlan
        }
    }

    private var azerbaijaniPlan: (message: String, hint: String) {
        switch self {
        case .countOutOfRange(let generation, let count):
            (
                "\(generation.name(in: .azerbaijani)) arxivlərin sayı (\(count)) yol verilən hədlərdən kənardır",
                "0 ilə \(RetentionRule.maximumCount) arasında say yazın."
            )
        case .maximumBelowMinimum:
            ("ən uzun saxlanma saxlanma müddətindən qısadır", "Birini uzadın və ya o birini qısaldın.")
        case .noArchiveTier:
            ("nə onlayn, nə də oflayn arxiv istifadə olunur", "Ən azı birini istifadə edin, yoxsa arxiv olmayacaq.")
        case .emptyTierText(let tier):
            (
                "\(tier.name(in: .azerbaijani)) üçün nə format, nə də səbəb göstərilib",
                "Məlumatın hansı formatda saxlandığını və ya niyə istifadə olunmadığını yazın (bənd 5.2.1)."
            )
        case .noPlace: ("onlayn arxivin yeri yoxdur", "Nüsxə saxlayan ən azı bir mərkəz göstərin.")
        case .badPlace(let name): ("`\(name)` yerin adı ola bilməz", "Hərf, rəqəm, `.`, `_` və `-` yazın, ən çoxu 64.")
        case .repeatedPlace(let name):
            ("\(name) yeri iki dəfə yazılıb", "Hər yeri bir dəfə yazın; iki nüsxə üçün iki yer lazımdır.")
        case .tooManyPlaces:
            ("yerlərin sayı \(TierPlan.maximumPlaces)-dən çoxdur", "Yalnız nüsxəsi mütləq olan yerləri yazın.")
        case .offlineCopiesOutOfRange(let count):
            (
                "oflayn nüsxələrin sayı (\(count)) yol verilən hədlərdən kənardır",
                "1 ilə \(TierPlan.maximumOfflineCopies) arasında say yazın və ya oflayn arxivi istifadə olunmayan elan edin."
            )
        case .activeTrigger:
            ("aktiv sistemin başlanğıc şərti var", "Onu silin: məlumat əvvəldən aktiv sistemdədir.")
        case .moveNeedsActiveTerm:
            (
                "`mode: move` üçün aktiv sistemdə müddət lazımdır: əsli yalnız ondan sonra silinə bilər",
                "Aktiv sistemə müddət verin və ya `mode: copy` yazın."
            )
        case .previousNeverEnds(let tier):
            (
                "\(tier.name(in: .azerbaijani)) əvvəlki səviyyə bitəndə başlayır, o isə heç vaxt bitmir",
                "Əvvəlki səviyyəyə müddət verin və ya `on: commit`, yaxud `after:` ilə müddət yazın."
            )
        default: azerbaijaniHold
        }
    }

    private var azerbaijaniHold: (message: String, hint: String) {
        switch self {
        case .badHoldID(let id):
            ("`\(id)` hüquqi saxlamanın adı ola bilməz", "Hərf, rəqəm, `.`, `_` və `-` yazın, ən çoxu 64.")
        case .emptyHoldText(let text):
            ("\(text.azerbaijani) boşdur", "Hüquqi saxlama və onun ləğvi üçün şəxs, səbəb və hüquqi əsas lazımdır.")
        case .holdTextTooLong(let text):
            ("\(text.azerbaijani) çox uzundur", "\(Hold.maximumTextBytes) baytdan qısa yazın; sənədə istinad edin.")
        case .releasedAtPlacing(let id):
            ("\(id) hüquqi saxlaması artıq ləğv edilmiş kimi verilir", "Əvvəlcə onu tətbiq edin.")
        case .emptySelector:
            ("hüquqi saxlamanın nəyi əhatə etdiyi göstərilməyib", "Siyasət, komponent, yol, vaxt və ya arxiv göstərin.")
        case .badPathPrefix(let path):
            (
                "`\(path)` ən qısa yazılışda mütləq yol deyil",
                "`/` ilə başlayın; `.`, `..` və sonda kəsik xətt yazmayın."
            )
        case .emptyTimeRange: ("hüquqi saxlamanın vaxt aralığı başlamazdan əvvəl bitir", "Aralığın uclarını dəyişin.")
        case .duplicateHold(let id):
            ("\(id) hüquqi saxlaması artıq var", "Başqa ad seçin; ləğv edilmişlərin adları da tutulmuş qalır.")
        case .unknownHold(let id, let suggestion):
            ("\(id) hüquqi saxlaması yoxdur", Self.meant(suggestion, else: "`qala hold list` əmrinə baxın."))
        case .alreadyReleased(let id): ("\(id) hüquqi saxlaması artıq ləğv edilib", "Lazımdırsa, yenisini tətbiq edin.")
        case .releaseAlreadyRequested(let id, let person):
            (
                "\(person) artıq \(id) hüquqi saxlamasının ləğvini istəyib",
                "Bu sorğunu başqa şəxs təsdiq və ya rədd edir."
            )
        case .releaseNotRequested(let id):
            ("\(id) hüquqi saxlamasının ləğvini heç kim istəməyib", "Ləğvi bir şəxs istəyir, başqa şəxs təsdiq edir.")
        case .selfApproval(let person):
            ("\(person) ləğvi özü istəyib və onu təsdiq edə bilməz", "Başqa şəxs təsdiq etməlidir.")
        default: ("saxlama qaydası səhvdir", "")
        }
    }
}

extension RetentionError.HoldText {
    fileprivate var azerbaijani: String {
        switch self {
        case .name: "hüquqi saxlamanın adı"
        case .reason: "səbəb"
        case .legalBasis: "hüquqi əsas"
        case .person: "şəxs"
        }
    }
}
