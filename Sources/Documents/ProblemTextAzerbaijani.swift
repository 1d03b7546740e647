import Domain

extension DocumentProblem.Reason {
    var azerbaijani: String {
        switch self {
        case .syntax(let words): "bu, YAML deyil: \(words)"
        case .notUTF8: "mətn UTF-8 kodlaşdırmasında deyil"
        case .tooLarge(let limit): "sənəd \(limit) baytdan böyükdür"
        case .tooDeep(let limit): "iç-içə dəyərlər \(limit) səviyyədən dərindir"
        case .tooManyAliases(let limit):
            "\(limit)-dan çox istinad (`*ad`) var; dəyərləri açıq yazın, nümunələri dırnağa alın"
        case .tooManyNodes(let limit): "sənəddə \(limit)-dən çox dəyər var"
        case .empty: "sənəd boşdur"
        case .unknownKey(let key, let place, let suggestion):
            "\(place.azerbaijani) naməlum açar söz: `\(key)`"
                + (suggestion.map { "; bəlkə `\($0)`?" }
                    ?? (place == .source ? "; mənbənin növləri: \(Self.kindsOfSources)" : ""))
        case .duplicateKey(let key): "`\(key)` açar sözü burada bir dəfədən çox yazılıb"
        case .missingKey(let key, let place): "\(place.azerbaijani) `\(key)` açar sözü çatışmır"
        case .notAMapping(let key): "`\(key)` açar söz və dəyərlərdən ibarət olmalıdır"
        case .notAList(let key): "`\(key)` siyahı olmalıdır"
        case .notAText(let key): "`\(key)` mətn olmalıdır"
        case .notABoolean(let key, let found): "`\(key)` true və ya false olmalıdır, `\(found)` yox"
        case .notANumber(let key, let found, let from, let to):
            "`\(key)` \(from) ilə \(to) arasında tam ədəd olmalıdır, `\(found)` yox"
        case .notADay(let key, let found): "`\(key)` `2026-01-31` kimi tarix olmalıdır, `\(found)` yox"
        case .emptyValue(let key): "`\(key)` üçün dəyər verilməyib"
        case .tooMany(let key, let limit): "`\(key)` üzrə \(limit)-dən çox element var"
        case .unknownValue(let key, let found, let allowed, let suggestion):
            "`\(key)` üçün `\(found)` dəyəri yoxdur; " + (suggestion.map { "bəlkə `\($0)`? " } ?? "")
                + "Mümkün dəyərlər: \(allowed.joined(separator: ", "))"
        case .badName(let name):
            "`\(name)` siyasət adı ola bilməz: ən çoxu 64 ASCII hərf, rəqəm, `.`, `_`, `-`; hərf və ya rəqəmlə başlamalıdır"
        case .badID(let key, let found):
            "`\(key)`: `\(found)` bir sadə söz deyil; ən çoxu 64 ASCII hərf, rəqəm, `.`, `_`, `-` yazın"
        case .notAbsolute(let key, let path, let suggestion):
            "`\(key)`: `\(path)` tam və sadə yol deyil; belə yazın: `\(suggestion)`"
        case .notAProgram(let found):
            "`run`: `\(found)` proqramının yolu tam və sadə deyil; proqramlar shell və PATH olmadan icra olunur"
        case .duplicatePath(let path, let line): "`\(path)` artıq \(line)-ci sətirdə mənbə kimi göstərilib"
        case .badRepository(let found):
            "`\(found)` git deposu deyil: tam yol, yaxud içində parol olmayan `https://`, `ssh://` və ya `file://` ünvanı yazın"
        case .badFileName(let name): "`\(name)` fayl adı deyil: `/` olmayan bir ad yazın"
        case .badPattern(let pattern, let why): "`\(pattern)` nümunəsi düzgün deyil: \(why)"
        case .controlCharacter(let key): "`\(key)` idarəedici simvol saxlayır"
        default: azerbaijaniAmounts
        }
    }

