import Domain
import Yams

/// Reads one policy out of the nodes of a document.
struct PolicyReader {
    static let keys = [
        "policy", "component", "responsible", "deputy", "legal-basis", "confidentiality", "vault", "sources", "mode",
        "schedule", "rpo", "rto", "copies", "tiers", "retention", "compression-level", "limits", "verification",
        "hooks",
        "recovery-plan", "clauses",
    ]
    static let requiredKeys = ["policy", "component", "responsible", "sources"]
    /// What each kind of source understands. An item of `sources` has one key that is a kind.
    static let fileKeys = ["files", "exclude", "one-file-system", "exclude-caches"]
    static let logKeys = ["logs", "format"]
    static let journalKeys = ["journal"]
    static let journalPartKeys = ["units", "program"]
    static let sqliteKeys = ["sqlite", "path", "busy-timeout", "integrity-check", "witnesses"]
    static let gitKeys = ["git", "repository", "timeout", "integrity-check"]
    static let witnessOfFileKeys = ["name", "query"]
    static let postgreSQLKeys = [
        "postgresql", "mode", "data-directory", "socket", "host", "port", "user", "database", "passfile", "config",
        "programs", "witnesses",
    ]
    static let witnessKeys = ["name", "query", "database"]
    static let commandKeys = ["command", "run", "file", "timeout", "minimum-size"]
    /// Keys that belong to several kinds stand here once.
    static let sourceKeys =
        fileKeys + logKeys + journalKeys + commandKeys + sqliteKeys + gitKeys + postgreSQLKeys + walKeys + mariadbKeys
        + mariadbLogKeys
    static let personKeys = ["name", "position", "email", "phone"]
    static let appointmentKeys = ["person", "from", "until"]
    static let maximumClauses = 64

    var nodes = NodeReader()
    let people: PolicyDocument.PeopleSource
    private(set) var refersToPersons = false

    init(people: PolicyDocument.PeopleSource) { self.people = people }

    mutating func policy(_ root: Node) -> Policy? {
        if case .scalar(let scalar) = root, scalar.string.isEmpty {
            nodes.note(root, .empty)
            return nil
        }
        let values = nodes.mapping(
            root, named: "policy", place: .policy, allowed: Self.keys, required: Self.requiredKeys)
        guard let values else { return nil }
        let name = values["policy"].flatMap { readName($0) }
        let component = values["component"].flatMap { nodes.choice($0, named: "component", of: Component.self) }
        let responsible = values["responsible"].flatMap { appointment($0, named: "responsible") }
        let deputy = values["deputy"].flatMap { appointment($0, named: "deputy") }
        let sources = values["sources"].flatMap { readSources($0) }
        var policy = Policy(
            name: name ?? "", component: component ?? .config,
            responsiblePerson: responsible?.person ?? Person(name: ""),
            deputyPerson: deputy?.person, sources: sources?.files ?? [])
        policy.logs = sources?.logs ?? []
        policy.data = sources?.data ?? []
        policy.responsibleTerm = responsible?.term ?? .always
        policy.deputyTerm = deputy?.term ?? .always
        readTexts(values, &policy)
        readParts(values, &policy)
        guard name != nil, component != nil, responsible != nil, sources != nil else { return nil }
        return policy
    }

    private mutating func readTexts(_ values: [String: Node], _ policy: inout Policy) {
        policy.legalBasis = values["legal-basis"].flatMap { nodes.text($0, named: "legal-basis") }
        if let node = values["confidentiality"] {
            let choice = nodes.choice(node, named: "confidentiality", of: Confidentiality.self)
            policy.confidentiality = choice ?? policy.confidentiality
        }
        policy.vault = values["vault"].flatMap { readPath($0, named: "vault") }
        policy.recoveryPlan = values["recovery-plan"].flatMap { nodes.id($0, named: "recovery-plan") }
        if let node = values["clauses"] {
            let items = nodes.list(node, named: "clauses", atMost: Self.maximumClauses) ?? []
            policy.clauses = items.compactMap { nodes.text($0, named: "clauses") }
        }
    }

    private mutating func readName(_ node: Node) -> String? {
        guard let name = nodes.text(node, named: "policy") else { return nil }
        guard Policy.isWellFormed(name: name) else {
            nodes.note(node, .badName(String(name.prefix(80))))
            return nil
        }
        return name
    }

    mutating func readPath(_ node: Node, named key: String) -> String? {
        guard let path = nodes.text(node, named: key) else { return nil }
        guard PathText.isAbsolute(path) else {
            nodes.note(node, .notAbsolute(key, path: path, suggestion: PathText.absolute(path, from: "/")))
            return nil
        }
        return path
    }

    // MARK: - Persons

    /// A name; a person written out; or a reference to the register, with the days of the appointment.
    private mutating func appointment(_ node: Node, named key: String) -> (person: Person, term: Validity)? {
        if case .scalar = node { return nodes.text(node, named: key).map { (Person(name: $0), .always) } }
        if Self.isReference(node) { return reference(node, named: key) }
        let values = nodes.mapping(node, named: key, place: .person, allowed: Self.personKeys, required: ["name"])
        guard let values else { return nil }
        let position = values["position"].flatMap { nodes.text($0, named: "position") }
        let email = values["email"].flatMap { nodes.text($0, named: "email") }
        let phone = values["phone"].flatMap { nodes.text($0, named: "phone") }
        guard let name = values["name"].flatMap({ nodes.text($0, named: "name") }) else { return nil }
        return (Person(name: name, position: position, email: email, phone: phone), .always)
    }

