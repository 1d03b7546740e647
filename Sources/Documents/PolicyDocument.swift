package import Domain
import Yams

// An archiving policy as a YAML document.
//
// 1. A policy comes out only when nothing is wrong with the document; otherwise every problem comes out, each with its
//    line and column. Only a text that is no YAML, repeats a key or exceeds a bound stops at the first.
// 2. A key that is not known is an error: a misspelt `exclude` must never archive what it should have left out.
// 3. Reading demands only what a run needs: a name, a component, a responsible person, sources. Whatever else is
//    written must be right by itself. What the regulation demands beyond that, and whether the parts agree, is the
//    strict check of the whole set (`PolicySet.validate`), which `PolicySetDocument` brings to lines and columns.
// 4. Nothing here looks at the file system beyond reading the document and, where it refers to persons, `people.yaml`
//    beside it: whether a source exists is for the run to say.

package enum PolicyDocument {
    /// Reads the policy in the file at `path`, and the persons it refers to from `people.yaml` in the same folder.
    package static func read(path: String) throws(DocumentsError) -> Policy {
        let bytes = try DocumentFile.contents(path)
        var outcome = outcome(bytes, file: path, people: .absent)
        if outcome.refersToPersons {
            let peoplePath = DocumentFile.beside(path, PeopleDocument.fileName)
            do {
                let people = try PeopleDocument.read(path: peoplePath)
                outcome = Self.outcome(bytes, file: path, people: .known(people))
            } catch {
                switch error.code {
                case .missing: break
                case .unreadable: throw error
                case .invalid:
                    outcome = Self.outcome(bytes, file: path, people: .broken)
                    outcome.problems += error.problems.map { problem in
                        var problem = problem
                        problem.file = peoplePath
                        return problem
                    }
                }
            }
        }
        return try outcome.policy(file: path)
    }

    /// `file` is how messages name the document; references to persons are looked up in `people`.
    package static func parse(
        _ bytes: [UInt8], file: String, people: People? = nil
    ) throws(DocumentsError) -> Policy {
        try outcome(bytes, file: file, people: people.map(PeopleSource.known) ?? .absent).policy(file: file)
    }

    /// Where references to persons lead.
    enum PeopleSource {
        case known(People)
        /// There is no register.
        case absent
        /// There is one with errors, which are told elsewhere.
        case broken
    }

    /// All that a document gave: with problems there is no policy to be used, but what could be read is there for the
    /// other checks.
    struct Outcome {
        var value: Policy?
        var problems: [DocumentProblem]
        var refersToPersons: Bool
        var places: DocumentPlaces

        func policy(file: String) throws(DocumentsError) -> Policy {
            guard let value, problems.isEmpty else { throw DocumentsError(.invalid, file: file, problems: problems) }
            return value
        }
    }

    static func outcome(_ bytes: [UInt8], file: String, people: PeopleSource) -> Outcome {
        let root: Node
        do {
            root = try YAMLDocument.root(of: bytes)
        } catch {
            return Outcome(value: nil, problems: [error.problem], refersToPersons: false, places: DocumentPlaces())
        }
        var reader = PolicyReader(people: people)
        let policy = reader.policy(root)
        return Outcome(
            value: policy, problems: reader.nodes.problems, refersToPersons: reader.refersToPersons,
            places: DocumentPlaces(of: root))
    }
}

/// Where in a document the value of each key stands, by the keys that lead to it, such as `copies[1].site`.
struct DocumentPlaces: Sendable {
    private var marks: [String: (line: Int, column: Int)] = [:]

    init() {}

    init(of root: Node) { walk(root, "") }

    private mutating func walk(_ node: Node, _ path: String) {
        if let mark = node.mark { marks[path] = (mark.line, mark.column) }
        switch node {
        case .mapping(let pairs):
            for (key, value) in pairs {
                guard case .scalar(let word) = key else { continue }
                walk(value, path.isEmpty ? word.string : "\(path).\(word.string)")
            }
        case .sequence(let items):
            for (at, item) in items.enumerated() { walk(item, "\(path)[\(at)]") }
        case .scalar, .alias: break
        }
    }

    /// The place of `path`, or of the nearest value around it that is written.
    subscript(path: String) -> (line: Int, column: Int) {
        var path = path[...]
        while !path.isEmpty {
            if let mark = marks[String(path)] { return mark }
            let end = path.lastIndex { $0 == "." || $0 == "[" } ?? path.startIndex
            path = path[..<end]
        }
        return marks[""] ?? (1, 1)
    }
}
