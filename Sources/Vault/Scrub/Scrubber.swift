import Domain

/// Something in a vault that is not what was stored.
package struct Damage: Sendable, Hashable {
    package var object: String
    package var reason: String

    package init(object: String, reason: String) {
        self.object = object
        self.reason = reason
    }
}

/// What a check covered and found.
package struct ScrubResult: Sendable {
    package var packs = 0
    package var chunks = 0
    package var chunksRead = 0
    package var bytesRead = 0
    package var objects = 0
    package var damage: [Damage] = []

    package init() {}
}

/// Checks a vault without changing it.
///
/// Invariants:
/// 1. A finding never stops the check: all damage is reported, each object once.
/// 2. What cannot be read counts as damage; nothing that was skipped counts as checked.
/// 3. Memory is bounded by one record for each thread, whatever the sizes of packs.
package final class Scrubber {
    private let vault: Vault
    private let threads: Int
    /// Asked between objects; true stops the check with `interrupted`.
    package var shouldStop: @Sendable () -> Bool = { false }
    /// Told of bytes as they are checked.
    package var onBytes: @Sendable (Int) -> Void = { _ in }

    package init(_ vault: Vault, threads: Int = 2) {
        self.vault = vault
        self.threads = threads
    }

    /// Every object that the log makes count, with what it must hash to.
    private func objects() throws(VaultError) -> (objects: [Expected], damage: [Damage]) {
        var list: [Expected] = []
        var damage: [Damage] = []
        for keys in vault.log.keySets { list.append(Expected("keys/\(keys.digest.hex)", keys)) }
        for (_, session) in vault.log.sessions.sorted(by: { $0.key < $1.key }) {
            let keyring = session.opening.keyring
            if session.ending == .committed || !session.checkpoints.isEmpty {
                list.append(Expected("keyrings/\(keyring.digest.hex)", keyring))
            }
        }
        for condemnation in vault.log.condemnations {
            for named in [condemnation.list, condemnation.deletion?.body.list].compactMap({ $0 }) {
                list.append(Expected(SweepList.objectName(named.digest), named))
            }
        }
        var notes = vault.log.disposed.values.map(\.disposal.note)
        notes += vault.log.holds.flatMap { [$0.record.note, $0.release?.record.note].compactMap { $0 } }
        for note in notes.sorted(by: { $0.digest < $1.digest }) {
            list.append(Expected(Note.objectName(note.digest), note))
        }
        var packs: Set<Manifest.Pack> = []
        var segments: [Manifest.Segment] = []
        let gone = Self.swept(vault, &damage)
        var references = vault.log.committed.map(\.commit.manifest)
        references += vault.log.condemnations.compactMap(\.deletion?.body.manifest)
        for session in vault.log.sessions.values where session.ending == .running {
            references += session.checkpoints
        }
        for reference in references {
            let name = Manifest.objectName(reference.digest)
            let manifest: Manifest
            do throws(VaultError) {
                manifest = try vault.manifest(reference)
            } catch {
                damage.append(Damage(object: name, reason: error.message))
                continue
            }
            list.append(Expected(name, reference))
            segments += manifest.segments
            if let found = manifest.references, !gone.contains(Manifest.referencesName(found.digest)) {
                list.append(Expected(Manifest.referencesName(found.digest), found))
            }
            for pack in manifest.packs where packs.insert(pack).inserted {
                let name = Manifest.packName(pack.id)
                if gone.contains(name) { continue }
                list.append(
                    Expected(name, ObjectReference(digest: pack.digest, length: pack.length), pack: pack))
            }
        }
        // A segment that others replace is checked while it is there, and nobody needs it any more.
        let replaced = Set(segments.flatMap(\.replaced))
        for segment in segments {
            let name = Manifest.indexName(segment.object.digest)
            let mayBeAbsent = replaced.contains(segment.object.digest) || gone.contains(name)
            list.append(Expected(name, segment.object, mayBeAbsent: mayBeAbsent))
        }
        // Who tells two things of one object lies once: both are checked.
        var seen: Set<Named> = []
        return (list.filter { seen.insert(Named(name: $0.name, reference: $0.reference)).inserted }, damage)
    }

    /// Names of objects that delete records list: they may be there or not.
    private static func swept(_ vault: Vault, _ damage: inout [Damage]) -> Set<String> {
        var names: Set<String> = []
        for deletion in vault.log.condemnations.compactMap(\.deletion) {
            do throws(VaultError) {
                names.formUnion(try vault.sweepList(deletion.body.list).objectNames)
            } catch {
                damage.append(Damage(object: SweepList.objectName(deletion.body.list.digest), reason: error.message))
            }
        }
        return names
    }

    private struct Named: Hashable {
        var name: String
        var reference: ObjectReference
    }

    struct Expected: Sendable {
        var name: String
        var reference: ObjectReference
        var pack: Manifest.Pack?
        var mayBeAbsent: Bool

        init(
            _ name: String, _ reference: ObjectReference, pack: Manifest.Pack? = nil, mayBeAbsent: Bool = false
        ) {
            self.name = name
            self.reference = reference
            self.pack = pack
            self.mayBeAbsent = mayBeAbsent
        }
    }

    /// Compares every object with its digest; needs no key. With `sample` below 1 only that share of the packs, at random.
    package func checkDigests(sample: Double = 1) throws(VaultError) -> ScrubResult {
        let (objects, damage) = try self.objects()
        return try run(objects.filter { $0.pack == nil || sample >= 1 || Double.random(in: 0..<1) < sample }, damage) {
            [suite = vault.suite, store = vault.store, onBytes] item, result throws(VaultError) in
            try Self.checkDigest(item, store, suite, onBytes, &result)
        }
    }

    /// Looks at every object's presence and length, and at the footer of every pack; needs no key.
    package func checkStructure() throws(VaultError) -> ScrubResult {
        let (objects, damage) = try self.objects()
        return try run(objects, damage) {
            [suite = vault.suite, store = vault.store] item, result throws(VaultError) in
            if let pack = item.pack {
                let reader = try store.open(item.name)
                guard reader.length == pack.length else {
                    throw .damaged("it has \(reader.length) bytes instead of \(pack.length)")
                }
                result.chunks += try PackFooter.read(from: reader, length: pack.length, suite: suite).count
                result.packs += 1
            } else {
                // In pieces: who wrote the length may have lied about it, and memory is bounded.
                var uncounted = ScrubResult()
                try Self.checkDigest(item, store, suite, { _ in }, &uncounted)
            }
        }
    }

    /// Opens, decompresses and identifies every chunk, and compares every object with its digest.
    package func checkData(_ reader: VaultReader, sample: Double = 1) throws(VaultError) -> ScrubResult {
        let (objects, damage) = try self.objects()
        let chosen = objects.filter { $0.pack == nil || sample >= 1 || Double.random(in: 0..<1) < sample }
        return try run(chosen, damage) {
            [suite = vault.suite, store = vault.store, onBytes] item, result throws(VaultError) in
            guard let pack = item.pack else {
                try Self.checkDigest(item, store, suite, onBytes, &result)
                return
            }
            try PackScrub(reader, pack, suite).check(&result, onBytes)
        }
    }

    private static func checkDigest(
        _ item: Expected, _ store: any Store, _ suite: HashSuite, _ onBytes: (Int) -> Void,
        _ result: inout ScrubResult
    ) throws(VaultError) {
        let reader = try store.open(item.name)
        guard reader.length == item.reference.length else {
            throw .damaged("it has \(reader.length) bytes instead of \(item.reference.length)")
        }
        var hasher = ObjectHasher(suite: suite)
        let buffer = RawBuffer(count: 1 << 20)
        var offset: UInt64 = 0
        while offset < reader.length {
            let count = Int(min(UInt64(buffer.bytes.count), reader.length - offset))
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<count])
            try reader.read(at: offset, into: part)
            hasher.update(UnsafeRawBufferPointer(part))
            offset += UInt64(count)
            result.bytesRead += count
            onBytes(count)
        }
        guard hasher.finalize() == item.reference.digest else { throw .damaged("it is not what was stored") }
        if item.pack != nil { result.packs += 1 }
    }

    /// Spreads the items over threads and joins what they found.
    private func run(
        _ items: [Expected], _ damage: [Damage],
        _ check: @escaping @Sendable (Expected, inout ScrubResult) throws(VaultError) -> Void
    ) throws(VaultError) -> ScrubResult {
        let board = ScrubBoard(items, damage)
        let stop = shouldStop
        var workers: [WorkerThread] = []
        for _ in 0..<threads {
            workers.append(
                try WorkerThread {
                    var result = ScrubResult()
                    while !stop(), let item = board.next() {
                        result.objects += 1
                        do throws(VaultError) {
                            try check(item, &result)
                        } catch {
                            if item.mayBeAbsent, error.code == .missingObject { continue }
                            result.damage.append(Damage(object: item.name, reason: error.message))
                        }
                    }
                    board.add(result)
                })
        }
        for worker in workers { worker.join() }
        if stop() {
            throw VaultError(.interrupted, "the check was interrupted", hint: "Run it again: it changes nothing.")
        }
        var result = board.total
        if !result.damage.isEmpty { leaveOutSwept(&result) }
        return result
    }

    /// What a sweep deleted since the check began is no damage. Where the log cannot be read any more everything stands.
    private func leaveOutSwept(_ result: inout ScrubResult) {
        guard let now = try? vault.reopened(), now.log.sweepRecords != vault.log.sweepRecords
        else { return }
        var damage: [Damage] = []
        let gone = Self.swept(now, &damage)
        result.damage.removeAll { gone.contains($0.object) }
    }
}

