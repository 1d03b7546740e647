extension PolicyFacts {
    func line(_ cluster: PostgreSQLSource) -> String {
        let connection = cluster.connection
        let way =
            switch cluster.mode {
            case .local: word("read on this host", "bu hostda oxunur")
            case .remote: word("brought over the network", "şəbəkə ilə gətirilir")
            case .logical: word("dumps of each database", "hər bazanın dampı")
            }
        var parts = ["PostgreSQL \(cluster.name)", way]
        if let directory = cluster.dataDirectory { parts.append(directory) }
        parts.append("\(connection.user)@\(connection.host):\(connection.port)/\(connection.database)")
        if let passfile = connection.passfile { parts.append("\(word("password in", "parol burada")): \(passfile)") }
        if !cluster.config.isEmpty {
            parts.append("\(word("configuration", "sazlama")): \(cluster.config.joined(separator: " "))")
        }
        if let programs = cluster.programs { parts.append("\(word("programs", "proqramlar")): \(programs)") }
        for witness in cluster.witnesses {
            let database = witness.database ?? connection.database
            parts.append("\(word("witness", "şahid sorğu")) \(witness.name) (\(database)): \(witness.query)")
        }
        return parts.joined(separator: "; ")
    }
}
