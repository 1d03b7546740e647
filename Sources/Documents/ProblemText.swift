package import Domain

extension DocumentProblem {
    package func text(in language: Language) -> String {
        switch language {
        case .english: reason.english
        case .azerbaijani: reason.azerbaijani
        }
    }
}

extension DocumentProblem.Reason {
    static let kindsOfSources = (["files", "logs", "journal"] + DataSource.Kind.allCases.map(\.rawValue)).map {
        "`\($0)`"
    }
    .joined(separator: ", ")

    fileprivate var english: String {
        switch self {
        case .syntax(let words): "this is not YAML: \(words)"
        case .notUTF8: "the text is not UTF-8"
        case .tooLarge(let limit): "the document is larger than \(limit) bytes"
        case .tooDeep(let limit): "values are nested deeper than \(limit) levels"
        case .tooManyAliases(let limit):
            "more than \(limit) aliases (`*name`); write the values out, and quote patterns"
        case .tooManyNodes(let limit): "the document holds more than \(limit) values"
        case .empty: "the document is empty"
        case .unknownKey(let key, let place, let suggestion):
            "unknown key `\(key)` in \(place.english)"
                + (suggestion.map { "; did you mean `\($0)`?" }
                    ?? (place == .source ? "; sources are of the kind \(Self.kindsOfSources)" : ""))
        case .duplicateKey(let key): "the key `\(key)` stands more than once in this mapping"
        case .missingKey(let key, let place): "the key `\(key)` is missing in \(place.english)"
        case .notAMapping(let key): "`\(key)` must be a mapping of keys to values"
        case .notAList(let key): "`\(key)` must be a list"
        case .notAText(let key): "`\(key)` must be a text"
        case .notABoolean(let key, let found): "`\(key)` must be true or false, not `\(found)`"
        case .notANumber(let key, let found, let from, let to):
            "`\(key)` must be a whole number from \(from) to \(to), not `\(found)`"
        case .notADay(let key, let found): "`\(key)` must be a day such as `2026-01-31`, not `\(found)`"
        case .emptyValue(let key): "`\(key)` has no value"
        case .tooMany(let key, let limit): "`\(key)` has more than \(limit) items"
        case .unknownValue(let key, let found, let allowed, let suggestion):
            "`\(found)` is not a value of `\(key)`; " + (suggestion.map { "did you mean `\($0)`? " } ?? "")
                + "Allowed: \(allowed.joined(separator: ", "))"
        case .badName(let name):
            "`\(name)` cannot name a policy: use at most 64 ASCII letters, digits, `.`, `_`, `-`, starting with a letter or digit"
        case .badID(let key, let found):
            "`\(key)`: `\(found)` is not one plain word; use at most 64 ASCII letters, digits, `.`, `_`, `-`"
        case .notAbsolute(let key, let path, let suggestion):
            "`\(key)`: `\(path)` is not an absolute, plain path; write `\(suggestion)`"
        case .notAProgram(let found):
            "`run`: the program `\(found)` is not an absolute, plain path; hooks run without a shell and without PATH"
        case .duplicatePath(let path, let line): "`\(path)` is a source already, on line \(line)"
        case .badRepository(let found):
            "`\(found)` is no repository: it is an absolute path, or `https://`, `ssh://` or `file://` without a password in it"
        case .badFileName(let name): "`\(name)` is not a file name: it is one name without `/`"
        case .badPattern(let pattern, let why): "the pattern `\(pattern)` is malformed: \(why)"
        case .controlCharacter(let key): "`\(key)` contains a control character"
        default: englishAmounts
        }
    }

    private var englishAmounts: String {
        switch self {
        case .retention(let key, let error):
            "`\(key)`: \(Self.sentence(error.message(in: .english), error.hint(in: .english)))"
        case .calendar(let key, let error): "`\(key)`: \(Self.sentence(error.reason, error.hint))"
        case .amount(let amount, let found, let error):
            "`\(amount.rawValue)`: `\(found)` \(error.isOutOfRange ? "is out of range" : "cannot be understood"); "
                + (error.suggestion.map { "did you mean `\($0)`? " } ?? "") + "Write \(amount.english)"
        case .noTime(let key): "`\(key)` must be longer than nothing"
        case .notFixed(let key, let found):
            "`\(key)`: \(found.text(in: .english)) has no fixed length; write days or hours"
        case .tooLong(let key, let longest): "`\(key)` is at most \(longest.text(in: .english))"
        case .endsBeforeItBegins: "`until` is before `from`"
        case .standsAlone(let key, let other) where other == "calendar":
            "`\(key)` cannot stand beside a calendar expression that names its zone; drop one of them"
        case .standsAlone(let key, let other): "`\(key)` cannot stand beside `\(other)`; drop one of them"
        case .oneOf(let first, let second):
            "one of the keys `\(first)` and `\(second)` is missing: `on: commit`, `after: 30 days` or `after: previous`"
        case .onlyFor(let key, let value): "`\(key)` is only for the role `\(value)`"
        case .badZone(let name): "`\(name)` is not the name of a time zone; write one such as `Asia/Baku`, or `UTC`"
        case .badURL(let key, let found):
            "`\(key)`: `\(found)` is no address for alarms: e-mail goes to `smtps://` or `smtp://` and NAME@HOST, the web to `https://`, and `http://` to this host only"
        case .notOfKind(let key, let kind): "`\(key)` has no meaning for a channel of the kind `\(kind)`"
        case .badKey: "`public-key` must be an Ed25519 public key as 64 hexadecimal digits"
        default: englishSets
        }
    }

    private var englishSets: String {
        switch self {
        case .noPeople(let id): "`\(id)` cannot be looked up: there is no people.yaml in the folder of the policy"
        case .unknownPerson(let id, let suggestion):
            "people.yaml has no person `\(id)`" + (suggestion.map { "; did you mean `\($0)`?" } ?? "")
        case .shared(.id(let id), let line): "the id `\(id)` is that of the person on line \(line) already"
        case .shared(.uid(let uid), let line): "the account \(uid) is that of the person on line \(line) already"
        case .shared(.publicKey, let line):
            "this key is that of the person on line \(line) already; nobody can approve in the name of two"
        case .noFile(let words): "the file cannot be read: \(words)"
        case .finding(let finding, let other):
            finding.text(in: .english) + (other.map { " (\($0))" } ?? "")
        default: "the document is wrong here"
        }
    }

    private static func sentence(_ message: String, _ hint: String) -> String {
        let hint = hint.hasSuffix(".") ? String(hint.dropLast()) : hint
        return hint.isEmpty ? message : "\(message). \(hint)"
    }
}

extension DocumentProblem.Amount {
    fileprivate var english: String {
        switch self {
        case .size: "a size such as `64 KiB` or `1 GiB`, at least 1 B"
        case .bandwidth: "a rate such as `20 MiB/s` or `100 Mbit/s`, at least 1 KiB/s"
        case .cpu: "a share such as `50%`, from 1% to 100%"
        }
    }
}

extension DocumentProblem.Place {
    fileprivate var english: String {
        switch self {
        case .policy: "the policy"
        case .person: "the person"
        case .source: "the source"
        case .appointment: "the appointment"
        case .people: "the register of persons"
        case .schedule: "the schedule"
        case .copy: "the copy"
        case .tiers: "the tiers"
        case .tier: "the tier"
        case .retention: "the retention"
        case .limits: "the limits"
        case .verification: "the verification"
        case .hooks: "the hooks"
        case .hook: "the hook"
        case .alarms: "the document of alarms"
        case .channel: "the channel"
        case .deadMan: "`dead-man`"
        }
    }
}
