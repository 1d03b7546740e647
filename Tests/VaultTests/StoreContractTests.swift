import Domain
import Glibc
import TestSupport
import Testing
import Vault

/// A directory of this machine for one test, removed with what is in it.
final class StoreScratch {
    let path: String

    init(in parent: String = "/tmp") {
        path = "\(parent)/qala-store-\(getpid())-\(UInt64.random(in: .min ... .max))"
        mkdir(path, 0o700)
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            unlink(path)
            return
        }
        for name in names(path) { remove("\(path)/\(name)") }
        rmdir(path)
    }

    static func names(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}

@Suite("The contract of stores")
struct StoreContractTests {
    @Test("A store in memory keeps the contract")
    func memory() throws { try StoreContract.check { MemoryStore() } }

    @Test("A store in memory behind a decorator without faults keeps the contract")
    func decorated() throws { try StoreContract.check { FaultyStore(MemoryStore()) } }

    @Test("A store on this machine's disk keeps the contract", arguments: ["/tmp", "/dev/shm"])
    func local(parent: String) throws {
        let scratch = StoreScratch(in: parent)
        var number = 0
        try StoreContract.check {
            number += 1
            return try LocalStore.creating(path: "\(scratch.path)/a/\(number)")
        }
        for run in StoreScratch.names("\(scratch.path)/a") {
            #expect(StoreScratch.names("\(scratch.path)/a/\(run)/tmp").isEmpty, "temporary files remain")
        }
    }

    @Test("A store on a simulated disk keeps the contract, whatever that disk lacks")
    func simulated() throws {
        var exclusiveRename = SimulatedDisk.Traits()
        exclusiveRename.hasLinks = false
        var linksOnly = SimulatedDisk.Traits()
        linksOnly.hasExclusiveRename = false
        linksOnly.hasDirectWrites = false
        for traits in [SimulatedDisk.Traits(), exclusiveRename, linksOnly] {
            var disks: [SimulatedDisk] = []
            try StoreContract.check {
                let disk = SimulatedDisk(traits: traits)
                disks.append(disk)
                return try LocalStore.creating(path: "/srv/vault", calls: disk)
            }
            #expect(disks.map(\.openDescriptors) == disks.map { _ in 0 }, "descriptors leak")
        }
    }

    @Test("A file system that cannot create exclusively is refused")
    func noExclusiveCreation() throws {
        var traits = SimulatedDisk.Traits()
        traits.hasLinks = false
        traits.hasExclusiveRename = false
        let store = try LocalStore.creating(path: "/vault", calls: SimulatedDisk(traits: traits))
        #expect(throws: VaultError.self) { try store.probe() }
        #expect(throws: VaultError.self) { try store.putIfAbsent("log/1", [1]) }
        #expect(try store.length(of: "log/1") == nil)
    }

    @Test("The contract notices a store that breaks it")
    func contractNotices() {
        #expect(throws: (any Error).self) {
            try StoreContract.check {
                let store = FaultyStore(MemoryStore())
                store.hide("log/1")
                return store
            }
        }
        #expect(throws: StoreContract.Violation.self) {
            try StoreContract.check {
                let store = FaultyStore(MemoryStore())
                store.flip("packs/00/x", at: 9_999)
                return store
            }
        }
    }

    @Test("A faulty store does what it was told and heals")
    func faultyStore() throws {
        let store = FaultyStore(MemoryStore())
        try store.put("a/1", [1, 2, 3])
        store.add(.init(.put, prefix: "a/", ordinal: 2, .fail(VaultError(.io, "planted"))))
        store.add(.init(.delete, .failAfterwards(VaultError(.io, "planted"))))
        store.add(.init(.list, .delay(milliseconds: 1)))
        try store.put("b/1", [1])
        try store.put("a/2", [1])
        #expect(throws: VaultError.self) { try store.put("a/3", [1]) }
        try store.put("a/4", [1])
        #expect(throws: VaultError.self) { try store.delete("a/4") }
        #expect(try store.length(of: "a/4") == nil)
        store.flip("a/1", at: 1, mask: 0x80)
        #expect(try store.get("a/1", limit: 3) == [1, 0x82, 3])
        store.cut("a/1", to: 2)
        #expect(try store.length(of: "a/1") == 2)
        store.hide("a/2")
        #expect(try store.list("a").map(\.name) == ["a/1"])
        #expect(throws: VaultError.self) { try store.open("a/2") }
        store.heal()
        #expect(try store.get("a/1", limit: 3) == [1, 2, 3])
        #expect(try store.list("a").count == 2)
        #expect(store.count(.put) == 5)
    }
}
