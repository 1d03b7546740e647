import Domain
import Yams

/// Takes values out of nodes and remembers everything that is wrong instead of stopping at the first.
///
/// Every `take` returns nil after it noted why, so that a caller can go on with the rest of the document.
struct NodeReader {
    private(set) var problems: [DocumentProblem] = []

    mutating func note(_ node: Node, _ reason: DocumentProblem.Reason, clause: Clause? = nil) {
        problems.append(
            DocumentProblem(line: node.mark?.line ?? 1, column: node.mark?.column ?? 1, reason, clause: clause))
    }

    /// Notes what is wrong `offset` UTF-8 bytes into the text of a node. Where the text does not stand in the document
    /// as it is read (over several lines, with escapes), the place is its beginning.
    mutating func note(_ node: Node, at offset: Int?, _ reason: DocumentProblem.Reason) {
        guard let offset, case .scalar(let scalar) = node, let mark = scalar.mark, !scalar.string.contains("\n") else {
            return note(node, reason)
        }
        let before = String(decoding: scalar.string.utf8.prefix(offset), as: UTF8.self).unicodeScalars.count
        let quote: Int
        switch scalar.style {
        case .plain, .any: quote = 0
        case .singleQuoted, .doubleQuoted: quote = 1
        case .literal, .folded: return note(node, reason)
        }
        problems.append(DocumentProblem(line: mark.line, column: mark.column + quote + before, reason))
    }

    /// The pairs of a mapping by key. Keys outside `allowed` are noted, with what was probably meant; so are keys of
    /// `required` that are absent, with the clause that demands them.
    mutating func mapping(
        _ node: Node, named name: String, place: DocumentProblem.Place, allowed: [String], required: [String] = [],
        clause: Clause? = nil
    ) -> [String: Node]? {
        guard case .mapping(let pairs) = node else {
            note(node, .notAMapping(name))
            return nil
        }
        var values: [String: Node] = [:]
        // What was misspelt is not missing too.
        var meant: Set<String> = []
        for (key, value) in pairs {
            guard case .scalar(let word) = key else {
                note(key, .notAText("key"))
                continue
            }
            guard allowed.contains(word.string) else {
                let open = allowed.filter { name in !pairs.contains { $0.key.scalar?.string == name } }
                let suggestion = Suggestion.nearest(to: word.string.replacing("_", with: "-"), among: open)
                if let suggestion { meant.insert(suggestion) }
                note(key, .unknownKey(shown(word.string), place: place, suggestion: suggestion))
                continue
            }
            values[word.string] = value
        }
        for key in required where values[key] == nil && !meant.contains(key) {
            note(node, .missingKey(key, place: place), clause: clause)
        }
        return values
    }

    /// A text that is not empty and holds no control characters.
    mutating func text(_ node: Node, named name: String) -> String? {
        guard case .scalar(let scalar) = node else {
            note(node, .notAText(name))
            return nil
        }
        let value = scalar.string
        let isPlain = scalar.style == .plain || scalar.style == .any
        if value.allSatisfy(\.isWhitespace) || isPlain && ["~", "null", "Null", "NULL"].contains(value) {
            note(node, .emptyValue(name))
            return nil
        }
        if value.unicodeScalars.contains(where: { $0.value < 0x20 && $0 != "\n" || (0x7F...0x9F).contains($0.value) }) {
            note(node, .controlCharacter(name))
            return nil
        }
        // The line end of a block scalar belongs to its notation, not to the text.
        return value.last == "\n" ? String(value.dropLast()) : value
    }

    mutating func boolean(_ node: Node, named name: String) -> Bool? {
        guard let word = text(node, named: name) else { return nil }
        switch word {
        case "true", "True", "TRUE": return true
        case "false", "False", "FALSE": return false
        default:
            note(node, .notABoolean(name, found: shown(word)))
            return nil
        }
    }

    mutating func number(_ node: Node, named name: String, in range: ClosedRange<Int>) -> Int? {
        guard let word = text(node, named: name) else { return nil }
        let isPlain = word.utf8.allSatisfy { (0x30...0x39).contains($0) }
        guard isPlain, word.utf8.count <= 18, let number = Int(word), range.contains(number) else {
            note(node, .notANumber(name, found: shown(word), from: range.lowerBound, to: range.upperBound))
            return nil
        }
        return number
    }

    mutating func day(_ node: Node, named name: String) -> CivilDay? {
        guard let word = text(node, named: name) else { return nil }
        if let day = CivilDay(word) { return day }
        note(node, .notADay(name, found: shown(word)))
        return nil
    }

    /// The days from `from` until `until`; a validity that no day has is noted.
    mutating func validity(from: Node?, until: Node?) -> Validity {
        let first = from.flatMap { day($0, named: "from") }
        let last = until.flatMap { day($0, named: "until") }
        let validity = Validity(from: first, until: last)
        if let until, !validity.isPossible { note(until, .endsBeforeItBegins) }
        return validity
    }

    mutating func period(_ node: Node, named name: String) -> Period? {
        guard let word = text(node, named: name) else { return nil }
        do {
            let period = try Period(parsing: word)
            if !period.isZero { return period }
            note(node, .noTime(name))
        } catch {
            note(node, at: error.position, .retention(name, error))
        }
        return nil
    }

    /// A period without months, whose length differs, and at most as long as `longest`.
    mutating func fixedPeriod(_ node: Node, named name: String, atMost longest: Period? = nil) -> Period? {
        guard let period = period(node, named: name) else { return nil }
        guard period.months == 0 else {
            note(node, .notFixed(name, found: period))
            return nil
        }
        if let longest, period.seconds > longest.seconds {
            note(node, .tooLong(name, longest: longest))
            return nil
        }
        return period
    }

    mutating func term(_ node: Node, named name: String) -> KeepingTerm? {
        guard let word = text(node, named: name) else { return nil }
        do {
            let term = try KeepingTerm(parsing: word)
            if term != .period(.zero) { return term }
            note(node, .noTime(name))
        } catch {
            note(node, at: error.position, .retention(name, error))
        }
        return nil
    }

    /// A word for a person, a site or a plan: what could also name a policy.
    mutating func id(_ node: Node, named name: String) -> String? {
        guard let word = text(node, named: name) else { return nil }
        if Policy.isWellFormed(name: word) { return word }
        note(node, .badID(name, found: shown(word)))
        return nil
    }

    mutating func choice<Value>(_ node: Node, named name: String, of type: Value.Type) -> Value?
    where Value: RawRepresentable<String> & CaseIterable {
        guard let word = text(node, named: name) else { return nil }
        if let value = Value(rawValue: word) { return value }
        let allowed = Value.allCases.map(\.rawValue)
        let suggestion = Suggestion.nearest(to: word.replacing("_", with: "-"), among: allowed)
        note(node, .unknownValue(name, found: shown(word), allowed: allowed, suggestion: suggestion))
        return nil
    }

    /// The items of a list; with `orOne`, a single text counts as a list of one.
    mutating func list(_ node: Node, named name: String, orOne: Bool = false, atMost limit: Int? = nil) -> [Node]? {
        switch node {
        case .sequence(let items):
            if let limit, items.count > limit {
                note(node, .tooMany(name, limit: limit))
                return nil
            }
            return Array(items)
        case .scalar where orOne: return [node]
        default:
            note(node, .notAList(name))
            return nil
        }
    }

    /// Long or multi-line words of a document are cut before they enter a message.
    func shown(_ word: String) -> String {
        let line = word.split(separator: "\n", omittingEmptySubsequences: false).first.map(String.init) ?? ""
        return line.count <= 80 ? line : line.prefix(77) + "..."
    }
}
