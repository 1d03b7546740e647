import Domain
import FoundationEssentials
import Glibc
import Vault

/// What the register says of volumes, and the acts of those who carry them.
package enum Volumes {
    /// Oldest first; those that are due for verification only, or all.
    package static func list(overdue: Bool, at workplace: Workplace) throws -> VolumesReport {
        let register = VolumeRegister(workplace)
        let rows = try register.all().sorted { ($0.created, $0.id) < ($1.created, $1.id) }.map { record in
            VolumeRow(
                volume: record, overdue: VolumeRegister.isOverdue(record), custody: try register.custody(record.id))
        }
        return VolumesReport(volumes: overdue ? rows.filter(\.overdue) : rows)
    }

    /// Somebody takes a volume from its shelf.
    package static func checkOut(_ text: String, to holder: String, at workplace: Workplace) throws -> VolumeRecord {
        let holder = try VolumeWords.checked(holder, "holder")
        return try change(text, at: workplace) { record, _ in
            try VolumeRegister.checkThere(record)
            if let has = record.holder {
                throw OperationError(
                    .failed, "volume \(record.id) is out already: \(has) has it", hint: "Check it in first.")
            }
            record.shelf = nil
            record.holder = holder
            return [("checkedOut", holder)]
        }
    }

    /// A volume comes to a shelf, from somebody or from another shelf. One that was lost is found by that, and is due for
    /// verification at once: until it passed, the loss in its custody log keeps it from counting.
    package static func checkIn(_ text: String, shelf: String, at workplace: Workplace) throws -> VolumeRecord {
        let shelf = try VolumeWords.checked(shelf, "shelf")
        return try change(text, at: workplace) { record, custody in
            if record.gone?.how == .destroyed { try VolumeRegister.checkThere(record) }
            var acts: [(act: String, detail: String)] = []
            if let gone = record.gone {
                record.verifyBy = min(record.verifyBy, VolumeRegister.now())
                // Recorded while the log was damaged, which was brought back from a copy since.
                let isTold = custody.contains { $0.act == gone.how.rawValue && $0.time >= gone.time }
                if !isTold { acts.append((gone.how.rawValue, "\(gone.time) \(gone.reason)")) }
            }
            record.gone = nil
            record.shelf = shelf
            record.holder = nil
            return acts + [(CustodyEvent.checkedIn, shelf)]
        }
    }

    /// The log first: what moved a volume is never unknown.
    private static func change(
        _ text: String, at workplace: Workplace,
        _ body: (inout VolumeRecord, [CustodyEvent]) throws -> [(act: String, detail: String)]
    ) throws -> VolumeRecord {
        let register = VolumeRegister(workplace)
        let found = try register.find(text)
        let lock = try register.lock(found.id)
        defer { withExtendedLifetime(lock) {} }
        var record = try register.record(found.id) ?? found
        for event in try body(&record, try register.custody(record.id)) {
            try register.append(event.act, event.detail, to: record.id)
        }
        try register.save(record)
        return record
    }

    /// The label with what the register knows of the volume, for printing.
    package static func label(_ text: String, at workplace: Workplace) throws -> (record: VolumeRecord, label: String) {
        let record = try VolumeRegister(workplace).find(text)
        let identity = VolumeIdentity(
            format: VolumeIdentity.currentFormat, id: record.id, title: record.title, created: record.created,
            publicKey: record.publicKey, secretCheck: "")
        var more = ["Rəf / Shelf            \(record.shelf ?? record.holder ?? "")"]
        more.append("Növbəti yoxlama /      \(record.verifyBy.prefix(10))")
        more.append("Verify by")
        more.append("Arxivlər / Archives    \(record.archives.count)")
        for holding in record.archives.prefix(20) {
            more.append("  \(holding.archive.prefix(12))  \(holding.time.prefix(10))  \(holding.policy ?? "")")
        }
        let label = try VolumeTexts.label(identity, fingerprint: record.fingerprint, more: more)
        return (record, label)
    }

    /// Every entry of the slices of a volume, at `path` or below it: from the medium where `place` is a directory, else
    /// from the register's copy.
    package static func inventory(
        _ place: String, path: String?, at workplace: Workplace, each: (SliceRow) throws -> Void
    ) throws {
        let prefix = try path.map(StoredPath.parse) ?? []
        var isDirectory = stat()
        let slices: [String]
        if stat(place, &isDirectory) == 0, isDirectory.st_mode & S_IFMT == S_IFDIR {
            let tree = VolumeTree(directory: place)
            _ = try tree.identity()
            slices = try StateFile.list(tree.path(VolumeTree.sliceFolder)).filter { $0.hasSuffix(".jsonl") }
                .map { tree.path("\(VolumeTree.sliceFolder)/\($0)") }
        } else {
            let register = VolumeRegister(workplace)
            let name = place.split(separator: "/").last.map { String($0) } ?? place
            let record = try register.find(name)
            slices = try record.archives.map { try register.slicePath(record.id, $0.archive) }
        }
        for slice in slices {
            try rows(slice) { row, stored in
                if workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
                if PathOrder.isInside(stored, prefix) { try each(row) }
                return true
            }
        }
    }

    /// The rows of one slice until `body` returns false, each with its path as a tree stores it. Lines that are no
    /// candidates are not looked at.
    static func rows(
        _ path: String, where isCandidate: ([UInt8]) -> Bool = { _ in true },
        _ body: (SliceRow, [UInt8]) throws -> Bool
    ) throws {
        guard let descriptor = MediumRead.open(path) else {
            throw OperationError(.notFound, "\(path) cannot be read", hint: "Verify the volume.")
        }
        defer { close(descriptor) }
        let decoder = JSONDecoder()
        do {
            try SliceLines.forEach(descriptor) { line in
                guard isCandidate(line) else { return }
                guard let row = try? decoder.decode(SliceRow.self, from: Data(line)) else {
                    throw OperationError(.damaged, "\(path) is malformed", hint: "Verify the volume.")
                }
                let raw = row.pathBytes.flatMap { Data(base64Encoded: $0) }
                let bytes = raw.map { [UInt8]($0) } ?? Array(row.path.utf8)
                if try !body(row, Array(bytes.dropFirst())) { throw Enough() }
            }
        } catch is Enough {}
    }

    private struct Enough: Error {}

    /// Which volumes must be fetched for an archive, or for some paths of it. The register alone answers: the archive
    /// may long be disposed of in the vault.
    package static func pullList(
        _ archive: String, paths: [String], at workplace: Workplace
    ) throws -> PullReport {
        // An id is found without the vault, which may be what was lost; other names only the vault knows.
        let isID = archive.utf8.count >= 4 && archive.allSatisfy { $0.isASCII && $0.isHexDigit }
        let wanted = isID ? archive.lowercased() : try OpenVault(workplace).archive(archive).id.hex
        let register = VolumeRegister(workplace)
        let all = try register.all().flatMap { record in
            record.archives.filter { $0.archive.hasPrefix(wanted) }.map { (record, $0) }
        }
        let found = all.filter { !$0.0.isGone }
        let ids = Set(found.map { $0.1.archive })
        guard !found.isEmpty else {
            let gone = all.compactMap { one in one.0.gone.map { "\(one.0.id) was \($0.how.rawValue)" } }
            throw OperationError(
                .notFound,
                "no volume holds archive \(archive)" + (gone.isEmpty ? "" : ": " + gone.joined(separator: ", ")),
                hint: "`qala volume list` shows what is on volumes.")
        }
        guard ids.count == 1 else {
            throw OperationError(.notFound, "\(ids.count) archives begin with \(archive)", hint: "Give more digits.")
        }
        let parsed = try paths.map { (text: $0, stored: try StoredPath.parse($0)) }
        var missing = Set(paths)
        var rows: [PullRow] = []
        for (record, holding) in found {
            var here: [String] = []
            if !parsed.isEmpty {
                let slice = try register.slicePath(record.id, holding.archive)
                var open = parsed
                try Self.rows(slice) { _, stored in
                    open.removeAll { path in
                        guard PathOrder.isInside(stored, path.stored) else { return false }
                        here.append(path.text)
                        return true
                    }
                    return !open.isEmpty
                }
                if here.isEmpty { continue }
                missing.subtract(here)
            }
            rows.append(
                PullRow(
                    volume: record.id, title: record.title, shelf: record.shelf, holder: record.holder,
                    archive: holding.archive, stream: VolumeTree.streamName(holding.archive), parts: holding.parts,
                    paths: here.sorted()))
        }
        guard !rows.isEmpty else {
            throw OperationError(
                .notFound,
                "no volume holds these paths of archive \(archive): \(missing.sorted().joined(separator: ", "))",
                hint: "`qala volume inventory` lists what is on a volume.")
        }
        return PullReport(pull: rows, missing: parsed.isEmpty ? [] : missing.sorted())
    }
}
