package import Domain

// A policy for what was found on a host, for a person to complete.
//
// 1. Whatever the names of the host hold, the document is YAML that the reader takes, and each path reads back as it was.
// 2. What only a person can decide is `FILL-IN`, which the check refuses: a draft never comes into force unread.
// 3. No password, and nothing that was read from a database, stands in it.

package enum PolicyDraft {
    /// What a person replaces.
    package static let mark = "FILL-IN"
    /// So many sources of one draft; the others are counted.
    static let sourceLimit = 500
    private static let byteLimit = 768 << 10
    private static let shownDatabases = 8
    private static let nameBytes = 40

    /// A document for `sources`, which is empty where nothing was found.
    package static func text(for sources: [FoundSource]) -> String {
        guard !sources.isEmpty else { return "" }
        var lines: [String] = []
        var names: Set<String> = []
        var (bytes, left) = (0, 0)
        for source in sources {
            guard bytes <= byteLimit, names.count < sourceLimit else {
                left += 1
                continue
            }
            let item = item(source, &names)
            bytes += item.reduce(0) { $0 + $1.utf8.count + 1 }
            lines += item
        }
        if left > 0 {
            lines.append("  # and \(left) more: run `qala source discover --draft` again when these are planned")
        }
        let isDatabase = sources.contains { $0.kind != .git }
        return head(isDatabase ? .database : .software) + lines.joined(separator: "\n") + "\n" + tail
    }

    private static func head(_ component: Component) -> String {
        """
        # Drafted by `qala source discover --draft` from what no policy archives yet. Replace every \(mark), check the rest,
        # and put the file into the folder of policies; `qala policy validate FOLDER` lists what is still missing.
        # Heç bir siyasətdə nəzərdə tutulmayan mənbələrdən tərtib edilib. Hər \(mark) yerini doldurun, qalanını yoxlayın.
        policy: found
        component: \(component.rawValue)

        responsible:
          person: \(mark)
        deputy:
          person: \(mark)
        legal-basis: \(mark)
        confidentiality: confidential

        sources:

        """
    }

    /// Examples, as in the policies that are shipped.
    private static let tail = """

        schedule:
          calendar: "*-*-* 01:30:00"
          zone: Asia/Baku
          jitter: 10 minutes
          catch-up: latest
        rpo: 25 hours
        rto: 4 hours

        copies:
          - site: primary
            role: vault
          - site: standby
            role: mirror
            lag: 1 hour
          - site: shelf
            role: volume
            count: 1

        tiers:
          active:
            format: as its server or application keeps it
            period: forever
          online:
            format: Qala vault, format 1
            period: 3 years
            on: commit
          offline:
            format: tar, compressed with zstd, encrypted with AES-256; opens with tar, zstd and openssl alone
            period: 10 years
            after: 30 days

        retention:
          keep-for: \(mark)

        verification:
          stored: 7 days
          content: 30 days
          drill: 6 months
        recovery-plan: recovery

        """

    // MARK: Sources

    private static func item(_ source: FoundSource, _ names: inout Set<String>) -> [String] {
        guard source.isNameable else {
            return [
                "  # \(comment(source.place)): no policy can name it; it needs a name in UTF-8 without control characters"
            ]
        }
        let name = name(of: source, &names)
        var lines = note(source).map { "  # " + comment($0) }
        lines.append("  - \(source.kind.rawValue): \(quoted(name))")
        func add(_ key: String, _ value: String) { lines.append("    \(key): \(value)") }
        switch source.kind {
        case .postgresql:
            if source.isKnownBySocket {
                add("mode", "remote")
            } else {
                add("data-directory", quoted(source.place))
            }
            if let socket = source.socket { add("socket", quoted(socket)) }
            if let port = source.port { add("port", "\(port)") }
            if let config = source.config { add("config", quoted(config)) }
        case .mariadb: add("socket", source.socket.map(quoted) ?? mark)
        case .sqlite: add("path", quoted(source.place))
        case .git: add("repository", quoted(source.place))
        case .command, .wal, .mariadbLogs: break
        }
        return lines
    }

    private static func note(_ source: FoundSource) -> [String] {
        var words: [String] = []
        switch source.kind {
        case .postgresql: words.append("PostgreSQL \(source.version ?? "")")
        case .mariadb: words.append("MariaDB \(source.version ?? "")")
        default: break
        }
        if let bytes = source.bytes { words.append(Readable.size(Int(clamping: bytes))) }
        if let databases = source.databases {
            let shown = databases.prefix(shownDatabases).map(\.name)
            let more = databases.count > shown.count ? ["…"] : []
            words.append((shown + more).joined(separator: ", "))
        }
        var lines = words.isEmpty ? [] : [words.joined(separator: "; ")]
        switch source.kind {
        case .postgresql:
            lines.append("user: is postgres unless it is said here; docs/postgresql.md lists the rights that it needs.")
            if source.isRunning != true { lines.append("It did not run; a run needs the server.") }
        case .mariadb:
            lines.append(
                "user: is the account of the daemon; docs/mariadb.md lists the rights, and where a password may stand.")
            if source.isRunning != true { lines.append("It did not run (\(source.place)); a run needs the server.") }
        case .git: lines.append("Source code may belong to a policy of the component software.")
        default: break
        }
        return lines
    }

    /// Well formed, and no other source has it.
    private static func name(of source: FoundSource, _ names: inout Set<String>) -> String {
        let parts = source.place.split(separator: "/").map(String.init)
        let text: String
        switch source.kind {
        case .postgresql where source.isKnownBySocket: text = "cluster-\(source.port ?? 0)"
        case .postgresql: text = parts.suffix(2).joined(separator: "-")
        case .mariadb: text = source.place == MariaDBSource.usualDataDirectory ? "main" : parts.last ?? ""
        default:
            let last = parts.last ?? ""
            text = last.lastIndex(of: ".").map { String(last[..<$0]) } ?? last
        }
        let plain = text.unicodeScalars.map { scalar -> Character in
            Policy.isWellFormed(name: "a\(scalar)") ? Character(scalar) : "-"
        }
        let base = String(String(plain).drop { !Policy.isWellFormed(name: String($0)) }.prefix(nameBytes))
        let first = base.isEmpty ? source.kind.rawValue : base
        var (name, number) = (first, 1)
        while !names.insert(name).inserted {
            number += 1
            name = "\(first)-\(number)"
        }
        return name
    }

    // MARK: YAML

    /// A double-quoted scalar. Marks of YAML are escaped too: their number in a document is bounded.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\" + String(scalar)
            case _ where scalar.value < 0x80 && !isMark(scalar) && scalar.value >= 0x20 && scalar.value != 0x7F:
                quoted.unicodeScalars.append(scalar)
            case _ where scalar.value < 0x100: quoted += "\\x" + digits(scalar.value, 2)
            case _ where isHidden(scalar):
                quoted += scalar.value < 0x1_0000 ? "\\u" + digits(scalar.value, 4) : "\\U" + digits(scalar.value, 8)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool { ["*", "&", "[", "]", "{", "}"].contains(scalar) }

    /// What separates lines, reorders text or is not shown.
    private static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xE000...0xF8FF, 0xFEFF, 0xFFF0...0xFFFF,
            0xE0000...0x10FFFF:
            true
        default: false
        }
    }

    private static func digits(_ value: UInt32, _ count: Int) -> String {
        let text = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }

    /// One line, whatever the text holds.
    private static func comment(_ text: String) -> String {
        var shown = ""
        for scalar in text.unicodeScalars {
            let isPlain = scalar.value >= 0x20 && !(0x7F...0xA0).contains(scalar.value)
            shown.unicodeScalars.append(isPlain && !isMark(scalar) && !isHidden(scalar) ? scalar : "?")
        }
        return shown
    }
}
