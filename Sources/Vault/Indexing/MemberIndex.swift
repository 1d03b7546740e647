import Domain
import Glibc

// Which small file contents a domain already holds: content id → (group, number in it).
//
// A cache in the state of the writing host, rebuilt from the footers of packs. Memory is bounded: what exceeds a fixed
// number of entries goes to sorted files that are mapped, each behind a filter of ten bits an entry. A hit is only believed
// when the chunk index still holds its group.
final class MemberIndex {
    private static let mergeCount = 12

    private let directory: String
    private let chunks: ChunkIndex
    private var memory = MemberTable()
    private var files: [MemberFile] = []
    /// Searches in rows since the pages of all files were let go. Each touches a few places, and the system maps 64 KiB around
    /// each, all of which counts as resident memory.
    private var searches = 0
    private static let searchesBeforeRelease = 64

    init(directory: String, chunks: ChunkIndex) throws(VaultError) {
        self.directory = directory
        self.chunks = chunks
        try StateFile.makeDirectory(directory)
        for name in try StateFile.list(directory) where name.hasSuffix(".mem") {
            if let file = MemberFile(path: "\(directory)/\(name)") {
                files.append(file)
            } else {
                unlink("\(directory)/\(name)")
            }
        }
    }

    func find(_ id: Digest) -> (group: ChunkHandle, index: Int)? {
        if let found = memory.find(id) { return found }
        for file in files where file.mayHold(id) {
            searches += 1
            if searches == Self.searchesBeforeRelease {
                searches = 0
                for file in files { file.release() }
            }
            if let (group, index) = file.find(id), file.isLive(group, chunks) {
                return (.known(file.groupID(group)), index)
            }
        }
        return nil
    }

    /// Not while ``mustSpill`` is true.
    func insert(_ id: Digest, group: ChunkHandle, index: Int) { memory.insert(id, group: group, index: index) }

    var mustSpill: Bool { memory.isFull }

    /// Moves entries whose group has its id to a file. `resolve` gives nil for a group that is still under way.
    func spill(_ resolve: (ChunkHandle) -> Digest?) throws(VaultError) {
        guard memory.count > 0 else { return }
        var rows: [MemberFile.Row] = []
        rows.reserveCapacity(memory.count)
        var groups: [Digest] = []
        var groupIndex: [ChunkHandle: UInt32] = [:]
        memory.drain { id, handle, index in
            if groupIndex[handle] == nil {
                guard let resolved = resolve(handle) else { return false }
                groupIndex[handle] = UInt32(groups.count)
                groups.append(resolved)
            }
            if let group = groupIndex[handle] {
                rows.append(MemberFile.Row(id: id, group: group, index: UInt32(index)))
            }
            return true
        }
        rows.sort { $0.id < $1.id }
        try add(rows, groups)
        if files.count >= Self.mergeCount { try merge() }
    }

    private func add(_ rows: [MemberFile.Row], _ groups: [Digest]) throws(VaultError) {
        guard !rows.isEmpty else { return }
        let path = "\(directory)/\(Random.digest().hex.prefix(24)).mem"
        try MemberFile.write(path, rows: rows, groups: groups)
        if let file = MemberFile(path: path) { files.append(file) }
    }

    /// Joins all files into one, dropping what is dead or doubled.
    private func merge() throws(VaultError) {
        let old = files
        let path = "\(directory)/\(Random.digest().hex.prefix(24)).mem"
        try MemberFile.merge(old, chunks: chunks, into: path)
        guard let file = MemberFile(path: path) else { return }
        files = [file]
        for file in old { unlink(file.path) }
    }
}

/// One sorted file of a ``MemberIndex``: filter, group ids, entries, digest. A file that is not whole is thrown away: a
/// changed row would name the content of another file.
final class MemberFile {
    struct Row {
        var id: Digest
        var group: UInt32
        var index: UInt32
    }

