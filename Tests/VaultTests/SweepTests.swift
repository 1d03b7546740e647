import Domain
import TestSupport
import Testing

@testable import Vault

@Suite("The sweep")
struct SweepTests {
    @Test("What only disposed archives needed goes, the others read back byte for byte, and a check finds nothing")
    func plain() throws {
        let world = try SweepWorld()
        var tree = WorkloadTree(seed: 1)
        var archives: [ArchiveRecord] = []
        for _ in 0..<4 {
            archives.append(try world.archive(tree))
            tree.change()
        }
        let before = try world.names("packs")
        try world.dispose([archives[0], archives[2]])
        // Disposal alone removes nothing.
        #expect(try world.names("packs") == before)
        let planned = try world.sweeper().plan()
        let report = try world.sweep()
        let after = try world.names("packs")
        #expect(report.condemnedPacks > 0 && report.deletedPacks == report.condemnedPacks)
        #expect(report.deletedBytes == report.condemnedBytes && report.problems.isEmpty && report.waiting.isEmpty)
        #expect(planned.condemnedPacks == report.condemnedPacks && planned.deletedPacks == 0)
        #expect(after.isSubset(of: before) && before.count - after.count == report.deletedPacks)
        #expect(try world.made.reopened().log.archives.map(\.id) == [archives[1].id, archives[3].id])
        try world.checkAll()
        #expect(try world.damage().isEmpty)
    }

    @Test("Where nothing is to be done nothing is written")
    func nothing() throws {
        let world = try SweepWorld()
        var tree = WorkloadTree(seed: 2)
        let first = try world.archive(tree)
        tree.change()
        try world.archive(tree)
        func expectNothing() throws {
            let before = try world.store.list("log").count
            #expect(try world.sweep() == SweepReport())
            #expect(try world.sweeper().plan() == SweepReport())
            #expect(try world.store.list("log").count == before)
        }
        try expectNothing()
        try world.dispose([first])
        #expect(try world.sweep().deletedPacks > 0)
        // Index segments that a deletion replaced go with the next sweep.
        try world.sweep()
        try expectNothing()
    }

    @Test("What a plan tells of archives that are not disposed of yet is what the sweep then does")
    func plan() throws {
        let world = try SweepWorld()
        var tree = WorkloadTree(seed: 3)
        let first = try world.archive(tree)
        tree.change()
        try world.archive(tree)
        let names = try world.names("log")
        let planned = try world.sweeper().plan(disposing: [first.id])
        #expect(try world.names("log") == names)
        try world.dispose([first])
        #expect(try world.sweep().condemnedBytes == planned.condemnedBytes && planned.condemnedBytes > 0)
    }

