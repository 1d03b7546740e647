import Catalog
import Domain
import Glibc
import Vault

/// An archive that is on volumes and in the vault no more.
struct OfflineArchive {
    var id: String
    /// RFC 3339, UTC.
    var time: String
    var policy: String?
    /// Registered ones that hold it, in the order of their ids.
    var volumes: [VolumeRecord] = []
    /// Registered ones that did and are lost.
    var lost: [VolumeRecord] = []
    /// Where no registered one does: those that the decision by which it left the vault named.
    var unregistered: Set<String> = []

    /// Why it cannot be had from the vault, and what to do.
    func absence(_ wanted: String) -> OperationError {
        let short = id.prefix(12)
        if volumes.isEmpty, !lost.isEmpty {
            let names = lost.map { "\($0.id) \"\($0.title)\"" }.joined(separator: ", ")
            return OperationError(
                .notFound,
                "archive \(short) (\(wanted)) is not in the vault any more; it was on volume \(names), now lost",
                hint: "Look for the volume: `qala register media show ID` tells where it was. `qala volume checkin` "
                    + "registers that it was found.")
        }
        guard !volumes.isEmpty else {
            return OperationError(
                .notFound,
                "archive \(short) (\(wanted)) is not in the vault any more; it is on volume "
                    + "\(unregistered.sorted().joined(separator: ", ")), which the register does not know",
                hint:
                    "Bring STATE/volumes back from a copy. The volume opens without it: `qala volume restore DIR \(short) --to "
                    + "TARGET --secret FILE --fingerprint DIGITS`, with the digits on its label.")
        }
        let places = volumes.map { volume -> String in
            let place = volume.shelf.map { "on shelf \($0)" } ?? "with \(volume.holder ?? "nobody")"
            return "\(volume.id) \"\(volume.title)\" \(place)"
        }
        return OperationError(
            .notFound,
            "archive \(short) (\(wanted)) is not in the vault any more; it is on volume "
                + places.joined(separator: ", and on volume "),
            hint:
                "Fetch one (`qala volume pull-list \(short)`, `qala volume checkout`), mount it, and restore with `qala volume "
                + "restore DIR \(short) --to TARGET --secret FILE`; `qala volume checkin` registers where it goes then."
        )
    }
}

extension OpenVault {
    /// Newest first. The register of volumes says so, and of what it does not know the decisions by which archives left the
    /// vault: whether a volume is where it should be, and whole, only a verification shows.
    func offlineArchives() throws -> [OfflineArchive] {
        let live = Set(vault.log.archives.map(\.id.hex))
        let own = vault.vaultID.hex
        var found: [String: OfflineArchive] = [:]
        let records = try VolumeRegister(workplace).all().sorted { $0.id < $1.id }
        for record in records {
            if record.gone?.how == .destroyed { continue }
            let place = record.isGone ? \OfflineArchive.lost : \.volumes
            for holding in record.archives where holding.vault == own && !live.contains(holding.archive) {
                let one = OfflineArchive(id: holding.archive, time: holding.time, policy: holding.policy)
                found[holding.archive, default: one][keyPath: place].append(record)
            }
        }
        for one in try unregisteredDepartures(besides: Set(found.keys), records) { found[one.id] = one }
        // Of archives of one second only the log knows which came later.
        let order = Dictionary(
            vault.log.committed.enumerated().map { ($0.element.id.hex, $0.offset) }, uniquingKeysWith: { $1 })
        func rank(_ one: OfflineArchive) -> (String, Int, String) { (one.time, order[one.id] ?? -1, one.id) }
        return found.values.sorted { rank($0) > rank($1) }
    }

    private func unregisteredDepartures(
        besides known: Set<String>, _ records: [VolumeRecord]
    ) throws -> [OfflineArchive] {
        guard vault.log.disposed.keys.contains(where: { !known.contains($0.hex) }) else { return [] }
        let departures = try departures(records)
        let lost = departures.archives.map(\.archive).filter { !known.contains($0.id.hex) }
        guard !lost.isEmpty else { return [] }
        let headers = (try? headers(of: lost)) ?? lost.map { ($0, nil) }
        return headers.map { archive, header in
            OfflineArchive(
                id: archive.id.hex, time: TimeText.seconds(Int64(clamping: archive.time)), policy: header?.policy,
                unregistered: departures.named[archive.id] ?? [])
        }
    }
}

