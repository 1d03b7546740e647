import Domain

/// The files of one log as they lie in its directory, and how they are read; nothing here writes.
struct AuditParts {
    static let formatLine = "qala-audit 1"
    /// Entries between two records of the history, and slots of the tail.
    static let blockEntries: UInt64 = 256
    static let segmentEntries: UInt64 = 4096
    static let historyBytes = Digest.byteCount + SigningKey.signatureBytes

    let store: LocalStore
    let trust: AuditTrust
    var hashes: AuditHashes { AuditHashes(store) }

    static func segmentName(of number: UInt64) -> String {
        let digits = String(number / segmentEntries * segmentEntries)
        return String(repeating: "0", count: 20 - digits.utf8.count) + digits + ".jsonl"
    }

    func segment(of number: UInt64) throws(VaultError) -> AuditFile? {
        try AuditFile.existing(Self.segmentName(of: number), in: ["entries"], of: store)
    }

    private func whole(_ name: String, limit: Int) throws(VaultError) -> [UInt8]? {
        try store.length(of: name) == nil ? nil : try store.get(name, limit: limit)
    }

    /// What the file `format` says.
    var format: [UInt8] { Array("\(Self.formatLine)\n\(trust.origin)\n".utf8) }

    /// False when there is no log; fails when there is one of another format or name.
    func exists() throws(VaultError) -> Bool {
        guard let format = try whole("format", limit: 4096) else { return false }
        let lines = format.split(separator: 0x0A, omittingEmptySubsequences: false)
        guard lines.count == 3, lines[0].elementsEqual(Self.formatLine.utf8), lines[2].isEmpty else {
            throw VaultError(
                .unsupportedFormat, "\(store.describe) holds an audit log of another format",
                hint: "Use the version of Qala that wrote it, or a newer one.")
        }
        guard lines[1].elementsEqual(trust.origin.utf8) else {
            throw VaultError(
                .invalidInput, "\(store.describe) holds the audit log of \(String(decoding: lines[1], as: UTF8.self))",
                hint: "Name the directory of the log of \(trust.origin).")
        }
        return true
    }

    /// The bytes of the newest checkpoint, whatever they are.
    func checkpointBytes() throws(VaultError) -> [UInt8]? {
        try whole("checkpoint", limit: AuditCheckpoint.maximumBytes)
    }

    func checkpoint() throws(VaultError) -> AuditCheckpoint {
        guard let bytes = try checkpointBytes() else {
            throw .auditDamage("the checkpoint of the audit log \(trust.origin) is missing")
        }
        guard let checkpoint = AuditCheckpoint(note: bytes) else {
            throw .auditDamage("the checkpoint of the audit log \(trust.origin) is malformed")
        }
        guard checkpoint.isValid(for: trust) else { throw AuditCheckpoint.notSigned(origin: trust.origin) }
        return checkpoint
    }

    /// The newest checkpoint that each other site cosigned.
    func cosigned() throws(VaultError) -> [AuditCheckpoint] {
        var found: [AuditCheckpoint] = []
        for info in try store.list("cosigned").prefix(AuditCheckpoint.maximumSignatures) {
            guard let note = try whole(info.name, limit: AuditCheckpoint.maximumBytes),
                let checkpoint = AuditCheckpoint(note: note), checkpoint.isValid(for: trust)
            else { throw .auditDamage("\(info.name) of the audit log \(trust.origin) is no checkpoint of it") }
            found.append(checkpoint)
        }
        return found
    }

    // MARK: History

    /// How many records there are.
    func historyCount() throws(VaultError) -> UInt64 {
        guard let file = try AuditFile.existing("history", in: [], of: store) else { return 0 }
        return try file.length() / UInt64(Self.historyBytes)
    }

    /// The checkpoint of size 256·(index + 1); nil where there is none, or none with a valid signature.
    func history(_ index: UInt64) throws(VaultError) -> AuditCheckpoint? {
        guard let file = try AuditFile.existing("history", in: [], of: store) else { return nil }
        return record(
            at: index, try file.read(at: index * UInt64(Self.historyBytes), count: Self.historyBytes))
    }

    private func record(at index: UInt64, _ bytes: [UInt8]) -> AuditCheckpoint? {
        guard bytes.count == Self.historyBytes, let root = Digest(Array(bytes[..<Digest.byteCount])) else { return nil }
        let size = Self.blockEntries * (index + 1)
        let keys = trust.keys(forSize: size)
        for key in keys {
            let signature = AuditCheckpoint.Signature(
                name: trust.origin, keyID: key.id, bytes: Array(bytes[Digest.byteCount...]))
            let checkpoint = AuditCheckpoint(
                origin: trust.origin, size: size, root: root, signatures: [signature])
            if checkpoint.isSigned(by: key) { return checkpoint }
        }
        return nil
    }

