package import Domain
import Yams

/// Where alarms go, as a YAML document: under `channels`, each channel under its name.
package enum AlarmsDocument {
    static let keys = ["language", "host", "channels", "dead-man"]
    static let channelKeys = [
        "kind", "least", "server", "from", "to", "user", "password-file", "url", "url-file", "token-file", "command",
    ]
    static let maximumRecipients = 64

    /// Nil when there is no such file. Whoever must not stand still does not wait for a pipe.
    package static func read(path: String, waits: Bool = true) throws(DocumentsError) -> AlarmSettings? {
        do {
            return try parse(try DocumentFile.contents(path, waits: waits), file: path)
        } catch {
            if error.code == .missing { return nil }
            throw error
        }
    }

    package static func parse(_ bytes: [UInt8], file: String) throws(DocumentsError) -> AlarmSettings {
        let root: Node
        do {
            root = try YAMLDocument.root(of: bytes)
        } catch {
            throw DocumentsError(.invalid, file: file, problems: [error.problem])
        }
        var nodes = NodeReader()
        let settings = readSettings(root, &nodes)
        guard let settings, nodes.problems.isEmpty else {
            throw DocumentsError(.invalid, file: file, problems: nodes.problems)
        }
        return settings
    }

    private static func readSettings(_ root: Node, _ nodes: inout NodeReader) -> AlarmSettings? {
        if case .scalar(let scalar) = root, scalar.string.isEmpty {
            nodes.note(root, .empty)
            return nil
        }
        guard
            let values = nodes.mapping(
                root, named: "alarms", place: .alarms, allowed: keys, required: ["channels"])
        else { return nil }
        var settings = AlarmSettings()
        if let node = values["language"], let language = nodes.choice(node, named: "language", of: Language.self) {
            settings.language = language
        }
        settings.host = values["host"].flatMap { nodes.text($0, named: "host") }
        if let node = values["channels"] { settings.channels = readChannels(node, &nodes) }
        if let node = values["dead-man"] { settings.deadMan = readDeadMan(node, &nodes) }
        return settings
    }

    private static func readChannels(_ node: Node, _ nodes: inout NodeReader) -> [AlarmChannel] {
        guard case .mapping(let pairs) = node else {
            nodes.note(node, .notAMapping("channels"))
            return []
        }
        guard pairs.count <= AlarmChannel.maximumCount else {
            nodes.note(node, .tooMany("channels", limit: AlarmChannel.maximumCount))
            return []
        }
        var channels: [AlarmChannel] = []
        for (key, value) in pairs {
            guard let name = nodes.id(key, named: "channels"), let channel = readChannel(name, value, &nodes) else {
                continue
            }
            channels.append(channel)
        }
        return channels
    }

    private static func readChannel(_ name: String, _ node: Node, _ nodes: inout NodeReader) -> AlarmChannel? {
        guard
            let values = nodes.mapping(
                node, named: name, place: .channel, allowed: channelKeys, required: ["kind"]),
            let kindNode = values["kind"],
            let kind = nodes.choice(kindNode, named: "kind", of: AlarmChannel.Kind.self)
        else { return nil }
        let own: [String] =
            switch kind {
            case .email: ["server", "from", "to", "user", "password-file"]
            case .webhook, .ntfy: ["url", "url-file", "token-file"]
            case .command: ["command"]
            }
        for (key, value) in values where !own.contains(key) && key != "kind" && key != "least" {
            nodes.note(value, .notOfKind(key, kind: kind.rawValue))
        }
        let means: AlarmChannel.Means? =
            switch kind {
            case .email: readMail(values, node, &nodes)
            case .webhook: readURL(values, node, &nodes).map { .webhook(url: $0, token: readToken(values, &nodes)) }
            case .ntfy: readURL(values, node, &nodes).map { .ntfy(url: $0, token: readToken(values, &nodes)) }
            case .command: readCommand(values, node, &nodes)
            }
        guard let means else { return nil }
        var channel = AlarmChannel(name: name, means: means)
        if let least = values["least"].flatMap({ nodes.choice($0, named: "least", of: Alarm.Level.self) }) {
            channel.least = least
        }
        return channel
    }

    private static func readMail(
        _ values: [String: Node], _ node: Node, _ nodes: inout NodeReader
    ) -> AlarmChannel.Means? {
        for key in ["server", "from", "to"] where values[key] == nil {
            nodes.note(node, .missingKey(key, place: .channel))
        }
        guard let serverNode = values["server"], let server = nodes.text(serverNode, named: "server"),
            let fromNode = values["from"], let from = readAddress(fromNode, "from", &nodes),
            let toNode = values["to"],
            let items = nodes.list(toNode, named: "to", orOne: true, atMost: maximumRecipients)
        else { return nil }
        let to = items.compactMap { readAddress($0, "to", &nodes) }
        guard isURL(server, ["smtp", "smtps"]) else {
            nodes.note(serverNode, .badURL("server", found: nodes.shown(server)))
            return nil
        }
        let user = values["user"].flatMap { nodes.text($0, named: "user") }
        let password = values["password-file"].flatMap { readPath($0, "password-file", &nodes) }
        if let node = values["user"], password == nil {
            nodes.note(node, .missingKey("password-file", place: .channel))
        }
        guard !to.isEmpty, to.count == items.count else { return nil }
        return .email(server: server, from: from, to: to, user: user, password: password)
    }

    private static func readURL(
        _ values: [String: Node], _ node: Node, _ nodes: inout NodeReader
    ) -> AlarmChannel.Word? {
        switch (values["url"], values["url-file"]) {
        case (let url?, nil):
            guard let text = nodes.text(url, named: "url") else { return nil }
            if AlarmChannel.isSafe(url: text) { return .plain(text) }
            nodes.note(url, .badURL("url", found: nodes.shown(text)))
            return nil
        case (nil, let file?): return readPath(file, "url-file", &nodes).map { .file($0) }
        case (_?, let file?):
            nodes.note(file, .standsAlone("url-file", beside: "url"))
            return nil
        case (nil, nil):
            nodes.note(node, .oneOf("url", "url-file"))
            return nil
        }
    }

    private static func readToken(_ values: [String: Node], _ nodes: inout NodeReader) -> String? {
        values["token-file"].flatMap { readPath($0, "token-file", &nodes) }
    }

    private static func readCommand(
        _ values: [String: Node], _ node: Node, _ nodes: inout NodeReader
    ) -> AlarmChannel.Means? {
        guard let list = values["command"] else {
            nodes.note(node, .missingKey("command", place: .channel))
            return nil
        }
        guard let items = nodes.list(list, named: "command", orOne: true, atMost: Policy.Hook.maximumArguments) else {
            return nil
        }
        let words = items.compactMap { nodes.text($0, named: "command") }
        guard words.count == items.count, let program = words.first else { return nil }
        guard program.hasPrefix("/") else {
            nodes.note(list, .notAProgram(nodes.shown(program)))
            return nil
        }
        return .command(words)
    }

    private static func readDeadMan(_ node: Node, _ nodes: inout NodeReader) -> DeadMan? {
        guard
            let values = nodes.mapping(
                node, named: "dead-man", place: .deadMan, allowed: ["url", "url-file", "every"], required: ["every"]),
            let url = readURL(values, node, &nodes),
            let everyNode = values["every"], let every = nodes.fixedPeriod(everyNode, named: "every", atMost: .days(1))
        else { return nil }
        return DeadMan(url: url, every: max(60, every.seconds))
    }

    private static func readPath(_ node: Node, _ key: String, _ nodes: inout NodeReader) -> String? {
        guard let path = nodes.text(node, named: key) else { return nil }
        if path.hasPrefix("/") { return path }
        nodes.note(node, .notAbsolute(key, path: nodes.shown(path), suggestion: "/" + path))
        return nil
    }

    private static func readAddress(_ node: Node, _ key: String, _ nodes: inout NodeReader) -> String? {
        guard let text = nodes.text(node, named: key) else { return nil }
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x3C && $0 != 0x3E && $0 != 0x2C && $0 != 0x7F }
        if parts.count == 2, parts.allSatisfy({ !$0.isEmpty }), isPlain { return text }
        nodes.note(node, .badURL(key, found: nodes.shown(text)))
        return nil
    }

    private static func isURL(_ text: String, _ schemes: [String]) -> Bool {
        schemes.contains { text.hasPrefix($0 + "://") && text.utf8.count > $0.utf8.count + 3 }
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }
    }
}
