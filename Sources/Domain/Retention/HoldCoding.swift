// The stored form of what a hold covers: `"everything"`, or an object with the criteria that are given, archives as
// sorted hexadecimal digests. An unknown key is an error: a criterion that is not understood must not be ignored.

extension HoldSelector: Codable {
    private static let everythingWord = "everything"

    package init(from decoder: any Decoder) throws {
        if let container = try? decoder.singleValueContainer(), let word = try? container.decode(String.self) {
            guard word == Self.everythingWord else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "unknown selector \(word)")
            }
            self = .everything
        } else {
            self = .matching(try HoldCriteria(from: decoder))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        switch self {
        case .everything:
            var container = encoder.singleValueContainer()
            try container.encode(Self.everythingWord)
        case .matching(let criteria): try criteria.encode(to: encoder)
        }
    }
}

extension HoldCriteria: Codable {
    private struct Key: CodingKey {
        static let policy = Key("policy")
        static let component = Key("component")
        static let pathPrefix = Key("path-prefix")
        static let from = Key("from")
        static let until = Key("until")
        static let archives = Key("archives")
        static let all = [policy, component, pathPrefix, from, until, archives]

        let stringValue: String
        var intValue: Int? { nil }

        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        for key in container.allKeys where !Key.all.contains(where: { $0.stringValue == key.stringValue }) {
            throw DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: "unknown criterion")
        }
        policy = try container.decodeIfPresent(String.self, forKey: .policy)
        component = try container.decodeIfPresent(Component.self, forKey: .component)
        pathPrefix = try container.decodeIfPresent(String.self, forKey: .pathPrefix)
        from = try container.decodeIfPresent(Int64.self, forKey: .from)
        until = try container.decodeIfPresent(Int64.self, forKey: .until)
        archives = try container.decodeIfPresent([String].self, forKey: .archives).map { texts in
            try Set(
                texts.map { text in
                    guard let digest = Digest(hex: text) else {
                        throw DecodingError.dataCorruptedError(
                            forKey: .archives, in: container, debugDescription: "not a digest: \(text)")
                    }
                    return digest
                })
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encodeIfPresent(policy, forKey: .policy)
        try container.encodeIfPresent(component, forKey: .component)
        try container.encodeIfPresent(pathPrefix, forKey: .pathPrefix)
        try container.encodeIfPresent(from, forKey: .from)
        try container.encodeIfPresent(until, forKey: .until)
        try container.encodeIfPresent(archives?.sorted().map(\.hex), forKey: .archives)
    }
}
