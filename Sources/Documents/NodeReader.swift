import Domain
import Yams

/// Takes values out of nodes and remembers everything that is wrong instead of stopping at the first.
///
/// Every `take` returns nil after it noted why, so that a caller can go on with the rest of the document.
struct NodeReader {
    private(set) var problems: [DocumentProblem] = []

    mutating func note(_ node: Node, _ reason: DocumentProblem.Reason) {
        problems.append(DocumentProblem(line: node.mark?.line ?? 1, column: node.mark?.column ?? 1, reason))
    }

    /// The pairs of a mapping by key. Keys outside `allowed` are noted, with what was probably meant; so are keys of
    /// `required` that are absent.
    mutating func mapping(
        _ node: Node, named name: String, place: DocumentProblem.Place, allowed: [String], required: [String]
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
            note(node, .missingKey(key, place: place))
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
        if value.isEmpty || isPlain && ["~", "null", "Null", "NULL"].contains(value) {
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
    mutating func list(_ node: Node, named name: String, orOne: Bool = false) -> [Node]? {
        switch node {
        case .sequence(let items): return Array(items)
        case .scalar where orOne: return [node]
        default:
            note(node, .notAList(name))
            return nil
        }
    }

    /// Long or multi-line words of a document are cut before they enter a message.
    private func shown(_ word: String) -> String {
        let line = word.split(separator: "\n", omittingEmptySubsequences: false).first.map(String.init) ?? ""
        return line.count <= 80 ? line : line.prefix(77) + "..."
    }
}
