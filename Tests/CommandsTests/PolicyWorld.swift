import Foundation
import Testing

extension World {
    /// What `qala policy history` tells, newest first.
    func versions() throws -> [[String: Any]] {
        let reply = try Self.object(try qala("policy", "history", "--json"))
        return try #require(reply["versions"] as? [[String: Any]])
    }
}

/// A world with three persons who have keys, and a folder with the shipped policy for configuration files.
struct PolicyWorld {
    static let shorter = ("period: 10 years", "period: 9 years")
    static let harmless = ("recovery-plan: recovery", "recovery-plan: recovery\ncompression-level: 9")
    let world: World

    init() throws {
        world = try World(inMemory: true)
        var people = "people:\n"
        let terms: [(id: String, until: String?)] = [
            ("archivist", nil), ("deputy-archivist", nil), ("former", "2025-12-31"),
        ]
        for (id, until) in terms {
            let key = try World.object(try world.qala("policy", "key", "--to", "\(id).key", "--json"))
            people += "  \(id):\n    name: Person \(id)\n    from: 2025-01-01\n"
            let publicKey = try #require(key["publicKey"] as? String)
            people += "    public-key: \(publicKey)\n"
            if let until { people += "    until: \(until)\n" }
        }
        try world.write("policies/people.yaml", people)
        try world.write("tree/a.txt", "hello\n")
        let file = Repository.root.appending(path: "Policies/config.yaml")
        var policy = try String(contentsOf: file, encoding: .utf8)
        policy = policy.replacingOccurrences(of: "- files: /etc\n", with: "- files: \(world.path("tree"))\n")
        policy = policy.replacingOccurrences(of: "  last: 10\n  daily: 30\n", with: "")
        try world.write("policies/config.yaml", policy)
    }

    func remove() { world.remove() }

    func change(_ from: String, _ to: String) throws {
        let text = try String(contentsOf: world.url("policies/config.yaml"), encoding: .utf8)
        try #require(text.contains(from))
        try world.write("policies/config.yaml", text.replacingOccurrences(of: from, with: to))
    }

    /// `qala policy …`, with no daemon to answer.
    func policy(_ arguments: String...) throws -> Finished { try policy(arguments) }

    func policy(_ arguments: [String]) throws -> Finished {
        try world.qala(["policy"] + arguments, more: ["QALA_SOCKET": world.path("no-daemon")])
    }

    /// Puts the folder into force, or writes the request.
    func apply(_ reason: String, request: String? = nil, by author: String = "archivist") throws -> Finished {
        let more = request.map { ["--request", $0, "--signing-key", "\(author).key"] } ?? []
        return try policy(["apply", "policies", "--author", author, "--reason", reason, "--json"] + more)
    }

    func approve(_ request: String, _ person: String, key: String? = nil, to file: String) throws -> Finished {
        try policy(
            "approve", request, "--person", person, "--signing-key", "\(key ?? person).key", "--to", file, "--json")
    }

    func carryOut(_ request: String, _ approval: String) throws -> Finished {
        try policy("apply", "--request", request, "--approval", approval, "--json")
    }

    /// The object in the file of a version.
    func version(_ number: Int) throws -> [String: Any] {
        let data = try Data(contentsOf: world.url("state/policies/0000000\(number).json"))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    func documents(_ number: Int) throws -> [[String: String]] {
        try #require(try version(number)["documents"] as? [[String: String]])
    }
}
