package import Domain
import Yams

/// The register of persons as a YAML document: under `people`, each person under the id by which policies refer to it.
package enum PeopleDocument {
    /// How the file is named, in the folder of the policies.
    package static let fileName = "people.yaml"
    static let keys = ["name", "position", "email", "phone", "uid", "public-key", "from", "until"]
    static let maximumPersons = 4096

    package static func read(path: String) throws(DocumentsError) -> People {
        try parse(try DocumentFile.contents(path), file: path)
    }

    package static func parse(_ bytes: [UInt8], file: String) throws(DocumentsError) -> People {
        let root: Node
        do {
            root = try YAMLDocument.root(of: bytes)
        } catch {
            throw DocumentsError(.invalid, file: file, problems: [error.problem])
        }
        var nodes = NodeReader()
        let people = readPeople(root, &nodes)
        guard let people, nodes.problems.isEmpty else {
            throw DocumentsError(.invalid, file: file, problems: nodes.problems)
        }
        return people
    }

    private static func readPeople(_ root: Node, _ nodes: inout NodeReader) -> People? {
        if case .scalar(let scalar) = root, scalar.string.isEmpty {
            nodes.note(root, .empty)
            return nil
        }
        let values = nodes.mapping(
            root, named: "people.yaml", place: .people, allowed: ["people"], required: ["people"])
        guard let node = values?["people"] else { return nil }
        guard case .mapping(let pairs) = node else {
            nodes.note(node, .notAMapping("people"))
            return nil
        }
        guard pairs.count <= maximumPersons else {
            nodes.note(node, .tooMany("people", limit: maximumPersons))
            return nil
        }
        var persons: [Person] = []
        var places: [Node] = []
        for (key, value) in pairs {
            let id = nodes.id(key, named: "people")
            guard let person = readPerson(value, &nodes), let id else { continue }
            persons.append(with(id, person))
            places.append(key)
        }
        let (people, clashes) = People.make(persons)
        for clash in clashes {
            let line = places[clash.first].mark?.line ?? 1
            nodes.note(places[clash.second], .shared(clash.what, firstLine: line))
        }
        return people
    }

    private static func with(_ id: String, _ person: Person) -> Person {
        var person = person
        person.id = id
        return person
    }

    private static func readPerson(_ node: Node, _ nodes: inout NodeReader) -> Person? {
        let values = nodes.mapping(node, named: "people", place: .person, allowed: keys, required: ["name"])
        guard let values else { return nil }
        let validity = nodes.validity(from: values["from"], until: values["until"])
        let person = Person(
            name: values["name"].flatMap { nodes.text($0, named: "name") } ?? "",
            position: values["position"].flatMap { nodes.text($0, named: "position") },
            email: values["email"].flatMap { nodes.text($0, named: "email") },
            phone: values["phone"].flatMap { nodes.text($0, named: "phone") },
            uid: values["uid"].flatMap { nodes.number($0, named: "uid", in: 0...0xFFFF_FFFE) }.map { UInt32($0) },
            publicKey: values["public-key"].flatMap { readKey($0, &nodes) },
            validity: validity == .always ? nil : validity)
        return person.name.isEmpty ? nil : person
    }

    private static func readKey(_ node: Node, _ nodes: inout NodeReader) -> ApprovalKey? {
        guard let text = nodes.text(node, named: "public-key") else { return nil }
        if let key = ApprovalKey(hex: text) { return key }
        nodes.note(node, .badKey)
        return nil
    }
}