/// What the threads of a check share.
///
/// SAFETY: everything mutable is touched inside `monitor.locked`.
private final class ScrubBoard: @unchecked Sendable {
    private let monitor = Monitor()
    private var rest: ArraySlice<Scrubber.Expected>
    private var result = ScrubResult()

    init(_ items: [Scrubber.Expected], _ damage: [Damage]) {
        rest = items[...]
        result.damage = damage
    }

    func next() -> Scrubber.Expected? { monitor.locked { rest.popFirst() } }

    func add(_ part: ScrubResult) {
        monitor.locked {
            result.packs += part.packs
            result.chunks += part.chunks
            result.chunksRead += part.chunksRead
            result.bytesRead += part.bytesRead
            result.objects += part.objects
            result.damage += part.damage
        }
    }

    var total: ScrubResult {
        monitor.locked {
            var total = result
            total.damage.sort { ($0.object, $0.reason) < ($1.object, $1.reason) }
            return total
        }
    }
}

/// Checks one pack front to back, record by record.
private struct PackScrub {
    let reader: VaultReader
    let pack: Manifest.Pack
    let suite: HashSuite

    init(_ reader: VaultReader, _ pack: Manifest.Pack, _ suite: HashSuite) {
        self.reader = reader
        self.pack = pack
        self.suite = suite
    }

