package import Domain

/// Who did something.
package enum AuditActor: Sendable, Hashable {
    /// A user of this machine, as the kernel or the caller's credentials tell.
    case user(id: UInt32, name: String)
    /// The holder of a key.
    case key(Digest)
    /// Qala itself.
    case service(String)

    /// Bytes of a name as it is written.
    static let nameBytes = 256

    var fits: Bool {
        switch self {
        case .user(_, let name), .service(let name): AuditText.encodedCount(name) <= Self.nameBytes
        case .key: true
        }
    }

    package var text: String {
        switch self {
        case .user(let id, let name): "user:\(id)/\(name)"
        case .key(let key): "key:\(key.hex)"
        case .service(let name): "service:\(name)"
        }
    }

    /// Nil for any text that ``text`` does not make.
    package init?(_ text: String) {
        // Byte by byte: a name may begin with a combining mark, which would hide the character before it.
        let bytes = text.utf8
        if bytes.starts(with: "user:".utf8) {
            let rest = bytes.dropFirst(5)
            guard let slash = rest.firstIndex(of: 0x2F), let id = UInt32(Substring(rest[..<slash])),
                String(id).utf8.elementsEqual(rest[..<slash])
            else { return nil }
            self = .user(id: id, name: String(Substring(rest[slash...].dropFirst())))
        } else if bytes.starts(with: "key:".utf8) {
            let digits = Substring(bytes.dropFirst(4))
            guard let key = Digest(hex: digits), key.hex.utf8.elementsEqual(digits.utf8) else { return nil }
            self = .key(key)
        } else if bytes.starts(with: "service:".utf8) {
            self = .service(String(Substring(bytes.dropFirst(8))))
        } else {
            return nil
        }
    }
}

/// How an act ended, or that it began.
package enum AuditOutcome: String, Sendable, CaseIterable {
    case begun, done, partial, failed, denied, interrupted
}

/// One named detail of an act.
package struct AuditDetail: Sendable, Hashable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// What is to be recorded: all of an entry but its number and time.
package struct AuditAct: Sendable, Hashable {
    package var actor: AuditActor
    /// Lower-case words joined by dots, the noun first: `archive.read`.
    package var operation: String
    /// What it was done to.
    package var subject: String
    package var outcome: AuditOutcome
    package var details: [AuditDetail]
    /// The id of the run; empty when there is none.
    package var run: String

    package init(
        _ actor: AuditActor, _ operation: String, subject: String, outcome: AuditOutcome = .done,
        details: [AuditDetail] = [], run: String = ""
    ) {
        self.actor = actor
        self.operation = operation
        self.subject = subject
        self.outcome = outcome
        self.details = details
        self.run = run
    }
}

/// One line of the audit log (`docs/audit.md` §2).
package struct AuditEntry: Sendable, Hashable {
    /// Bytes of a line with its LF.
    package static let maximumBytes = 1 << 16
    /// Numbers and sizes of logs stay below; what is larger is malformed.
    package static let limit: UInt64 = 1 << 48
    static let maximumDetails = 16
    /// Bytes of texts as they are written.
    static let subjectBytes = 8192
    static let detailBytes = 2048
    static let runBytes = 128
    static let viaBytes = 256

    package var number: UInt64
    /// By the host's clock, to the millisecond.
    package var time: Timestamp
    package var act: AuditAct
    /// Empty, or the line of the spool that this entry was imported from.
    package var via: String

    /// Shortens texts that are too long; fails with `invalidInput` on words that no entry can have.
    package init(number: UInt64, time: Timestamp, act: AuditAct, via: String = "") throws(VaultError) {
        var act = act
        act.subject = AuditText.fitted(act.subject, to: Self.subjectBytes)
        act.details = act.details.map { AuditDetail($0.name, AuditText.fitted($0.value, to: Self.detailBytes)) }
        switch act.actor {
        case .user(let id, let name): act.actor = .user(id: id, name: AuditText.fitted(name, to: AuditActor.nameBytes))
        case .service(let name): act.actor = .service(AuditText.fitted(name, to: AuditActor.nameBytes))
        case .key: break
        }
        guard let time = AuditTime.rounded(time) else {
            throw VaultError(
                .invalidInput, "the clock shows a time that no audit entry can hold", hint: "Set the host's clock.")
        }
        self.init(unchecked: number, time, act, via)
        guard isValid else {
            throw VaultError(.invalidInput, "the audit entry \"\(act.operation)\" has a word that none may have")
        }
    }

    private init(unchecked number: UInt64, _ time: Timestamp, _ act: AuditAct, _ via: String) {
        self.number = number
        self.time = time
        self.act = act
        self.via = via
    }

    private var isValid: Bool {
        let words = [act.operation] + act.details.map(\.name)
        return number < Self.limit && act.details.count <= Self.maximumDetails
            && Set(act.details.map(\.name)).count == act.details.count
            && words.allSatisfy { (1...64).contains($0.utf8.count) && $0.utf8.allSatisfy(AuditText.isWord) }
            && act.run.utf8.count <= Self.runBytes && act.run.utf8.allSatisfy(AuditText.isRun)
            && via.utf8.count <= Self.viaBytes && via.utf8.allSatisfy(AuditText.isVia)
    }

    /// The line without its LF.
    package var line: [UInt8] {
        var out = AuditWriter()
        out.raw("{\"number\":\(number)")
        out.member("time", AuditTime.text(time))
        out.member("actor", act.actor.text)
        out.member("operation", act.operation)
        out.member("subject", act.subject)
        out.member("outcome", act.outcome.rawValue)
        out.raw(",\"details\":{")
        for (at, detail) in act.details.enumerated() {
            if at > 0 { out.raw(",") }
            out.text(detail.name)
            out.raw(":")
            out.text(detail.value)
        }
        out.raw("}")
        out.member("run", act.run)
        out.member("via", via)
        out.raw("}")
        return out.bytes
    }

    /// Parses a line without its LF; nil for every line but the one encoding of an entry.
    package init?(line: [UInt8]) {
        guard line.count < Self.maximumBytes else { return nil }
        var reader = AuditScanner(line)
        guard reader.skip("{\"number\":"), let number = reader.number(), number < Self.limit,
            reader.skip(",\"time\":"), let time = reader.text(upTo: 24), let stamp = AuditTime.parse(time),
            reader.skip(",\"actor\":"), let actorText = reader.text(), let actor = AuditActor(actorText),
            actor.fits, reader.skip(",\"operation\":"), let operation = reader.word(1, 64, AuditText.isWord),
            reader.skip(",\"subject\":"), let subject = reader.text(upTo: Self.subjectBytes),
            reader.skip(",\"outcome\":"), let outcomeText = reader.word(1, 64, AuditText.isWord),
            let outcome = AuditOutcome(rawValue: outcomeText), reader.skip(",\"details\":{"),
            let details = Self.details(&reader), reader.skip(",\"run\":"),
            let run = reader.word(0, Self.runBytes, AuditText.isRun), reader.skip(",\"via\":"),
            let via = reader.word(0, Self.viaBytes, AuditText.isVia), reader.skip("}"), reader.isAtEnd
        else { return nil }
        let act = AuditAct(actor, operation, subject: subject, outcome: outcome, details: details, run: run)
        self.init(unchecked: number, stamp, act, via)
    }

    private static func details(_ reader: inout AuditScanner) -> [AuditDetail]? {
        var details: [AuditDetail] = []
        if reader.skip("}") { return details }
        repeat {
            guard details.count < maximumDetails, let name = reader.word(1, 64, AuditText.isWord), reader.skip(":"),
                let value = reader.text(upTo: detailBytes), !details.contains(where: { $0.name == name })
            else { return nil }
            details.append(AuditDetail(name, value))
        } while reader.skip(",")
        return reader.skip("}") ? details : nil
    }
}

