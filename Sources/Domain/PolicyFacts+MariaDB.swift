extension PolicyFacts {
    func line(_ server: MariaDBSource) -> String {
        var parts = ["MariaDB \(server.name)"] + connection(server)
        if !server.config.isEmpty {
            parts.append("\(word("configuration", "sazlama")): \(server.config.joined(separator: " "))")
        }
        if server.binaryLogs { parts.append(word("with binary logs", "ikilik loqlarla")) }
        parts.append("\(word("at most", "ən çoxu")) \(server.timeout.text(in: language))")
        for witness in server.witnesses {
            let database = witness.database.map { " (\($0))" } ?? ""
            parts.append("\(word("witness", "şahid sorğu")) \(witness.name)\(database): \(witness.query)")
        }
        return parts.joined(separator: "; ")
    }

    func logLine(_ server: MariaDBSource) -> String {
        let what = word("binary logs of MariaDB", "MariaDB ikilik loqları:")
        var parts = ["\(what) \(server.name)"] + connection(server)
        if let number = server.replicaID {
            parts.append("\(word("streamed as replica", "replika kimi axınla alınır:")) \(number)")
            parts.append("\(word("an archive after", "hər arxiv")) \(server.batchTime.text(in: language))")
        }
        return parts.joined(separator: "; ")
    }

    private func connection(_ server: MariaDBSource) -> [String] {
        var parts: [String] = []
        if let socket = server.socket { parts.append("\(word("socket", "soket")): \(socket)") }
        if let user = server.user { parts.append("\(word("as", "istifadəçi")): \(user)") }
        if let file = server.defaultsFile { parts.append("\(word("password in", "parol burada")): \(file)") }
        return parts
    }
}
