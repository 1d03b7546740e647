// The persons of an institution as policies name them.
//
// 1. A person of the register has an id by which policies refer to them; no two share an id, an account or a key, so
//    that nobody can count as two persons where two are demanded.
// 2. Days of validity are inclusive on both ends and calendar days of the institution: whoever asks brings the day.

/// A day of the Gregorian calendar, without a time of day and without a time zone.
package struct CivilDay: Hashable, Sendable {
    /// 1 to 9999.
    package let year: Int
    package let month: Int
    package let day: Int

    /// Nil for a day that the calendar does not have.
    package init?(year: Int, month: Int, day: Int) {
        guard (1...9999).contains(year), (1...12).contains(month), day >= 1 else { return nil }
        guard day <= UTCDate.days(inMonth: Int64(month), of: Int64(year)) else { return nil }
        self.year = year
        self.month = month
        self.day = day
    }

    /// Exactly `YYYY-MM-DD`.
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count == 10, bytes[4] == 0x2D, bytes[7] == 0x2D else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            bytes[range].reduce(0) { sum, byte in
                guard let sum, (0x30...0x39).contains(byte) else { return nil }
                return sum * 10 + Int(byte - 0x30)
            }
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10) else { return nil }
        self.init(year: year, month: month, day: day)
    }

    /// The day in UTC at an instant; instants beyond the years 1 to 9999 count as the nearest day of them.
    package init(secondsSince1970 seconds: Int64) {
        let date = UTCDate(min(max(seconds, -62_135_596_800), 253_402_300_799))
        year = Int(date.year)
        month = Int(date.month)
        day = Int(date.day)
    }
}

extension CivilDay: Comparable {
    package static func < (a: CivilDay, b: CivilDay) -> Bool {
        (a.year, a.month, a.day) < (b.year, b.month, b.day)
    }
}

extension CivilDay: CustomStringConvertible, Codable {
    package var description: String {
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: width - digits.count) + digits
        }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let day = CivilDay(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a day YYYY-MM-DD: \(text)")
        }
        self = day
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The days on which something holds, both ends included; an absent end is open.
package struct Validity: Sendable, Equatable, Codable {
    package var from: CivilDay?
    package var until: CivilDay?

    package static let always = Validity()

    package init(from: CivilDay? = nil, until: CivilDay? = nil) {
        self.from = from
        self.until = until
    }

    /// Whether there is any day on which it holds.
    package var isPossible: Bool {
        guard let from, let until else { return true }
        return from <= until
    }

    package func covers(_ day: CivilDay) -> Bool {
        if let from, day < from { return false }
        if let until, until < day { return false }
        return true
    }

    /// The days that both cover; it may be an impossible validity.
    package func intersected(with other: Validity) -> Validity {
        let from = [from, other.from].compactMap(\.self).max()
        return Validity(from: from, until: [until, other.until].compactMap(\.self).min())
    }
}

/// The public half of an Ed25519 key that signs a person's approvals.
package struct ApprovalKey: Hashable, Sendable, Codable {
    package static let byteCount = 32

    package let bytes: [UInt8]

    /// Nil unless these are 64 hexadecimal digits, not all zero: an encoding that no signing key has.
    package init?(hex: some StringProtocol) {
        guard let bytes = Hex.decode(hex), bytes.count == Self.byteCount, bytes.contains(where: { $0 != 0 }) else {
            return nil
        }
        self.bytes = bytes
    }

    package var hex: String { Hex.encode(bytes) }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let key = ApprovalKey(hex: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a key of 64 hex digits")
        }
        self = key
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hex)
    }
}

/// Somebody a policy names: written out in the policy itself, or taken from the register of persons.
package struct Person: Sendable, Equatable, Codable {
    /// At most this many bytes in a person's id.
    package static let maximumIDBytes = 64

    /// The key in `people.yaml`; nil for a person that a policy writes out.
    package var id: String?
    package var name: String
    package var position: String?
    package var email: String?
    package var phone: String?
    /// The account on this host by which the daemon knows the person.
    package var uid: UInt32?
    package var publicKey: ApprovalKey?
    /// When this person may act; nil without limits.
    package var validity: Validity?

    package init(
        id: String? = nil, name: String, position: String? = nil, email: String? = nil, phone: String? = nil,
        uid: UInt32? = nil, publicKey: ApprovalKey? = nil, validity: Validity? = nil
    ) {
        self.id = id
        self.name = name
        self.position = position
        self.email = email
        self.phone = phone
        self.uid = uid
        self.publicKey = publicKey
        self.validity = validity
    }

    private enum CodingKeys: String, CodingKey {
        case id, name, position, email, phone, uid, validity
        case publicKey = "public-key"
    }

    /// Whether both are the same human being as far as a policy can tell: by id where both have one, else by name.
    package func isSame(as other: Person) -> Bool {
        if let id, let otherID = other.id { return id == otherID }
        return name == other.name
    }
}

/// The register of persons, `people.yaml`.
package struct People: Sendable, Equatable {
    /// In the order of their ids; ids, accounts and keys are unique.
    package let persons: [Person]

    package static let none = People(unchecked: [])

    private init(unchecked persons: [Person]) { self.persons = persons }

    /// Two persons of the register that share what only one may have.
    package enum Clash: Sendable, Equatable {
        case id(String)
        case uid(UInt32)
        case publicKey
    }

    /// Nil and a clash per pair when persons share an id, account or key; a person without an id clashes as "".
    package static func make(_ persons: [Person]) -> (
        people: People?, clashes: [(first: Int, second: Int, what: Clash)]
    ) {
        var clashes: [(first: Int, second: Int, what: Clash)] = []
        var ids: [String: Int] = [:]
        var accounts: [UInt32: Int] = [:]
        var keys: [ApprovalKey: Int] = [:]
        for (at, person) in persons.enumerated() {
            let id = person.id ?? ""
            if let first = ids.updateValue(at, forKey: id) { clashes.append((first, at, .id(id))) }
            if let uid = person.uid, let first = accounts.updateValue(at, forKey: uid) {
                clashes.append((first, at, .uid(uid)))
            }
            if let key = person.publicKey, let first = keys.updateValue(at, forKey: key) {
                clashes.append((first, at, .publicKey))
            }
        }
        guard clashes.isEmpty else { return (nil, clashes) }
        return (People(unchecked: persons.sorted { ($0.id ?? "") < ($1.id ?? "") }), [])
    }

    package subscript(id: String) -> Person? { persons.first { $0.id == id } }

    package func person(uid: UInt32) -> Person? { persons.first { $0.uid == uid } }
}