    /// The newest signed state past the block that `size` lies in or begins, if there is one. Of the end of that block
    /// a crash may leave a record before its checkpoint, with all its entries; of later ones it cannot.
    func historyAhead(of size: UInt64) throws(VaultError) -> AuditCheckpoint? {
        let next = size / Self.blockEntries
        let count = try historyCount()
        // A log cut back for good leaves many; looking at the last ones and at a few next to it is enough.
        let near = next..<max(next, min(count, next + 16))
        let far = max(near.upperBound, count - min(count, 16))..<max(near.upperBound, count)
        for index in far.reversed() + near.reversed() {
            if let ahead = try history(index) { return ahead }
        }
        return nil
    }
}

/// The slots of the file `tail`: which entries were on the disk, told apart from what a power cut may have torn.
enum AuditTail {
    static let slotBytes = 64
    static let slots = Int(AuditParts.blockEntries)

    static func slot(_ number: UInt64, _ leaf: Digest) -> [UInt8] {
        var out = ByteWriter(capacity: slotBytes)
        out.u64(number)
        out.digest(leaf)
        return out.bytes + check(out.bytes)
    }

    private static func check(_ bytes: [UInt8]) -> [UInt8] {
        let message = Array("qala/audit/v1/tail".utf8) + bytes
        return Array(ObjectHasher.digest(of: message, suite: .hmacSHA256).bytes[..<24])
    }

    static func offset(of number: UInt64) -> UInt64 { number % AuditParts.blockEntries * UInt64(slotBytes) }

    /// The valid slots by number.
    static func read(_ store: LocalStore) throws(VaultError) -> [UInt64: Digest] {
        guard let file = try AuditFile.existing("tail", in: [], of: store) else { return [:] }
        let bytes = try file.read(at: 0, count: slots * slotBytes)
        var found: [UInt64: Digest] = [:]
        for start in stride(from: 0, to: bytes.count - bytes.count % slotBytes, by: slotBytes) {
            let number = bytes.withUnsafeBytes {
                UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: start, as: UInt64.self))
            }
            guard number < AuditEntry.limit, offset(of: number) == UInt64(start),
                let leaf = Digest(bytes[(start + 8)..<(start + 8 + Digest.byteCount)]),
                slot(number, leaf).elementsEqual(bytes[start..<(start + slotBytes)])
            else { continue }
            found[number] = leaf
        }
        return found
    }
}

/// The entries past the last checkpoint, at most to the next multiple of 256.
struct AuditReplay {
    /// Whole entries, as they stand in the file.
    var bytes: [UInt8] = []
    var leaves: [Digest] = []
    /// Where they begin and where the next one belongs.
    var start: UInt64
    var end: UInt64
    /// Bytes after them in the file.
    var torn: UInt64 = 0
    var findings: [AuditFinding] = []

    /// `lines` stands where entry `first` belongs; nil where its segment does not exist yet.
    init(
        _ parts: AuditParts, from first: UInt64, _ lines: AuditLines?, fileLength: UInt64
    ) throws(VaultError) {
        start = lines?.offset ?? 0
        end = start
        // Before the entries: whoever appends meanwhile writes those first.
        let slots = try AuditTail.read(parts.store)
        let ahead = try parts.historyAhead(of: first)
        let limit = (first / AuditParts.blockEntries + 1) * AuditParts.blockEntries
        var number = first
        if var lines {
            while number < limit, let line = try lines.next() {
                guard line.isWhole, let entry = AuditEntry(line: line.bytes), entry.number == number else { break }
                let leaf = Merkle.leaf(line.bytes)
                if let known = slots[number], known != leaf { findings.append(AuditFinding(.altered, number)) }
                leaves.append(leaf)
                bytes += line.bytes + [0x0A]
                end += line.length
                number += 1
            }
            torn = fileLength - min(fileLength, end)
        }
        if let last = slots.keys.max(), last >= number {
            findings.append(AuditFinding(.missing, number..<(last + 1)))
        }
        let isPastSegment = try parts.segment(of: first + AuditParts.segmentEntries) != nil
        if (number == limit && torn > 0) || isPastSegment {
            findings.append(AuditFinding(.oldCheckpoint, first..<(number + 1)))
        }
        if let ahead, ahead.size > number {
            findings.append(AuditFinding(.oldCheckpoint, min(first, number)..<ahead.size))
        }
    }

    var size: UInt64 { UInt64(leaves.count) }
}
