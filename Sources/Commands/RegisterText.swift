package import Domain
import Operations

/// What the commands of registers say to people, in both languages; terms follow the glossary of the regulation.
package enum RegisterText: CaseIterable, Sendable {
    case noRows, more, torn, damaged, damageAdvice, exported, remarked, remarkDry
    case openProblems, newestProblem, open, held
    case overdue, onShelf, isOut, foundVolume, applied, firstStart

    package var both: (en: String, az: String) {
        switch self {
        case .noRows: ("The register holds no such row.", "Reyestrdə belə sətir yoxdur.")
        case .more: ("and %1 older ones; --limit shows more", "və daha köhnə %1 sətir; --limit ilə göstərilir")
        case .torn:
            (
                "The last line is not complete (%1 bytes): it is being written, or was torn by a power cut.",
                "Sonuncu sətir tam deyil (%1 bayt): ya indi yazılır, ya da elektrik kəsiləndə yarımçıq qalıb."
            )
        case .damaged: ("Damaged places in the register: %1", "Reyestrin zədələnmiş yerləri: %1")
        case .damageAdvice:
            (
                "Do not change the files; compare them with an archive of the register.",
                "Faylları dəyişməyin; onları reyestrin arxivi ilə müqayisə edin."
            )
        case .exported: ("%1 rows were written to %2.", "%2 faylına %1 sətir yazıldı.")
        case .remarked: ("The remark was added to problem %1.", "%1 nömrəli problemə qeyd əlavə edildi.")
        case .remarkDry:
            ("The remark would be added to problem %1.", "%1 nömrəli problemə qeyd əlavə ediləcəkdi.")
        case .openProblems: ("Open problems", "Açıq problemlər")
        case .newestProblem: ("Newest problem", "Sonuncu problem")
        case .open: ("open", "açıq")
        case .held: ("in force", "qüvvədədir")
        case .overdue: ("overdue", "gecikir")
        case .onShelf: ("on its shelf", "rəfdədir")
        case .isOut: ("out", "rəfdə deyil")
        case .foundVolume: ("found, not verified yet", "tapılıb, hələ yoxlanılmayıb")
        case .applied: ("applied by a person", "şəxs tərəfindən qüvvəyə minib")
        case .firstStart: ("first start of the daemon", "xidmətin ilk işə düşməsi")
        }
    }

    package func callAsFunction(_ language: Language, _ arguments: String...) -> String {
        var text = ""
        var isMark = false
        for character in language == .azerbaijani ? both.az : both.en {
            if isMark, let number = character.wholeNumberValue, number >= 1, number <= arguments.count {
                text += arguments[number - 1]
                isMark = false
            } else if character == "%", !isMark {
                isMark = true
            } else {
                text.append(character)
            }
        }
        return text
    }

    /// The title of a column, whose name stands in files as it is.
    package static func title(of column: String, _ language: Language) -> String {
        let both = titles[column] ?? (en: column, az: column)
        return language == .azerbaijani ? both.az : both.en
    }

    private static let titles: [String: (en: String, az: String)] = [
        "number": ("NUMBER", "NÖMRƏ"), "time": ("TIME", "VAXT"), "kind": ("KIND", "NÖV"),
        "from": ("FROM", "NƏ VAXTDAN"),
        "until": ("UNTIL", "NƏ VAXTADƏK"), "seconds": ("LASTED", "MÜDDƏT"), "cause": ("CAUSE", "SƏBƏB"),
        "machine": ("MACHINE", "SERVER"), "version": ("VERSION", "VERSİYA"), "load1": ("LOAD", "YÜKLÜLÜK"),
        "memoryAvailable": ("FREE MEMORY", "BOŞ YADDAŞ"), "stateAvailable": ("FREE (STATE)", "BOŞ YER (VƏZİYYƏT)"),
        "vaultAvailable": ("FREE (VAULT)", "BOŞ YER (ANBAR)"), "hold": ("HOLD", "QADAĞA"),
        "placed": ("PLACED", "QOYULUB"), "released": ("RELEASED", "GÖTÜRÜLÜB"), "archives": ("ARCHIVES", "ARXİVLƏR"),
        "reason": ("REASON", "SƏBƏB"), "basis": ("BASIS", "ƏSAS"), "problem": ("PROBLEM", "PROBLEM"),
        "policy": ("POLICY", "SİYASƏT"), "opened": ("OPENED", "AÇILIB"), "lastSeen": ("LAST SEEN", "SON DƏFƏ"),
        "times": ("TIMES", "SAYI"), "message": ("MESSAGE", "MƏLUMAT"), "runs": ("RUNS", "İCRALAR"),
        "closed": ("CLOSED", "BAĞLANIB"), "closedBy": ("CLOSED BY RUN", "BAĞLAYAN İCRA"),
        "remarks": ("REMARKS", "QEYDLƏR"), "run": ("RUN", "İCRA"), "state": ("STATE", "VƏZİYYƏT"),
        "ended": ("ENDED", "BİTİB"), "started": ("STARTED", "BAŞLAYIB"), "files": ("FILES", "FAYLLAR"),
        "bytes": ("SIZE", "HƏCM"), "bytesStored": ("STORED", "SAXLANILIB"), "attempt": ("ATTEMPT", "CƏHD"),
        "trigger": ("TRIGGER", "SƏBƏBKAR"), "requestedBy": ("ASKED BY", "SİFARİŞÇİ"), "due": ("DUE", "VAXTI"),
        "asked": ("ASKED", "SİFARİŞ VAXTI"), "archive": ("ARCHIVE", "ARXİV"), "problems": ("PROBLEMS", "PROBLEMLƏR"),
        "failure": ("FAILURE", "UĞURSUZLUQ"), "process": ("PROCESS", "PROSES"), "boot": ("BOOT", "YÜKLƏNMƏ"),
        "load5": ("LOAD, 5 MIN", "YÜKLÜLÜK, 5 DƏQ"), "load15": ("LOAD, 15 MIN", "YÜKLÜLÜK, 15 DƏQ"),
        "memoryTotal": ("MEMORY", "YADDAŞ"), "volume": ("VOLUME", "DAŞIYICI"), "title": ("LABEL", "ETİKET"),
        "shelf": ("SHELF", "RƏF YERİ"), "holder": ("HELD BY", "KİMDƏDİR"), "created": ("MADE", "HAZIRLANIB"),
        "written": ("WRITTEN", "YAZILIB"), "verified": ("VERIFIED", "YOXLANILIB"),
        "verifyBy": ("VERIFY BY", "NÖVBƏTİ YOXLAMA"), "overdue": ("OVERDUE", "GECİKMƏ"),
        "capacity": ("CAPACITY", "TUTUM"),
        "policies": ("POLICIES", "SİYASƏTLƏR"), "fingerprint": ("KEY FINGERPRINT", "AÇARIN İZİ"),
        "custody": ("CUSTODY", "SAXLANMA"), "author": ("AUTHOR", "MÜƏLLİF"),
        "approvers": ("APPROVED BY", "TƏSDİQ EDƏN"),
        "changes": ("CHANGES", "DƏYİŞİKLİKLƏR"), "sameAs": ("SAME AS VERSION", "EYNİ VERSİYA"),
        "digest": ("SHA-256", "SHA-256 İZİ"), "request": ("REQUEST", "SORĞU"),
        "move": ("ID", "ID"), "path": ("PATH", "YOL"),
        "pathBytes": ("PATH (BASE64)", "YOL (BASE64)"), "size": ("SIZE", "HƏCM"), "sha256": ("SHA-256", "SHA-256"),
        "vault": ("VAULT", "ANBAR"),
        "settled": ("SETTLED LATER", "SONRA AYDINLAŞDIRILIB"), "aside": ("NAME BESIDE", "KÖMƏKÇİ AD"),
    ]
}