    private var azerbaijaniAmounts: String {
        switch self {
        case .retention(let key, let error):
            "`\(key)`: \(Self.sentence(error.message(in: .azerbaijani), error.hint(in: .azerbaijani)))"
        case .calendar(let key, let error):
            "`\(key)`: ifadə burada düzgün deyil (\(Self.sentence(error.reason, error.hint)))"
        case .amount(let amount, let found, let error):
            "`\(amount.rawValue)`: `\(found)` \(error.isOutOfRange ? "yol verilən həddən kənardır" : "anlaşılmır"); "
                + (error.suggestion.map { "bəlkə `\($0)`? " } ?? "") + amount.azerbaijani
        case .noTime(let key): "`\(key)` sıfırdan uzun olmalıdır"
        case .notFixed(let key, let found):
            "`\(key)`: \(found.text(in: .azerbaijani)) müddətinin sabit uzunluğu yoxdur; gün və ya saat yazın"
        case .tooLong(let key, let longest): "`\(key)` ən çoxu \(longest.text(in: .azerbaijani)) ola bilər"
        case .endsBeforeItBegins: "`until` tarixi `from` tarixindən əvvəldir"
        case .standsAlone(let key, let other) where other == "calendar":
            "saat qurşağı təqvim ifadəsində göstərilibsə, `\(key)` yazılmır; birini silin"
        case .standsAlone(let key, let other): "`\(key)` və `\(other)` yanaşı yazıla bilməz; birini silin"
        case .oneOf(let first, let second):
            "`\(first)` və ya `\(second)` çatışmır: `on: commit`, `after: 30 gün` və ya `after: previous` yazın"
        case .onlyFor(let key, let value): "`\(key)` yalnız `\(value)` rolu üçündür"
        case .badZone(let name): "`\(name)` saat qurşağının adı deyil; `Asia/Baku` kimi ad və ya `UTC` yazın"
        case .badURL(let key, let found):
            "`\(key)`: `\(found)` xəbərdarlıq göndərilə bilən ünvan deyil: e-poçt üçün `smtps://` və ya `smtp://` və AD@HOST, veb üçün `https://`, `http://` isə yalnız bu host üçün"
        case .notOfKind(let key, let kind): "`\(key)` `\(kind)` növlü kanal üçün mənasızdır"
        case .badKey: "`public-key` 64 onaltılıq rəqəmlə yazılmış Ed25519 açıq açarı olmalıdır"
        default: azerbaijaniSets
        }
    }

    private var azerbaijaniSets: String {
        switch self {
        case .noPeople(let id): "`\(id)` tapıla bilmir: siyasətin qovluğunda people.yaml faylı yoxdur"
        case .unknownPerson(let id, let suggestion):
            "people.yaml faylında `\(id)` şəxsi yoxdur" + (suggestion.map { "; bəlkə `\($0)`?" } ?? "")
        case .shared(.id(let id), let line): "`\(id)` adı artıq \(line)-ci sətirdəki şəxsindir"
        case .shared(.uid(let uid), let line): "\(uid) nömrəli hesab artıq \(line)-ci sətirdəki şəxsindir"
        case .shared(.publicKey, let line):
            "bu açar artıq \(line)-ci sətirdəki şəxsindir; heç kim iki nəfərin adından təsdiq edə bilməz"
        case .noFile(let words): "fayl oxuna bilmir: \(words)"
        case .finding(let finding, let other):
            finding.text(in: .azerbaijani) + (other.map { " (\($0))" } ?? "")
        default: "sənəd burada düzgün deyil"
        }
    }

    private static func sentence(_ message: String, _ hint: String) -> String {
        let hint = hint.hasSuffix(".") ? String(hint.dropLast()) : hint
        return hint.isEmpty ? message : "\(message). \(hint)"
    }
}

extension DocumentProblem.Amount {
    fileprivate var azerbaijani: String {
        switch self {
        case .size: "`64 KiB` və ya `1 GiB` kimi ölçü yazın, ən azı 1 B"
        case .bandwidth: "`20 MiB/s` və ya `100 Mbit/s` kimi sürət yazın, ən azı 1 KiB/s"
        case .cpu: "`50%` kimi pay yazın, 1% ilə 100% arasında"
        }
    }
}

extension DocumentProblem.Place {
    fileprivate var azerbaijani: String {
        switch self {
        case .policy: "siyasətdə"
        case .person: "şəxs məlumatında"
        case .source: "mənbədə"
        case .appointment: "təyinatda"
        case .people: "şəxslər reyestrində"
        case .schedule: "cədvəldə"
        case .copy: "nüsxədə"
        case .tiers: "saxlanma qurğularında"
        case .tier: "saxlanma qurğusunda"
        case .retention: "saxlanma müddətində"
        case .limits: "məhdudiyyətlərdə"
        case .verification: "yoxlamada"
        case .hooks: "proqramlarda"
        case .hook: "proqramda"
        case .alarms: "xəbərdarlıqlar sənədində"
        case .channel: "kanalda"
        case .deadMan: "`dead-man` bölməsində"
        }
    }
}
