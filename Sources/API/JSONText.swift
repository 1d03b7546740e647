import FoundationEssentials

/// JSON as the command and the server write it: keys sorted, slashes plain, UTF-8, one value on one line.
package enum JSONText {
    package static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }
}