/// RFC 3339 times in UTC with three digits of fraction.
package enum AuditTime {
    /// To the millisecond; nil outside the years 0 to 9999.
    static func rounded(_ time: Timestamp) -> Timestamp? {
        // The first second of the year 0 and of the year 10000.
        guard time.seconds >= -62_167_219_200, time.seconds < 253_402_300_800, time.nanoseconds < 1_000_000_000 else {
            return nil
        }
        return Timestamp(seconds: time.seconds, nanoseconds: time.nanoseconds / 1_000_000 * 1_000_000)
    }

    package static func text(_ time: Timestamp) -> String {
        let day = (time.seconds - (time.seconds < 0 ? 86399 : 0)) / 86400
        let second = time.seconds - day * 86400
        let (year, month, date) = civil(day)
        return "\(pad(year, 4))-\(pad(month, 2))-\(pad(date, 2))T\(pad(second / 3600, 2)):\(pad(second / 60 % 60, 2))"
            + ":\(pad(second % 60, 2)).\(pad(Int64(time.nanoseconds) / 1_000_000, 3))Z"
    }

    package static func parse(_ text: String) -> Timestamp? {
        let bytes = Array(text.utf8)
        guard bytes.count == 24, bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[10] == 0x54, bytes[13] == 0x3A,
            bytes[16] == 0x3A, bytes[19] == 0x2E, bytes[23] == 0x5A, let year = digits(bytes, 0, 4),
            let month = digits(bytes, 5, 2), let date = digits(bytes, 8, 2), let hour = digits(bytes, 11, 2),
            let minute = digits(bytes, 14, 2), let second = digits(bytes, 17, 2), let fraction = digits(bytes, 20, 3)
        else { return nil }
        guard (1...12).contains(month), date >= 1, hour < 24, minute < 60, second < 60 else { return nil }
        let day = dayNumber(year, month, date)
        guard civil(day) == (year, month, date) else { return nil }
        return Timestamp(
            seconds: day * 86400 + hour * 3600 + minute * 60 + second,
            nanoseconds: UInt32(fraction) * 1_000_000)
    }

    private static func digits(_ bytes: [UInt8], _ start: Int, _ count: Int) -> Int64? {
        var value: Int64 = 0
        var at = start
        while at < start + count {
            guard bytes[at] >= 0x30, bytes[at] <= 0x39 else { return nil }
            value = value * 10 + Int64(bytes[at] - 0x30)
            at += 1
        }
        return value
    }

    private static func pad(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }

    /// Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March, so that leap days come last.
    private static func dayNumber(_ year: Int64, _ month: Int64, _ date: Int64) -> Int64 {
        let shifted = year - (month <= 2 ? 1 : 0)
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + date - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(_ day: Int64) -> (year: Int64, month: Int64, date: Int64) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let position = (5 * dayOfYear + 2) / 153
        let month = position + (position < 10 ? 3 : -9)
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * position + 2) / 5 + 1)
    }
}
