import Domain
import FoundationEssentials
import Glibc
import Vault

/// Brings a notice to a channel, through `curl` or a program of the institution.
///
/// Addresses, passwords and tokens go to `curl` by its standard input, never in arguments or the environment. It follows no
/// redirection, speaks no protocol but the one that is meant, and has ``timeout`` seconds.
struct AlarmDelivery {
    static let curl = "/usr/bin/curl"
    static let timeout = 60.0
    /// Bytes of a file that holds a password, a token or an address.
    private static let wordLimit = 4096

    /// A notice as a channel gets it.
    struct Message: Codable, Sendable, Equatable {
        var notice: AlarmNotice
        var title: String
        var body: String
        var host: String
    }

    /// What a webhook gets.
    private struct Hook: Encodable {
        var event: String
        var kind: String
        var level: String
        var subject: String
        var title: String
        var text: String
        var host: String
        var since: String
        var time: String
        var count: Int
    }

    /// Nil when the channel has it; else why not, for people. `interrupt` ends it at once.
    static func deliver(_ message: Message, to channel: AlarmChannel, interrupt: InterruptFlag) -> String? {
        run(interrupt) {
            switch channel.means {
            case .command(let words): return command(words, message)
            case .email(let server, let from, let to, let user, let password):
                return try mail(message, server, from, to, user, password)
            case .webhook(let url, let token):
                return try post(try json(message), "application/json", [], url, token)
            case .ntfy(let url, let token):
                let headers = [
                    "Title: \(headerText(message.title))", "Priority: \(priority(message.notice))", "Tags: qala",
                ]
                return try post(fitting(Array(message.body.utf8)), "text/plain; charset=utf-8", headers, url, token)
            }
        }
    }

    /// Tells the monitor elsewhere that the daemon lives.
    static func ping(_ deadMan: DeadMan, interrupt: InterruptFlag) -> String? {
        run(interrupt) {
            let url = try address(deadMan.url)
            return curl(common(for: url) + [option("url", url), option("output", "/dev/null")], body: [])
        }
    }

    private static func run(_ interrupt: InterruptFlag, _ program: () throws -> Program) -> String? {
        do { return try program().run { interrupt.isSet } } catch { return Daemon.words(error) }
    }

    private static func command(_ words: [String], _ message: Message) -> Program {
        let notice = message.notice
        return Program(
            command: words,
            environment: [
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "QALA_ALARM=\(notice.alarm.kind.rawValue)",
                "QALA_ALARM_LEVEL=\(notice.alarm.kind.level.rawValue)", "QALA_ALARM_EVENT=\(notice.event.rawValue)",
            ], input: fitting(Array(message.body.utf8)), timeout: timeout, timeoutText: "\(Int(timeout)) s")
    }

    private static func mail(
        _ message: Message, _ server: String, _ from: String, _ to: [String], _ user: String?, _ password: String?
    ) throws -> Program {
        var options = common(for: server)
        options += [option("url", server), option("mail-from", "<\(from)>"), option("upload-file", "/dev/fd/3")]
        options += to.map { option("mail-rcpt", "<\($0)>") }
        if server.hasPrefix("smtp://"), !AlarmChannel.isLocal(server.dropFirst(7)) { options.append("ssl-reqd") }
        if let user, let password {
            options.append(option("user", "\(user):\(try word(in: password))"))
        }
        let id = "\(message.notice.time).\(Random.digest().hex.prefix(16))@\(from.split(separator: "@").last ?? "qala")"
        let text = """
            From: Qala <\(from)>
            To: \(to.map { "<\($0)>" }.joined(separator: ", "))
            Subject: =?UTF-8?B?\(Data(message.title.utf8.prefix(180)).base64EncodedString())?=
            Date: \(MailDate.text(message.notice.time))
            Message-ID: <\(id)>
            MIME-Version: 1.0
            Content-Type: text/plain; charset=utf-8
            Content-Transfer-Encoding: base64
            Auto-Submitted: auto-generated


            """
        let encoded = Data(fitting(Array(message.body.utf8))).base64EncodedString(options: [
            .lineLength76Characters, .endLineWithCarriageReturn, .endLineWithLineFeed,
        ])
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n")
        return curl(options, body: Array((lines + encoded + "\r\n").utf8))
    }