    @Test("A writer cannot dispose, condemn, fence or delete: his log refuses, and readers take such a log for damaged")
    func rights() throws {
        let store = MemoryStore()
        let world = try SweepWorld(store)
        let archive = try world.archive(WorkloadTree(seed: 4, files: 2, chunked: 0))
        let running = try world.session(2)
        defer { running.stop() }
        let vault = try world.made.reopened()
        let writer = try vault.writer()
        let list = try store.putNamedByDigest(
            "sweeps", try SweepList(domain: writer.domain).encode(), vault.suite)
        let manifest = try store.putNamedByDigest("manifests", Manifest(session: .zero).encode(), vault.suite)
        let key = try world.made.unlock(vault).adminKey
        try vault.log.append(signing: key, time: 1) { _ in .condemn(domain: writer.domain, list: list) }
        let condemned = vault.log.count - 1
        let bodies: [LogBody] = [
            .fence(sessions: [running.id]),
            .condemn(domain: writer.domain, list: list),
            .delete(SweepDeletion(condemned: condemned, list: list, manifest: manifest)),
            .dispose(Disposal(archives: [archive.id], note: list, basis: .policy(list.digest))),
        ]
        let clean = store.contents
        for body in bodies {
            let error = #expect(throws: VaultError.self) {
                try vault.log.append(signing: writer.signing, time: 1) { _ in body }
            }
            #expect(error?.code == .damaged)
            #expect(store.contents == clean)
            let record = LogRecord(
                number: vault.log.count, previous: vault.log.head, signer: writer.signing.publicKey, time: 1, body: body
            )
            try store.put(
                LogRecord.objectName(record.number),
                try record.encode(vaultID: vault.vaultID, key: writer.signing))
            let refusal = #expect(throws: VaultError.self) { _ = try world.made.reopened(nil, try WorkloadPlace()) }
            #expect(refusal?.code == .damaged)
            store.contents = clean
        }
        let reading = try world.made.unlock(vault)
        let stranger = UnlockedReader(
            readerID: .zero, vaultID: reading.vaultID, readingSeed: reading.readingSeed, adminKey: reading.adminKey)
        #expect(throws: VaultError.self) { _ = try Sweeper(vault, by: stranger) }
    }

    @Test("A record that no reader would accept is not written: an empty disposal, or one that names an archive twice")
    func unreadable() throws {
        let world = try SweepWorld()
        let archive = try world.archive(WorkloadTree(seed: 5, files: 2, chunked: 0))
        let names = try world.names("log")
        for archives in [[archive, archive], []] {
            let vault = try world.made.reopened()
            let key = try world.made.unlock(vault).adminKey
            let note = ObjectReference(digest: .zero, length: 1)
            #expect(throws: VaultError.self) {
                try vault.log.append(signing: key, time: 1) { _ in
                    .dispose(Disposal(archives: archives.map(\.id), note: note, basis: .policy(.zero)))
                }
            }
        }
        #expect(try world.names("log") == names)
        try world.checkAll()
    }

    @Test("Packs of a run that was killed go when its session has ended, and not before", arguments: [false, true])
    func orphans(isFenced: Bool) throws {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 6)
        try world.archive(tree, 2)
        let before = try world.names("packs")
        var other = WorkloadTree(seed: 7, files: 12)
        let session = try world.session()
        try other.feed(session)
        try session.closeGroup()
        try session.pool.drain()
        let left = try world.names("packs").subtracting(before)
        #expect(!left.isEmpty)
        #expect(try world.sweep() == SweepReport())
        session.stop()
        #expect(try world.sweep() == SweepReport())
        if isFenced {
            let report = try world.sweep(fencing: [session.id])
            #expect(report.fenced == [session.id] && report.deletedPacks == left.count)
        } else {
            try session.abort()
            #expect(try world.sweep().deletedPacks == left.count)
        }
        #expect(try world.names("packs") == before)
        try world.checkAll()
        #expect(try world.damage().isEmpty)
        other.change()
        try world.archive(other)
        try world.checkAll()
    }

    @Test("A sweep killed between its record and the removal is finished by the next one")
    func killedBeforeRemoval() throws {
        let memory = MemoryStore()
        let faulty = FaultyStore(memory)
        let world = try SweepWorld(faulty)
        let first = try world.archive(WorkloadTree(seed: 8))
        try world.archive(WorkloadTree(seed: 108), 2)
        try world.dispose([first])
        let before = try world.names("packs")
        faulty.add(.init(.delete, ordinal: 2, .fail(VaultError(.io, "killed")), lasts: true))
        let error = #expect(throws: VaultError.self) { try world.sweep() }
        #expect(error?.message == "killed")
        #expect(before.count - (try world.names("packs").count) == 1)
        // What is listed as deleted and still there is no damage, and what is gone is none either.
        #expect(try world.damage().isEmpty)
        try world.checkAll()
        faulty.heal()
        let records = try world.names("log")
        let report = try world.sweep()
        #expect(report.deletedPacks > 0 && report.condemnedPacks == 0)
        #expect(try world.names("log").subtracting(records).count <= 2)
        #expect(try world.sweep() == SweepReport())
        try world.checkAll()
        #expect(try world.damage().isEmpty)
    }

    @Test("A sweep that is asked to stop does so at any step, and the next one goes on")
    func stopped() throws {
        let world = try SweepWorld()
        var tree = WorkloadTree(seed: 9, files: 4, chunked: 9_000)
        for step in 0..<10 {
            let archive = try world.archive(tree)
            tree.change()
            try world.archive(tree)
            try world.dispose([archive])
            let sweeper = try world.sweeper()
            var asked = 0
            sweeper.shouldStop = {
                asked += 1
                return asked > step * 4
            }
            do {
                _ = try sweeper.run()
                #expect(asked <= step * 4)
            } catch {
                #expect(error.code == .interrupted)
            }
            try world.checkAll()
        }
        try world.sweep()
        #expect(try world.sweep() == SweepReport())
        try world.checkAll()
        #expect(try world.damage().isEmpty)
    }

    @Test("A source that did not change is archived again after its archive was disposed of and swept, and stays whole")
    func sameAgain() throws {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 10)
        for _ in 0..<4 {
            let archive = try world.archive(tree)
            try world.checkAll()
            #expect(try world.damage().isEmpty)
            #expect(try world.names("refs").count == 1)
            try world.dispose([archive])
            let report = try world.sweep()
            #expect(report.problems.isEmpty && report.deletedPacks > 0)
            #expect(try world.names("packs").isEmpty && (try world.names("refs").isEmpty))
            // What the sweeps before removed under the same names must not go again.
            let again = try world.archive(tree, 2)
            for _ in 0..<2 { #expect(try world.sweep() == SweepReport()) }
            try world.checkAll()
            #expect(try world.damage().isEmpty)
            try world.dispose([again])
            try world.sweep()
        }
    }

    @Test("A tree whose archive was disposed of is not built upon")
    func disposedBase() throws {
        let world = try SweepWorld()
        let tree = WorkloadTree(seed: 11)
        let first = try world.archive(tree)
        try world.dispose([first])
        try world.sweep()
        let reads = WorkloadReads()
        let session = try world.session()
        #expect(session.parent == nil)
        try tree.feed(session, reads: reads)
        _ = try world.finish(session, tree)
        #expect(reads.total > 10_000)
        try world.sweep()
        try world.checkAll()
        let next = try world.session()
        #expect(try next.parent == world.made.vault.log.archives.last?.id)
        next.stop()
    }
}