    /// Whether a mapping refers to the register, or would but for a slip of the pen.
    private static func isReference(_ node: Node) -> Bool {
        guard case .mapping(let pairs) = node else { return false }
        let words = pairs.compactMap { $0.key.scalar?.string }
        if words.contains("person") { return true }
        if words.contains("name") { return false }
        return words.contains { Suggestion.nearest(to: $0, among: personKeys + appointmentKeys) == "person" }
    }

    private mutating func reference(_ node: Node, named key: String) -> (person: Person, term: Validity)? {
        refersToPersons = true
        let values = nodes.mapping(
            node, named: key, place: .appointment, allowed: Self.appointmentKeys, required: ["person"])
        guard let values else { return nil }
        let term = nodes.validity(from: values["from"], until: values["until"])
        guard let reference = values["person"], let id = nodes.id(reference, named: "person") else { return nil }
        switch people {
        case .broken: return nil
        case .absent:
            nodes.note(reference, .noPeople(id))
            return nil
        case .known(let people):
            if let person = people[id] { return (person, term) }
            let suggestion = Suggestion.nearest(to: id, among: people.persons.compactMap(\.id))
            nodes.note(reference, .unknownPerson(id, suggestion: suggestion))
            return nil
        }
    }

    // MARK: - Sources

    private struct Sources {
        var files: [FileSource] = []
        var logs: [LogSource] = []
        var data: [DataSource] = []
    }

    private mutating func readSources(_ node: Node) -> Sources? {
        guard let items = nodes.list(node, named: "sources") else { return nil }
        if items.isEmpty {
            nodes.note(node, .emptyValue("sources"))
            return nil
        }
        var sources = Sources()
        var lines: [String: Int] = [:]
        for item in items {
            if let kind = Self.dataKind(item) {
                guard let source = readData(item, kind) else { continue }
                if let line = lines[source.root] {
                    nodes.note(item, .duplicatePath("\(kind.rawValue) \(source.name)", firstLine: line))
                } else {
                    lines[source.root] = item.mark?.line ?? 1
                    sources.data.append(source)
                }
                continue
            }
            if Self.isOfLogs(item) {
                for (source, at) in readLogs(item) {
                    let name = source.journalUnits == nil ? source.path : source.id
                    if let line = lines["logs " + name] {
                        nodes.note(at, .duplicatePath(name, firstLine: line))
                    } else {
                        lines["logs " + name] = at.mark?.line ?? 1
                        sources.logs.append(source)
                    }
                }
                continue
            }
            for (source, at) in readFiles(item) {
                if let line = lines[source.path] {
                    nodes.note(at, .duplicatePath(source.path, firstLine: line))
                } else {
                    lines[source.path] = at.mark?.line ?? 1
                    sources.files.append(source)
                }
            }
        }
        return sources
    }

    /// One item of `sources`: as many sources as it names paths, each with the node that names it.
    private mutating func readFiles(_ node: Node) -> [(FileSource, Node)] {
        // An unknown kind of source is told as that, not as a missing `files` too.
        var isKnown = true
        if case .mapping(let pairs) = node {
            isKnown = pairs.allSatisfy { Self.sourceKeys.contains($0.key.scalar?.string ?? "") }
        }
        let values = nodes.mapping(
            node, named: "sources", place: .source, allowed: Self.sourceKeys, required: isKnown ? ["files"] : [])
        guard let values else { return [] }
        if let format = values["format"] { nodes.note(format, .standsAlone("format", beside: "files")) }
        let excludes = values["exclude"].map { readPatterns($0) } ?? []
        let oneFileSystem = values["one-file-system"].flatMap { nodes.boolean($0, named: "one-file-system") }
        let excludeCaches = values["exclude-caches"].flatMap { nodes.boolean($0, named: "exclude-caches") }
        guard let files = values["files"], let paths = nodes.list(files, named: "files", orOne: true) else { return [] }
        if paths.isEmpty { nodes.note(files, .emptyValue("files")) }
        var made: [(FileSource, Node)] = []
        for node in paths {
            guard let path = readPath(node, named: "files") else { continue }
            let source = FileSource(
                path: path, excludes: excludes, oneFileSystem: oneFileSystem ?? false,
                excludeCaches: excludeCaches ?? false)
            made.append((source, node))
        }
        return made
    }

    private mutating func readPatterns(_ node: Node) -> [String] {
        guard let items = nodes.list(node, named: "exclude", orOne: true) else { return [] }
        var patterns: [String] = []
        for item in items {
            guard let pattern = nodes.text(item, named: "exclude") else { continue }
            do {
                _ = try ExcludePatterns([pattern])
                patterns.append(pattern)
            } catch {
                nodes.note(item, .badPattern(String(pattern.prefix(80)), why: error.reason))
            }
        }
        return patterns
    }
}
