import Domain
import Yams

extension PolicyReader {
    mutating func readGit(_ node: Node) -> GitSource? {
        guard let (name, values) = dataValues(node, .git, allowed: Self.gitKeys, required: ["repository"]) else {
            return nil
        }
        let timeout = values["timeout"].flatMap {
            nodes.fixedPeriod($0, named: "timeout", atMost: GitSource.longestTimeout)
        }
        let check = values["integrity-check"].flatMap { nodes.fixedPeriod($0, named: "integrity-check") }
        guard let repository = values["repository"].flatMap({ readRepository($0) }) else { return nil }
        var source = GitSource(name: name, repository: repository)
        source.timeout = timeout ?? source.timeout
        source.integrityCheck = check ?? source.integrityCheck
        return source
    }

    private mutating func readRepository(_ node: Node) -> String? {
        guard let text = nodes.text(node, named: "repository") else { return nil }
        if PathText.isAbsolute(text) || GitSource.isAddress(text) { return text }
        nodes.note(node, .badRepository(nodes.shown(text)))
        return nil
    }
}
