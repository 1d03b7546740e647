package import Operations

extension ControlPath {
    package static let remark = "/v1/registers/problems/remark"
    package static let audit = "/v1/audit"
    package static func register(_ name: RegisterName) -> String { "/v1/registers/\(name.rawValue)" }
    package static func registerRow(_ name: RegisterName, _ id: String) -> String { register(name) + "/" + encoded(id) }

    /// Rows or entries on a page of what is read from one end to the other.
    package static let longestPage = 10_000

    /// What stands behind a path: those that have a value.
    package static func query(_ items: [(name: String, value: String?)]) -> String {
        let parts = items.compactMap { item in item.value.map { "\(item.name)=\(encoded($0))" } }
        return parts.isEmpty ? "" : "?" + parts.joined(separator: "&")
    }

    /// All bytes but letters, digits and `-._~` as `%XX`.
    private static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.reduce(into: "") { made, byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: made.unicodeScalars.append(.init(byte))
            default: made += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }

    /// What ``encoded`` made of a part of a path, or as it is where nothing could have made it.
    package static func decoded(_ part: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(part.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard digits.utf8.count == 2, digits.allSatisfy(\.isHexDigit), let value = UInt8(digits, radix: 16) else {
                return part
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self) ?? part
    }
}

extension RegisterFilter {
    /// As ``ControlPath/query(_:)`` takes it; ``init(asked:)`` reads it.
    package var query: [(name: String, value: String?)] {
        [("open", openOnly ? "yes" : nil), ("policy", policy), ("kind", kind), ("since", since)]
    }

    /// Nil for a time that is none.
    package init?(asked value: (String) -> String?) {
        self.init()
        openOnly = value("open") == "yes"
        policy = value("policy")
        kind = value("kind")
        guard let text = value("since") else { return }
        guard let instant = Self.instant(text) else { return nil }
        since = instant
    }
}

/// What a person has to say about a problem.
package struct RemarkAsked: Codable, Sendable {
    package var problem: Int
    package var text: String

    package init(problem: Int, text: String) {
        self.problem = problem
        self.text = text
    }
}

package struct RegisterRowReply: Codable, Sendable {
    package var register: RegisterName
    package var row: RegisterRow

    package init(register: RegisterName, row: RegisterRow) {
        self.register = register
        self.row = row
    }
}