    private static func json(_ message: Message) throws -> [UInt8] {
        let notice = message.notice
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(
            try encoder.encode(
                Hook(
                    event: notice.event.rawValue, kind: notice.alarm.kind.rawValue,
                    level: notice.alarm.kind.level.rawValue, subject: notice.alarm.subject, title: message.title,
                    // Escaped it may be six times as long.
                    text: String(decoding: fitting(Array(message.body.utf8), 8000), as: UTF8.self), host: message.host,
                    since: TimeText.seconds(notice.since), time: TimeText.seconds(notice.time), count: notice.count)))
    }

    private static func post(
        _ body: [UInt8], _ type: String, _ headers: [String], _ url: AlarmChannel.Word, _ token: String?
    ) throws -> Program {
        let url = try address(url)
        var options = common(for: url)
        options += [option("url", url), option("data-binary", "@/dev/fd/3"), option("output", "/dev/null")]
        options += (headers + ["Content-Type: \(type)"]).map { option("header", $0) }
        if let token { options.append(option("header", "Authorization: Bearer \(try word(in: token))")) }
        return curl(options, body: body)
    }

    // MARK: curl

    private static func common(for url: String) -> [String] {
        let scheme = url.prefix { $0 != ":" }
        return [
            "silent", "show-error", "fail", "globoff", option("proto", "=\(scheme)"),
            option("max-time", "\(Int(timeout) - 5)"), option("connect-timeout", "15"), option("noproxy", "*"),
            option("user-agent", "qala"),
        ]
    }

    private static func option(_ name: String, _ value: String) -> String {
        var quoted = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": quoted += "\\\\"
            case "\"": quoted += "\\\""
            // One option, one line, whatever a file or a name holds.
            case "\n", "\r", "\0": quoted += " "
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return "\(name) = \"\(quoted)\""
    }

    private static func curl(_ options: [String], body: [UInt8]) -> Program {
        Program(
            command: [curl, "--disable", "--config", "-"], environment: ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"],
            input: Array((options.joined(separator: "\n") + "\n").utf8), secondInput: body, timeout: timeout,
            timeoutText: "\(Int(timeout)) s")
    }

    // MARK: Parts

    private static func address(_ word: AlarmChannel.Word) throws -> String {
        let url: String
        switch word {
        case .plain(let text): url = text
        case .file(let path): url = try self.word(in: path)
        }
        guard AlarmChannel.isSafe(url: url) else {
            throw OperationError(
                .usage, "the address for alarms is not one of `https`",
                hint: "Write an https:// address into the file; http:// goes to this host only.")
        }
        return url
    }

    /// The first line of a file.
    private static func word(in path: String) throws -> String {
        guard let bytes = try StateFile.read(path, limit: wordLimit) else {
            throw OperationError(.notFound, "there is no file \(path)", hint: "Make it, readable for the daemon alone.")
        }
        let text = String(decoding: bytes, as: UTF8.self).prefix { !$0.isNewline }
        guard !text.isEmpty else { throw OperationError(.usage, "\(path) is empty") }
        return String(text)
    }

    /// Cut where a pipe would be full, between characters.
    private static func fitting(_ bytes: [UInt8], _ limit: Int = 30_000) -> [UInt8] {
        guard bytes.count > limit else { return bytes }
        var kept = bytes.prefix(limit)
        while let next = bytes.dropFirst(kept.count).first, next & 0xC0 == 0x80, !kept.isEmpty { kept.removeLast() }
        return Array(kept)
    }

    /// Headers are ASCII: what is not goes in the encoding of mail, which ntfy reads too.
    private static func headerText(_ text: String) -> String {
        if text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) { return text }
        return "=?UTF-8?B?\(Data(text.utf8.prefix(300)).base64EncodedString())?="
    }

    private static func priority(_ notice: AlarmNotice) -> String {
        if notice.event == .cleared { return "2" }
        return switch notice.alarm.kind.level {
        case .notice: "3"
        case .warning: "4"
        case .critical: "5"
        }
    }
}

/// Dates of mail (RFC 5322), in UTC.
enum MailDate {
    static func text(_ seconds: Int64) -> String {
        let day = CivilDay(secondsSince1970: seconds)
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let whole = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        let rest = seconds - whole * 86_400
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let time = "\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60))"
        let name = days[Int((whole % 7 + 7) % 7)]
        return "\(name), \(day.day) \(months[day.month - 1]) \(day.year) \(time) +0000"
    }
}
