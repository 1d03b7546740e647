/// Live logs that a policy follows: what is new in them is sealed into segments before a run archives anything.
package struct LogSource: Sendable, Equatable {
    /// How the bytes divide into what must not be torn.
    package enum Format: String, Sendable, CaseIterable, Codable {
        /// A record ends with its line.
        case lines
        /// What `journalctl -o export` writes: a record ends with an empty line, and counts its own number.
        case journalExport = "journal-export"

        package func name(in language: Language) -> String {
            switch (self, language) {
            case (.lines, .english): "lines"
            case (.lines, .azerbaijani): "sətirlər"
            case (.journalExport, .english): "journal export"
            case (.journalExport, .azerbaijani): "journald ixracı"
            }
        }
    }

    /// Absolute, as a ``FileSource`` has it. The last name may hold `*` and `?`; without them the path is that of a
    /// file, or of a directory whose files are all followed.
    package var path: String
    package var format: Format
    /// The journal itself, read through the program at `path`: entries of these units, or all where none is named.
    package var journalUnits: [String]?

    package init(path: String, format: Format = .lines) {
        self.path = path
        self.format = format
    }

    package static let journalProgram = "/usr/bin/journalctl"
    package static let maximumUnits = 64

    /// The journal of this machine, as `program` (`journalctl`) exports it.
    package init(journalOf units: [String], program: String = LogSource.journalProgram) {
        self.init(path: program, format: .journalExport)
        journalUnits = units.sorted()
    }

    /// Whether `name` can be the name of a unit, or a pattern of some: it becomes an argument of a program.
    package static func isWellFormed(unit name: String) -> Bool {
        (1...256).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                // : _ . \ @ - * ?
                case 0x3A, 0x5F, 0x2E, 0x5C, 0x40, 0x2D, 0x2A, 0x3F: true
                default: false
                }
            } && name.utf8.first != 0x2D
    }

    /// What the source is called in segments and in the ledger. That of a journal does not depend on the program.
    package var id: String {
        if let journalUnits { return (["journal"] + journalUnits).joined(separator: " ") }
        return format == .lines ? path : "\(format.rawValue) \(path)"
    }

    /// The directory and the last name; of `/` alone the name is empty.
    package var parts: (folder: String, name: String) {
        let bytes = Array(path.utf8)
        let slash = bytes.lastIndex(of: 0x2F) ?? 0
        let folder = slash == 0 ? "/" : String(decoding: bytes[..<slash], as: UTF8.self)
        return (folder, String(decoding: bytes.dropFirst(slash + 1), as: UTF8.self))
    }

    package var isPattern: Bool { parts.name.utf8.contains { $0 == 0x2A || $0 == 0x3F } }

    /// Whether only the last name holds marks of a pattern, which is all that is followed.
    package var isWellFormed: Bool { !parts.folder.utf8.contains { $0 == 0x2A || $0 == 0x3F } && path != "/" }
}

/// Names of files as patterns match them: `*` any bytes, `?` one. Takes time in proportion to both lengths together
/// times the stars.
package enum LogName {
    package static func matches(_ name: [UInt8], _ pattern: [UInt8]) -> Bool {
        var at = 0
        var mark = 0
        var star: (pattern: Int, name: Int)?
        while at < name.count {
            if mark < pattern.count, pattern[mark] == 0x2A {
                star = (mark, at)
                mark += 1
            } else if mark < pattern.count, pattern[mark] == 0x3F || pattern[mark] == name[at] {
                mark += 1
                at += 1
            } else if let last = star {
                mark = last.pattern + 1
                at = last.name + 1
                star = (last.pattern, at)
            } else {
                return false
            }
        }
        return pattern[mark...].allSatisfy { $0 == 0x2A }
    }

    /// Whether a rotation compressed the file: its bytes are no log lines any more.
    package static func isCompressed(_ name: [UInt8]) -> Bool {
        [".gz", ".xz", ".zst", ".bz2", ".lz4", ".Z"].contains { name.count > $0.utf8.count && ends(name, with: $0) }
    }

    /// Whether it is of a kind that can be read all the same.
    package static func isExpandable(_ name: [UInt8]) -> Bool {
        [".gz", ".xz", ".zst"].contains { name.count > $0.utf8.count && ends(name, with: $0) }
    }

    private static func ends(_ name: [UInt8], with suffix: String) -> Bool {
        name.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }
}