    static let magic = Array("QALAMEM2".utf8)
    private static let headerCount = 24
    private static let rowCount = 40
    let path: String
    private let mapped: MappedBytes
    private let groupCount: Int
    private let count: Int
    private let filterAt: Int
    private let filterWords: Int
    private let groupsAt: Int
    private let rowsAt: Int
    /// 0 unknown, 1 live, 2 dead; by group.
    private var liveness: [UInt8]

    init?(path: String) {
        guard let mapped = MappedBytes(path: path), mapped.bytes.count >= Self.headerCount,
            mapped.bytes.prefix(8).elementsEqual(Self.magic)
        else { return nil }
        func field(_ at: Int) -> Int {
            Int(UInt32(littleEndian: mapped.bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
        }
        groupCount = field(8)
        count = field(12)
        filterWords = field(16)
        filterAt = Self.headerCount
        groupsAt = filterAt + 8 * filterWords
        rowsAt = groupsAt + 32 * groupCount
        guard mapped.bytes.count == rowsAt + Self.rowCount * count + Digest.byteCount, filterWords > 0,
            let sum = Digest(UnsafeRawBufferPointer(rebasing: mapped.bytes.suffix(Digest.byteCount))),
            ObjectHasher.digest(
                of: UnsafeRawBufferPointer(rebasing: mapped.bytes.dropLast(Digest.byteCount)), suite: .blake3) == sum
        else { return nil }
        mapped.release()
        self.path = path
        self.mapped = mapped
        liveness = [UInt8](repeating: 0, count: groupCount)
    }

    static func words(for count: Int) -> Int { max(1, (count * 10 + 63) / 64) }

    private static func probes(_ id: Digest, _ words: Int) -> (Int, UInt64) {
        let word = Int(id.words.1 % UInt64(words))
        let bits = id.words.2
        return (word, 1 << (bits & 63) | 1 << (bits >> 6 & 63) | 1 << (bits >> 12 & 63) | 1 << (bits >> 18 & 63))
    }

    private func id(_ row: Int) -> Digest {
        Digest(UnsafeRawBufferPointer(rebasing: mapped.bytes[(rowsAt + row * Self.rowCount)...])) ?? .zero
    }

    fileprivate func row(_ index: Int) -> Row {
        let at = rowsAt + index * Self.rowCount + 32
        return Row(
            id: id(index), group: UInt32(littleEndian: mapped.bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)),
            index: UInt32(littleEndian: mapped.bytes.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self)))
    }

    /// What the filter says: never false for an id that is here.
    func mayHold(_ id: Digest) -> Bool {
        let (word, mask) = Self.probes(id, filterWords)
        let bits = mapped.bytes.loadUnaligned(fromByteOffset: filterAt + 8 * word, as: UInt64.self)
        return UInt64(littleEndian: bits) & mask == mask
    }

    func release() { mapped.release() }

