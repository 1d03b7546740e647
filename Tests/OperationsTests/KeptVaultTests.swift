import Domain
import Foundation
import Glibc
import Testing
import Vault

@testable import Operations

/// A vault into which runs of one source of WAL go, as those of the daemon do.
private struct KeptBench {
    static let passphrase = "a passphrase of this test"
    let files: WALFiles
    let workplace: Workplace
    let vaults = KeptVaults()
    let policy: Policy

    init() throws {
        files = try WALFiles()
        let bytes = Array(Self.passphrase.utf8)
        _ = try InitializeVault.run(
            .init(writeOnlyHost: false, kitPath: files.scratch.place("kit"), passphrase: { bytes }, suite: "blake3"),
            at: files.scratch.workplace(Self.passphrase))
        workplace = Workplace(vaultPath: files.scratch.place("vault"), statePath: files.scratch.place("state"))
        var policy = Policy(name: "log", component: .database, responsiblePerson: Person(name: "A"), sources: [])
        policy.data = [.wal(WALSource(name: "main"))]
        self.policy = policy
    }

    /// A run with one segment more. Without `vaults` as another process makes it.
    @discardableResult
    func run(_ number: UInt64, _ vaults: KeptVaults?, interrupted: Bool = false) throws -> String? {
        let spool = try WALSpool.shared("main", under: workplace.statePath)
        try files.give(WALFiles.segment(number), WALFiles.name(number), to: spool)
        var place = workplace
        place.interrupt = InterruptFlag()
        if interrupted { place.interrupt.set() }
        let report = try ArchiveTrees.run(.init(policy: policy), at: place, keeping: vaults)
        #expect(report.problemCount == 0 && report.warnings.isEmpty, "\(report.problems) \(report.warnings)")
        return report.archive
    }

    /// Looked at and given back.
    func kept() -> Vault? {
        guard let vault = vaults.take(workplace.vaultPath) else { return nil }
        vaults.give(vault, at: workplace.vaultPath)
        return vault
    }

    func archives() throws -> [String] { try OpenVault(workplace).vault.log.archives.map(\.id.hex) }

    var log: String { "\(workplace.vaultPath)/log" }
}

@Suite("A vault that runs of streamed logs hand on")
struct KeptVaultTests {
    @Test("Runs take it from each other, see what others archived meanwhile, and all their archives are whole")
    func handedOn() throws {
        let bench = try KeptBench()
        #expect(bench.kept() == nil)
        var made = [try bench.run(1, bench.vaults)]
        let vault = try #require(bench.kept())
        for number in UInt64(2)...7 {
            // Another process, now and then: its records come between.
            made.append(try bench.run(number, number.isMultiple(of: 3) ? nil : bench.vaults))
            #expect(bench.kept() === vault)
        }
        #expect(try bench.archives() == made.compactMap(\.self))
        let inventory = try WALInventory(
            source: "main", in: OpenVault(bench.files.scratch.workplace(KeptBench.passphrase)), all: true)
        #expect(inventory.unread == 0)
        for number in UInt64(1)...7 {
            let name = try #require(WALFileName(WALFiles.name(number)))
            #expect(inventory.holds(name, of: WALCluster(systemID: 7, incarnation: 1)))
        }
        let found = try VerifyVault.run(
            .init(readData: true, samplePercent: nil, withoutKeys: false),
            at: bench.files.scratch.workplace(KeptBench.passphrase))
        #expect(found.damage.isEmpty)
    }

    @Test("After a run that failed, after its time, and where nobody gives one, there is none")
    func none() throws {
        let bench = try KeptBench()
        #expect(throws: OperationError.self) { try bench.run(1, bench.vaults, interrupted: true) }
        #expect(bench.kept() == nil)
        try bench.run(2, bench.vaults)
        try #require(bench.kept() != nil)
        #expect(throws: OperationError.self) { try bench.run(3, bench.vaults, interrupted: true) }
        #expect(bench.kept() == nil)
        try bench.run(4, nil)
        #expect(bench.kept() == nil)
        try bench.run(5, bench.vaults)
        bench.vaults.letGo(at: MonotonicTime.now() + KeptVaults.keptSeconds / 2)
        #expect(bench.kept() != nil)
        bench.vaults.letGo(at: MonotonicTime.now() + KeptVaults.keptSeconds + 1)
        #expect(bench.kept() == nil)
    }

    @Test("It is not used when its newest record is gone or another one, or another directory stands at its path")
    func exchanged() throws {
        let bench = try KeptBench()
        try bench.run(1, bench.vaults)
        let newest = "\(bench.log)/\(try #require(try StateFile.list(bench.log).last))"
        let aside = bench.files.scratch.place("aside")
        try #require(bench.kept() != nil)
        #expect(rename(newest, aside) == 0)
        #expect(bench.kept() == nil)
        #expect(throws: VaultError.self) { try bench.run(2, bench.vaults) }
        #expect(rename(aside, newest) == 0)

        try bench.run(3, bench.vaults)
        try #require(bench.kept() != nil)
        let last = "\(bench.log)/\(try #require(try StateFile.list(bench.log).last))"
        let right = try Data(contentsOf: URL(filePath: last))
        try Data(right.reversed()).write(to: URL(filePath: last))
        #expect(bench.kept() == nil)
        #expect(throws: VaultError.self) { try bench.run(4, bench.vaults) }
        try right.write(to: URL(filePath: last))

        try bench.run(5, bench.vaults)
        try #require(bench.kept() != nil)
        #expect(rename(bench.workplace.vaultPath, aside) == 0)
        #expect(bench.kept() == nil)
        let error = #expect(throws: VaultError.self) { try bench.run(6, bench.vaults) }
        #expect(error?.kind == .noVault)
        try FileManager.default.copyItem(atPath: aside, toPath: bench.workplace.vaultPath)
        try bench.run(7, bench.vaults)
        #expect(try bench.archives().count == 4)
    }
}
