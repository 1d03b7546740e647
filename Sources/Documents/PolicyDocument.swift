package import Domain
import Glibc
import Yams

// An archiving policy as a YAML document.
//
// 1. A policy comes out only when nothing is wrong with the document; otherwise every problem comes out, each with its
//    line and column. Only a text that is no YAML, repeats a key or exceeds a bound stops at the first.
// 2. A key that is not known is an error: a misspelt `exclude` must never archive what it should have left out.
// 3. Nothing here looks at the file system beyond reading the document: whether a source exists is for the run to say.

package enum PolicyDocument {
    private static let keys = [
        "policy", "component", "responsible", "deputy", "legal-basis", "confidentiality", "vault", "sources",
    ]
    private static let requiredKeys = ["policy", "component", "responsible", "sources"]
    private static let sourceKeys = ["files", "exclude", "one-file-system", "exclude-caches"]
    private static let personKeys = ["name", "position", "email", "phone"]

    /// Reads the policy in the file at `path`.
    package static func read(path: String) throws(DocumentsError) -> Policy {
        try parse(try contents(path), file: path)
    }

    /// `file` is how messages name the document.
    package static func parse(_ bytes: [UInt8], file: String) throws(DocumentsError) -> Policy {
        let root: Node
        do {
            root = try YAMLDocument.root(of: bytes)
        } catch {
            throw DocumentsError(.invalid, file: file, problems: [error.problem])
        }
        var reader = NodeReader()
        let policy = readPolicy(root, &reader)
        guard let policy, reader.problems.isEmpty else {
            throw DocumentsError(.invalid, file: file, problems: reader.problems)
        }
        return policy
    }

    private static func readPolicy(_ root: Node, _ reader: inout NodeReader) -> Policy? {
        if case .scalar(let scalar) = root, scalar.string.isEmpty {
            reader.note(root, .empty)
            return nil
        }
        let values = reader.mapping(
            root, named: "policy", place: .policy, allowed: keys, required: requiredKeys)
        guard let values else { return nil }
        let name = values["policy"].flatMap { readName($0, &reader) }
        let component = values["component"].flatMap { reader.choice($0, named: "component", of: Component.self) }
        let responsible = values["responsible"].flatMap { readPerson($0, named: "responsible", &reader) }
        let deputy = values["deputy"].flatMap { readPerson($0, named: "deputy", &reader) }
        let legalBasis = values["legal-basis"].flatMap { reader.text($0, named: "legal-basis") }
        let confidentiality = values["confidentiality"].flatMap {
            reader.choice($0, named: "confidentiality", of: Confidentiality.self)
        }
        let vault = values["vault"].flatMap { readPath($0, named: "vault", &reader) }
        let sources = values["sources"].flatMap { readSources($0, &reader) }
        guard let name, let component, let responsible, let sources else { return nil }
        return Policy(
            name: name, component: component, responsiblePerson: responsible, deputyPerson: deputy,
            legalBasis: legalBasis, confidentiality: confidentiality ?? .internal, vault: vault, sources: sources)
    }

    private static func readName(_ node: Node, _ reader: inout NodeReader) -> String? {
        guard let name = reader.text(node, named: "policy") else { return nil }
        guard Policy.isWellFormed(name: name) else {
            reader.note(node, .badName(String(name.prefix(80))))
            return nil
        }
        return name
    }

    /// A person is a name, or a mapping with `name` and how to reach them.
    private static func readPerson(_ node: Node, named key: String, _ reader: inout NodeReader) -> Person? {
        if case .scalar = node { return reader.text(node, named: key).map { Person(name: $0) } }
        let values = reader.mapping(node, named: key, place: .person, allowed: personKeys, required: ["name"])
        guard let values else { return nil }
        let position = values["position"].flatMap { reader.text($0, named: "position") }
        let email = values["email"].flatMap { reader.text($0, named: "email") }
        let phone = values["phone"].flatMap { reader.text($0, named: "phone") }
        guard let name = values["name"].flatMap({ reader.text($0, named: "name") }) else { return nil }
        return Person(name: name, position: position, email: email, phone: phone)
    }

    private static func readPath(_ node: Node, named key: String, _ reader: inout NodeReader) -> String? {
        guard let path = reader.text(node, named: key) else { return nil }
        guard PathText.isAbsolute(path) else {
            reader.note(node, .notAbsolute(key, path: path, suggestion: PathText.absolute(path, from: "/")))
            return nil
        }
        return path
    }

    private static func readSources(_ node: Node, _ reader: inout NodeReader) -> [FileSource]? {
        guard let items = reader.list(node, named: "sources") else { return nil }
        if items.isEmpty {
            reader.note(node, .emptyValue("sources"))
            return nil
        }
        var sources: [FileSource] = []
        var lines: [String: Int] = [:]
        for item in items {
            for (source, at) in readFiles(item, &reader) {
                if let line = lines[source.path] {
                    reader.note(at, .duplicatePath(source.path, firstLine: line))
                } else {
                    lines[source.path] = at.mark?.line ?? 1
                    sources.append(source)
                }
            }
        }
        return sources
    }

    /// One item of `sources`: as many sources as it names paths, each with the node that names it.
    private static func readFiles(_ node: Node, _ reader: inout NodeReader) -> [(FileSource, Node)] {
        let values = reader.mapping(node, named: "sources", place: .source, allowed: sourceKeys, required: ["files"])
        guard let values else { return [] }
        let excludes = values["exclude"].map { readPatterns($0, &reader) } ?? []
        let oneFileSystem = values["one-file-system"].flatMap { reader.boolean($0, named: "one-file-system") } ?? false
        let excludeCaches = values["exclude-caches"].flatMap { reader.boolean($0, named: "exclude-caches") } ?? false
        guard let files = values["files"], let paths = reader.list(files, named: "files", orOne: true) else {
            return []
        }
        if paths.isEmpty { reader.note(files, .emptyValue("files")) }
        var made: [(FileSource, Node)] = []
        for node in paths {
            guard let path = readPath(node, named: "files", &reader) else { continue }
            let source = FileSource(
                path: path, excludes: excludes, oneFileSystem: oneFileSystem, excludeCaches: excludeCaches)
            made.append((source, node))
        }
        return made
    }

    private static func readPatterns(_ node: Node, _ reader: inout NodeReader) -> [String] {
        guard let items = reader.list(node, named: "exclude", orOne: true) else { return [] }
        var patterns: [String] = []
        for item in items {
            guard let pattern = reader.text(item, named: "exclude") else { continue }
            do {
                _ = try ExcludePatterns([pattern])
                patterns.append(pattern)
            } catch {
                reader.note(item, .badPattern(String(pattern.prefix(80)), why: error.reason))
            }
        }
        return patterns
    }

    /// The whole file, or one byte more than a document may have.
    private static func contents(_ path: String) throws(DocumentsError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else {
            let reason = errno
            let isMissing = reason == ENOENT || reason == ENOTDIR
            throw DocumentsError(isMissing ? .missing : .unreadable, file: path, underlying: words(reason))
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= YAMLDocument.maximumBytes {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count == 0 { break }
            if count < 0 {
                let reason = errno
                if reason == EINTR { continue }
                throw DocumentsError(.unreadable, file: path, underlying: words(reason))
            }
            bytes.append(contentsOf: buffer[..<count])
        }
        return bytes
    }

    private static func words(_ number: Int32) -> String {
        strerror(number).map { String(cString: $0) } ?? "error \(number)"
    }
}