    func check(_ result: inout ScrubResult, _ onBytes: (Int) -> Void) throws(VaultError) {
        let opened = try reader.pack(pack.id)
        guard opened.reader.length == pack.length else {
            throw .damaged("it has \(opened.reader.length) bytes instead of \(pack.length)")
        }
        let entries = try PackFooter.read(from: opened.reader, length: pack.length, suite: suite)
        guard let opening = reader.vault.log.sessions[opened.header.session]?.opening,
            opening.domain == opened.header.domain
        else { throw .damaged("it belongs to no session of its domain") }
        let chunks = try ChunkReader(reader, domain: opening.domain, generation: opening.generation)
        var hasher = ObjectHasher(suite: suite)
        hasher.update(opened.header.encode())
        var offset = UInt64(PackFormat.headerCount)
        var buffer = RawBuffer(count: 4 << 20)
        var firstDamage: VaultError?
        for entry in entries {
            guard entry.offset == offset else { throw .damaged("its records do not follow each other") }
            let count = PackFormat.recordHeaderCount + Int(entry.storedLength) + PackFormat.tagCount
            guard UInt64(count) <= pack.length - offset else { throw .damaged("its records exceed it") }
            if buffer.bytes.count < count { buffer = RawBuffer(count: count) }
            let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<count])
            try opened.reader.read(at: offset, into: bytes)
            hasher.update(UnsafeRawBufferPointer(bytes))
            do throws(VaultError) {
                let plain = try chunks.open(bytes, pack: opened, expecting: entry.chunkID, entry.kind, slot: entry.slot)
                try chunks.checkMembers(entry, plain)
                result.chunksRead += 1
            } catch { firstDamage = firstDamage ?? error }
            offset += UInt64(count)
            result.chunks += 1
            result.bytesRead += count
            onBytes(count)
        }
        try hashRest(&hasher, from: offset, opened.reader)
        result.packs += 1
        guard hasher.finalize() == pack.digest else {
            throw firstDamage ?? .damaged("it is not what was stored")
        }
        if let firstDamage { throw firstDamage }
    }

    private func hashRest(
        _ hasher: inout ObjectHasher, from start: UInt64, _ reader: any ObjectReader
    ) throws(VaultError) {
        let buffer = RawBuffer(count: 1 << 20)
        var offset = start
        while offset < pack.length {
            let count = Int(min(UInt64(buffer.bytes.count), pack.length - offset))
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<count])
            try reader.read(at: offset, into: part)
            hasher.update(UnsafeRawBufferPointer(part))
            offset += UInt64(count)
        }
    }
}

extension ChunkReader {
    /// The members that a footer lists are those of the group, by number and by content.
    func checkMembers(_ entry: PackEntry, _ plain: UnsafeRawBufferPointer) throws(VaultError) {
        guard entry.kind == .group else { return }
        let ids = try memberIDs(try GroupView(plain), plain)
        guard ids == entry.members else {
            throw .damaged("the footer of a pack lists other members than its group holds")
        }
    }
}