    func find(_ id: Digest) -> (group: Int, index: Int)? {
        // Ids are uniform, so the guess by interpolation is a few rows off at most.
        var low = 0
        var high = count
        var guess = Int((id.words.0 >> 32) * UInt64(count) >> 32)
        var step = 64
        if guess < count, self.id(guess) <= id {
            low = guess
            while guess + step < count, self.id(guess + step) <= id { low = guess + step; guess += step; step *= 2 }
            high = min(count, guess + step + 1)
        } else {
            high = min(count, guess + 1)
            while guess - step >= 0, self.id(guess - step) > id { high = guess - step + 1; guess -= step; step *= 2 }
            low = max(0, guess - step)
        }
        while low < high {
            let middle = (low + high) / 2
            let here = self.id(middle)
            if here == id {
                let row = row(middle)
                guard row.group < groupCount else { return nil }
                return (Int(row.group), Int(row.index))
            }
            if here < id { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    func groupID(_ group: Int) -> Digest {
        Digest(UnsafeRawBufferPointer(rebasing: mapped.bytes[(groupsAt + 32 * group)...])) ?? .zero
    }

    func isLive(_ group: Int, _ chunks: ChunkIndex) -> Bool {
        if liveness[group] == 0 { liveness[group] = chunks.contains(groupID(group)) ? 1 : 2 }
        return liveness[group] == 1
    }

    static func write(_ path: String, rows: [Row], groups: [Digest]) throws(VaultError) {
        let words = words(for: rows.count)
        var filter = [UInt64](repeating: 0, count: words)
        for row in rows {
            let (word, mask) = probes(row.id, words)
            filter[word] |= mask
        }
        let file = try AppendFile(temporaryFor: path, summed: true)
        try file.append(header(rows: rows.count, groups: groups.count, words: words))
        try append(file, filter, groups)
        for row in rows { try append(file, row) }
        try file.appendSum()
        try file.publish(as: path)
    }

    private static func header(rows: Int, groups: Int, words: Int) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(magic)
        writer.u32(UInt32(groups))
        writer.u32(UInt32(rows))
        writer.u32(UInt32(words))
        writer.u32(0)
        return writer.bytes
    }

    private static func append(_ file: AppendFile, _ filter: [UInt64], _ groups: [Digest]) throws(VaultError) {
        for word in filter {
            try withUnsafeBytes(of: word.littleEndian) { (raw) throws(VaultError) in try file.append(raw) }
        }
        for group in groups { try file.append(group.bytes) }
    }

    private static func append(_ file: AppendFile, _ row: Row) throws(VaultError) {
        var bytes = (
            row.id.words.0.bigEndian, row.id.words.1.bigEndian, row.id.words.2.bigEndian, row.id.words.3.bigEndian,
            row.group.littleEndian, row.index.littleEndian
        )
        try withUnsafeBytes(of: &bytes) { (raw) throws(VaultError) in try file.append(raw) }
    }

    /// Two passes over the sorted files: one to count and fill the filter, one to write.
    static func merge(_ files: [MemberFile], chunks: ChunkIndex, into path: String) throws(VaultError) {
        var groups: [Digest] = []
        var newGroup: [[Int: UInt32]] = Array(repeating: [:], count: files.count)
        var known: [Digest: UInt32] = [:]
        func walk(_ body: (Int, Row) throws(VaultError) -> Void) throws(VaultError) {
            var at = [Int](repeating: 0, count: files.count)
            var last: Digest?
            while true {
                var best: (file: Int, row: Row)?
                for (index, file) in files.enumerated() where at[index] < file.count {
                    let row = file.row(at[index])
                    if let now = best, now.row.id <= row.id { continue }
                    best = (index, row)
                }
                guard let (index, row) = best else { return }
                at[index] += 1
                guard row.group < files[index].groupCount, files[index].isLive(Int(row.group), chunks), row.id != last
                else { continue }
                last = row.id
                try body(index, row)
            }
        }
        var count = 0
        try walk { (index, row) throws(VaultError) in
            count += 1
            guard newGroup[index][Int(row.group)] == nil else { return }
            let id = files[index].groupID(Int(row.group))
            let number = known[id] ?? UInt32(groups.count)
            if Int(number) == groups.count {
                groups.append(id)
                known[id] = number
            }
            newGroup[index][Int(row.group)] = number
        }
        let words = words(for: count)
        var filter = [UInt64](repeating: 0, count: words)
        try walk { (_, row) throws(VaultError) in
            let (word, mask) = probes(row.id, words)
            filter[word] |= mask
        }
        let file = try AppendFile(temporaryFor: path, summed: true)
        try file.append(header(rows: count, groups: groups.count, words: words))
        try append(file, filter, groups)
        try walk { (index, row) throws(VaultError) in
            var moved = row
            moved.group = newGroup[index][Int(row.group)] ?? 0
            try append(file, moved)
        }
        try file.appendSum()
        try file.publish(as: path)
    }
}
