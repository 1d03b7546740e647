package import Domain
import FoundationEssentials

/// What an archive tells about itself, sealed in its commit record.
package struct ArchiveHeader: Codable, Sendable, Equatable {
    package var policy: String?
    package var component: String?
    package var host: String?
    package var roots: [String] = []
    package var excludes: [String]?
    package var responsible: String?
    package var confidentiality: String?
    /// RFC 3339, UTC.
    package var started = ""
    package var finished = ""
    package var files = 0
    package var directories = 0
    package var others = 0
    package var bytes = 0
    /// Sealed bytes that the run added to the vault.
    package var added = 0
    package var problems = 0
    package var changed = 0
    package var partial = false
    /// Id of the archive whose tree this run was merged with.
    package var parent: String?
    /// Of the data sources, in the order of their roots.
    package var sources: [SourceFacts]?

    package init() {}

    func encode() throws(VaultError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else {
            throw VaultError(.invalidInput, "the header of the archive could not be encoded")
        }
        return [UInt8](data)
    }

    init(decoding json: [UInt8]) throws(VaultError) {
        guard let header = try? JSONDecoder().decode(ArchiveHeader.self, from: Data(json)) else {
            throw .damaged("the header of an archive is malformed")
        }
        self = header
    }
}
