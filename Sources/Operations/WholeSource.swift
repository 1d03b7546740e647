import Domain
import Vault

extension ArchiveHeader {
    /// What the archive knows of a data source that is restored as one; refused unless all of it is there.
    func wholeSource(_ kind: DataSource.Kind, _ name: String, of archive: ArchiveRecord) throws -> SourceFacts {
        let known = (sources ?? []).filter { $0.kind == kind.rawValue }
        let short = archive.id.hex.prefix(12)
        guard let facts = known.first(where: { $0.name == name }) else {
            let names = known.map(\.name).joined(separator: ", ")
            throw OperationError(
                .notFound, "archive \(short) holds no source `\(kind.rawValue): \(name)`",
                hint: names.isEmpty ? "`qala archives` lists the archives." : "It holds \(names).")
        }
        guard facts.isWhole else {
            throw OperationError(
                .failed, "`\(kind.rawValue): \(name)` is not whole in archive \(short)",
                hint: "Take an archive before it. Single files of it can be restored by their paths.")
        }
        return facts
    }
}
