import Domain

/// The options that `mariadb-backup` writes into a copy, `backup-my.cnf`. The file comes out of the archive, and programs would
/// do whatever it says: load a library out of the copy, run statements, write anywhere. So they get what is needed to read the
/// files of the copy, and no more.
enum MariaDBCopyOptions {
    static let fileName = "backup-my.cnf"
    static let limit = 64 << 10
    /// How the files of InnoDB are laid out. Their values name no directory.
    private static let needed: Set<String> = [
        "innodb_checksum_algorithm", "innodb_compression_level", "innodb_data_file_path", "innodb_log_file_size",
        "innodb_log_files_in_group", "innodb_page_size", "innodb_undo_tablespaces",
    ]
    /// Where files of the server were that the copy has in its own directory.
    private static let dropped: Set<String> = ["innodb_undo_directory", "innodb_buffer_pool_filename"]

    /// What of the file programs may be given, in the form of the file. Refuses what a replay may need and cannot be given.
    static func safe(_ text: String) throws(CollectorError) -> String {
        var lines = ["[mysqld]"]
        for line in text.split(whereSeparator: \.isNewline).map({ $0.filter { !$0.isWhitespace } }) {
            if line.isEmpty || line.hasPrefix("#") || line == lines[0] { continue }
            let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
            let name = (parts.first ?? "").replacing("-", with: "_")
            if dropped.contains(name) { continue }
            guard needed.contains(name), parts.count == 2, parts[1].utf8.allSatisfy(isPlain) else {
                throw CollectorError(
                    .unsupported,
                    "\(fileName) of the copy has an option that a replay does not take: \(line.prefix(100))",
                    hint: "Restore without --target, look at the file, and prepare the copy by hand.")
            }
            lines.append("\(name)=\(parts[1])")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        // . : ; _
        case 0x2E, 0x3A, 0x3B, 0x5F: true
        default: false
        }
    }
}