/// Searches the slices of archives that are on volumes only.
///
/// Slices are lines of JSON and may be long: lines that cannot match are passed over undecoded.
struct OfflineNames {
    /// One version of a name, as far as a slice and the catalog both tell it. A further name of a file has no size in a
    /// slice, so only that of a whole row counts.
    struct Version: Hashable {
        var path: [UInt8]
        var modified: String
        var size: Int?

        init(path: [UInt8], kind: String, size: Int, modified: String) {
            self.path = path
            self.modified = modified
            self.size = kind == EntryKind.file.name ? size : nil
        }
    }

    private let archives: [OfflineArchive]
    private let register: VolumeRegister
    private let workplace: Workplace

    init(_ open: OpenVault) throws {
        // Of those that are lost nothing can be fetched.
        archives = try open.offlineArchives().filter { $0.lost.isEmpty || !$0.volumes.isEmpty }
        register = VolumeRegister(open.workplace)
        workplace = open.workplace
    }

    /// Of these nothing can be searched: no registered volume holds them.
    var unregistered: UnregisteredArchives? {
        let lost = archives.filter(\.volumes.isEmpty)
        guard !lost.isEmpty else { return nil }
        let volumes = lost.reduce(into: Set<String>()) { $0.formUnion($1.unregistered) }
        return UnregisteredArchives(archives: lost.map(\.id), volumes: volumes.sorted())
    }

    /// Rows of every version that matches, newest archive first. `text` is what was asked for; versions of which
    /// `isKnown` says so are in the vault.
    func find(
        _ text: String, matches: ([UInt8]) -> Bool, isKnown: (Version) -> Bool
    ) throws -> [FoundRow] {
        let literal = Self.literal(of: text)
        var rows: [FoundRow] = []
        var at: [Version: Int] = [:]
        for archive in archives where !archive.volumes.isEmpty {
            try Volumes.rows(try slice(of: archive), where: { Self.mayMatch($0, literal) }) { row, stored in
                if workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
                guard matches(stored) else { return true }
                let size = Int(clamping: row.size)
                let version = Version(path: stored, kind: row.kind, size: size, modified: row.modified)
                if isKnown(version) { return true }
                if let known = at[version] {
                    if rows[known].firstArchive != archive.id { rows[known].archives += 1 }
                    rows[known].firstArchive = archive.id
                } else {
                    at[version] = rows.count
                    rows.append(Self.row(row, archive))
                }
                return true
            }
        }
        return rows
    }

    private static func row(_ row: SliceRow, _ archive: OfflineArchive) -> FoundRow {
        var found = FoundRow(
            path: row.path, pathBytes: row.pathBytes, kind: row.kind, size: Int(clamping: row.size),
            modified: row.modified, archive: archive.id, archiveTime: archive.time,
            firstArchive: archive.id, archives: 1, policy: archive.policy)
        found.volumes = archive.volumes.map(FoundRow.VolumePlace.init)
        return found
    }

    /// Every volume has the same; one copy that is there is enough.
    private func slice(of archive: OfflineArchive) throws -> String {
        let paths = try archive.volumes.map { try register.slicePath($0.id, archive.id) }
        if let path = paths.first(where: { access($0, R_OK) == 0 }) { return path }
        throw OperationError(
            .damaged,
            "the register has no slice of archive \(archive.id.prefix(12)), which is on volumes only",
            hint: "Copy catalog/\(archive.id).jsonl of the volume to \(paths.first ?? "the register").")
    }

    /// The longest run of bytes in `text` that a matching line must hold as they are, in small letters.
    static func literal(of text: String) -> [UInt8] {
        let runs = text.utf8.split { byte in
            // Wildcards, what JSON escapes, and whatever a path that is not UTF-8 would change.
            byte <= 0x20 || byte >= 0x7F || [0x22, 0x2A, 0x3F, 0x5C].contains(byte)
        }
        return runs.max { $0.count < $1.count }.map { $0.map(lower) } ?? []
    }

    static func mayMatch(_ line: [UInt8], _ literal: [UInt8]) -> Bool {
        guard let first = literal.first else { return true }
        guard line.count >= literal.count else { return false }
        return line.withUnsafeBufferPointer { line in
            for start in 0...(line.count - literal.count) where lower(line[start]) == first {
                var at = 1
                while at < literal.count, lower(line[start + at]) == literal[at] { at += 1 }
                if at == literal.count { return true }
            }
            return false
        }
    }

    @inline(__always)
    private static func lower(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }
}
