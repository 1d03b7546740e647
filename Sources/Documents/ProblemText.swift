package import Domain

extension DocumentProblem {
    package func text(in language: Language) -> String {
        switch language {
        case .english: english
        case .azerbaijani: azerbaijani
        }
    }

    private var english: String {
        switch reason {
        case .syntax(let words): "this is not YAML: \(words)"
        case .notUTF8: "the text is not UTF-8"
        case .tooLarge(let limit): "the document is larger than \(limit) bytes"
        case .tooDeep(let limit): "values are nested deeper than \(limit) levels"
        case .tooManyAliases(let limit):
            "more than \(limit) aliases (`*name`); write the values out, and quote patterns"
        case .tooManyNodes(let limit): "the document holds more than \(limit) values"
        case .empty: "the document is empty"
        case .unknownKey(let key, let place, let suggestion):
            "unknown key `\(key)` in \(place.english)" + (suggestion.map { "; did you mean `\($0)`?" } ?? "")
        case .duplicateKey(let key): "the key `\(key)` stands more than once in this mapping"
        case .missingKey(let key, let place): "the key `\(key)` is missing in \(place.english)"
        case .notAMapping(let key): "`\(key)` must be a mapping of keys to values"
        case .notAList(let key): "`\(key)` must be a list"
        case .notAText(let key): "`\(key)` must be a text"
        case .notABoolean(let key, let found): "`\(key)` must be true or false, not `\(found)`"
        case .emptyValue(let key): "`\(key)` has no value"
        case .unknownValue(let key, let found, let allowed, let suggestion):
            "`\(found)` is not a value of `\(key)`; " + (suggestion.map { "did you mean `\($0)`? " } ?? "")
                + "Allowed: \(allowed.joined(separator: ", "))"
        case .badName(let name):
            "`\(name)` cannot name a policy: use at most 64 ASCII letters, digits, `.`, `_`, `-`, starting with a letter or digit"
        case .notAbsolute(let key, let path, let suggestion):
            "`\(key)`: `\(path)` is not an absolute, plain path; write `\(suggestion)`"
        case .duplicatePath(let path, let line): "`\(path)` is a source already, on line \(line)"
        case .badPattern(let pattern, let why): "the pattern `\(pattern)` is malformed: \(why)"
        case .controlCharacter(let key): "`\(key)` contains a control character"
        }
    }

    private var azerbaijani: String {
        switch reason {
        case .syntax(let words): "bu, YAML deyil: \(words)"
        case .notUTF8: "mətn UTF-8 kodlaşdırmasında deyil"
        case .tooLarge(let limit): "sənəd \(limit) baytdan böyükdür"
        case .tooDeep(let limit): "iç-içə dəyərlər \(limit) səviyyədən dərindir"
        case .tooManyAliases(let limit):
            "\(limit)-dan çox istinad (`*ad`) var; dəyərləri açıq yazın, nümunələri dırnağa alın"
        case .tooManyNodes(let limit): "sənəddə \(limit)-dən çox dəyər var"
        case .empty: "sənəd boşdur"
        case .unknownKey(let key, let place, let suggestion):
            "\(place.azerbaijani) naməlum açar söz: `\(key)`" + (suggestion.map { "; bəlkə `\($0)`?" } ?? "")
        case .duplicateKey(let key): "`\(key)` açar sözü burada bir dəfədən çox yazılıb"
        case .missingKey(let key, let place): "\(place.azerbaijani) `\(key)` açar sözü çatışmır"
        case .notAMapping(let key): "`\(key)` açar söz və dəyərlərdən ibarət olmalıdır"
        case .notAList(let key): "`\(key)` siyahı olmalıdır"
        case .notAText(let key): "`\(key)` mətn olmalıdır"
        case .notABoolean(let key, let found): "`\(key)` true və ya false olmalıdır, `\(found)` yox"
        case .emptyValue(let key): "`\(key)` üçün dəyər verilməyib"
        case .unknownValue(let key, let found, let allowed, let suggestion):
            "`\(key)` üçün `\(found)` dəyəri yoxdur; " + (suggestion.map { "bəlkə `\($0)`? " } ?? "")
                + "Mümkün dəyərlər: \(allowed.joined(separator: ", "))"
        case .badName(let name):
            "`\(name)` siyasət adı ola bilməz: ən çoxu 64 ASCII hərf, rəqəm, `.`, `_`, `-`; hərf və ya rəqəmlə başlamalıdır"
        case .notAbsolute(let key, let path, let suggestion):
            "`\(key)`: `\(path)` tam və sadə yol deyil; belə yazın: `\(suggestion)`"
        case .duplicatePath(let path, let line): "`\(path)` artıq \(line)-ci sətirdə mənbə kimi göstərilib"
        case .badPattern(let pattern, let why): "`\(pattern)` nümunəsi düzgün deyil: \(why)"
        case .controlCharacter(let key): "`\(key)` idarəedici simvol saxlayır"
        }
    }
}

extension DocumentProblem.Place {
    fileprivate var english: String {
        switch self {
        case .policy: "the policy"
        case .person: "the person"
        case .source: "the source"
        }
    }

    fileprivate var azerbaijani: String {
        switch self {
        case .policy: "siyasətdə"
        case .person: "şəxs məlumatında"
        case .source: "mənbədə"
        }
    }
}
