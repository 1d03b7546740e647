/// What a run learnt of one data source beside its bytes, kept in the header of the archive: with it a restore knows what it
/// has before it, and a drill what must be found.
package struct SourceFacts: Codable, Sendable, Equatable {
    /// The result of one query that the policy names, as it was in the state that was archived.
    package struct Witness: Codable, Sendable, Equatable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// A header is part of a record of limited size.
    package static let maximumWitnesses = 64
    package static let maximumFacts = 64
    package static let maximumBytes = 256

    package var kind: String
    package var name: String
    /// Whether all of it is in the archive; what is not whole is never restored as if it were.
    package var isWhole: Bool
    /// By name; texts of at most ``maximumBytes`` bytes.
    package var facts: [String: String] = [:]
    package var witnesses: [Witness]?

    package init(kind: String, name: String, isWhole: Bool = false) {
        self.kind = kind
        self.name = name
        self.isWhole = isWhole
    }

    /// The same within the limits; what is beyond them is left out.
    package var bounded: SourceFacts {
        var copy = self
        copy.facts = Dictionary(
            uniqueKeysWithValues: facts.sorted { $0.key < $1.key }.prefix(Self.maximumFacts)
                .map { (Self.cut($0.key), Self.cut($0.value)) }.filter { !$0.0.isEmpty }
        )
        copy.witnesses = witnesses.map {
            $0.prefix(Self.maximumWitnesses).map { Witness(name: Self.cut($0.name), value: Self.cut($0.value)) }
        }
        return copy
    }

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > maximumBytes else { return text }
        return String(decoding: text.utf8.prefix(maximumBytes), as: UTF8.self)
    }
}

/// A question to a database server whose answer is kept with the archive and compared when the archive is tried.
package struct WitnessQuery: Sendable, Equatable {
    package var name: String
    /// The first field of its first row is the answer.
    package var query: String
    /// Nil for none.
    package var database: String?

    package init(name: String, query: String, database: String? = nil) {
        self.name = name
        self.query = query
        self.database = database
    }
}
