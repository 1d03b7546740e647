extension PolicyFacts {
    func line(_ wal: WALSource) -> String {
        let place = wal.acknowledge == .spool ? word("the spool", "növbə") : word("the vault", "arxiv anbarı")
        var parts = [
            "\(word("WAL of PostgreSQL", "PostgreSQL-in WAL jurnalı")): \(wal.name)",
            "\(word("from the user", "istifadəçidən")) \(wal.user)",
            "\(word("acknowledged by", "təsdiq edən")) \(place)",
            "\(word("an archive of", "hər arxiv")) \(wal.batchSegments) "
                + "\(word("segments or after", "seqment və ya")) \(wal.batchTime.text(in: language))",
            "\(word("incarnation", "təcəssüm")) \(wal.incarnation)",
        ]
        if let slot = wal.slot { parts.append("\(word("slot", "slot")) \(slot)") }
        if let database = wal.heartbeat {
            parts.append("\(word("heartbeat in the database", "nəbz bu verilənlər bazasında")) \(database)")
        }
        if wal.slot != nil || wal.heartbeat != nil || wal.socket != PostgreSQLSource.Connection.usualSocket {
            parts.append(wal.socket)
        }
        return parts.joined(separator: "; ")
    }
}
