extension PolicyFacts {
    func line(_ database: SQLiteSource) -> String {
        var parts = [
            "\(word("SQLite database", "SQLite məlumat bazası")): \(database.name), \(database.path)",
            "\(word("waits for locks", "kilidi gözləyir")) \(database.busyTimeout.text(in: language))",
            "\(word("full check every", "tam yoxlama: hər")) \(database.integrityCheck.text(in: language))",
        ]
        parts += database.witnesses.map { "\(word("witness", "şahid sorğu")) \($0.name): \($0.query)" }
        return parts.joined(separator: "; ")
    }
}
