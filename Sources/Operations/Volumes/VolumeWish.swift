import Domain
import Glibc
import Synchronization
import Vault

// What is to be restored from a volume, and whether all of it is there.

extension RestoreReport {
    /// What a plan counted is counted again as it is done.
    mutating func clearCounts() {
        (files, directories, others, bytes) = (0, 0, 0, 0)
    }

    mutating func count(_ kind: EntryKind, _ size: UInt64) {
        switch kind {
        case .file:
            files += 1
            bytes = bytes.addingClamped(size)
        case .directory: directories += 1
        default: others += 1
        }
    }
}

/// The files of one archive on a volume, and their signed digests.
struct SealedArchive {
    let id: String
    let parts: [(name: String, digest: Digest)]
    let digests: (name: String, digest: Digest)
    let slice: (name: String, digest: Digest)

    init(_ text: String, in files: [String: Digest]) throws {
        let wanted = text.lowercased()
        guard wanted.utf8.count >= 4, wanted.allSatisfy(\.isHexDigit) else {
            throw OperationError(
                .usage, "\"\(text)\" names no archive", hint: "Give 4 digits of its id at least.")
        }
        let ids = Set(files.keys.compactMap { VolumeTree.archive(ofPart: $0) }).filter { $0.hasPrefix(wanted) }
        guard let id = ids.first else {
            throw OperationError(
                .notFound, "the volume does not hold archive \(text)",
                hint: "`qala volume pull-list \(wanted)` names the volumes that do.")
        }
        guard ids.count == 1 else {
            throw OperationError(.notFound, "\(ids.count) archives begin with \(text)", hint: "Give more digits.")
        }
        var parts: [(name: String, digest: Digest)] = []
        while true {
            let name = VolumeTree.partName(VolumeTree.streamName(id), parts.count + 1)
            guard let digest = files[name] else { break }
            parts.append((name, digest))
        }
        let (digests, slice) = (VolumeTree.digestsName(id), VolumeTree.sliceName(id))
        guard parts.count == files.keys.count(where: { VolumeTree.archive(ofPart: $0) == id }),
            let ofDigests = files[digests], let ofSlice = files[slice]
        else {
            throw OperationError(
                .damaged, "the list of the volume lacks parts of archive \(id.prefix(12))",
                hint: "Use another copy of the volume.")
        }
        self.id = id
        self.parts = parts
        self.digests = (digests, ofDigests)
        self.slice = (slice, ofSlice)
    }

    /// Compares every file with its digest.
    func verify(on tree: VolumeTree, _ workplace: Workplace) throws {
        for file in parts + [digests, slice] {
            let digest = ListDigest()
            var isRead = false
            if let descriptor = MediumRead.open(tree.path(file.name)) {
                defer { close(descriptor) }
                isRead = try MediumRead.pieces(descriptor) { piece in
                    try RestoreTrees.checkInterrupt(workplace)
                    digest.update(piece)
                    workplace.progress.bytes.add(piece.count, ordering: .relaxed)
                }
            }
            guard isRead, digest.finish() == file.digest else {
                throw OperationError(
                    .damaged, "\(file.name) is not what was signed, or cannot be read",
                    hint:
                        "Nothing was opened. Use another volume with this archive: `qala volume pull-list \(id.prefix(12))`."
                )
            }
        }
    }
}

/// What of an archive is wanted, as its slice lists it. A hard link brings the file along that it names.
struct VolumeWish {
    private var prefixes: [[UInt8]]
    private var above: Set<[UInt8]> = []
    /// Names that further names follow; and those of them that are needed for the sake of a wanted one. Where a name is not
    /// UTF-8 several may look alike, which costs a little memory and no more.
    private var firstNames: Set<String> = []
    private var needed: Set<String> = []

    init(
        _ paths: [String], of archive: SealedArchive, on tree: VolumeTree, _ workplace: Workplace,
        _ report: inout RestoreReport
    ) throws {
        let parsed = try paths.map { (text: $0, stored: try StoredPath.parse($0)) }
        prefixes = parsed.map(\.stored)
        var open = parsed
        var found = RestoreReport()
        let (prefixes, slice) = (prefixes, tree.path(archive.slice.name))
        var (firstNames, needed): (Set<String>, Set<String>) = ([], [])
        try Volumes.rows(slice) { row, stored in
            try RestoreTrees.checkInterrupt(workplace)
            open.removeAll { PathOrder.isInside(stored, $0.stored) }
            let isWanted = prefixes.isEmpty || prefixes.contains { PathOrder.isInside(stored, $0) }
            if row.kind == "hardlink", let target = row.target {
                firstNames.insert(target)
                if isWanted { needed.insert(target) }
            }
            guard isWanted else { return true }
            switch row.kind {
            case EntryKind.socket.name: found.add(stored, "a socket: no volume holds it")
            case EntryKind.directory.name: found.count(.directory, 0)
            case EntryKind.symlink.name: found.count(.symlink, 0)
            default: found.count(.file, row.size)
            }
            return true
        }
        if let missing = open.first(where: { !$0.stored.isEmpty }) {
            throw OperationError(
                .notFound, "\(missing.text) is not in archive \(archive.id.prefix(12))",
                hint: "`qala volume inventory` lists what is on a volume.")
        }
        (self.firstNames, self.needed) = (firstNames, needed)
        for path in prefixes + needed.map({ Array($0.utf8) }) {
            for at in path.indices where path[at] == 0x2F { above.insert(Array(path[..<at])) }
        }
        report.files = found.files
        report.directories = found.directories
        report.others = found.others
        report.bytes = found.bytes
        report.problems = found.problems
        report.problemCount = found.problemCount
    }

    func wants(_ member: PaxMember) -> Bool {
        if prefixes.isEmpty || prefixes.contains(where: { PathOrder.isInside(member.path, $0) }) { return true }
        if member.kind == .directory, !member.isHardLink { return above.contains(member.path) }
        return !needed.isEmpty && needed.contains(String(decoding: member.path, as: UTF8.self))
    }

    /// Whether further names of the file may follow.
    func isLinkedTo(_ member: PaxMember) -> Bool {
        !firstNames.isEmpty && firstNames.contains(String(decoding: member.path, as: UTF8.self))
    }
}
