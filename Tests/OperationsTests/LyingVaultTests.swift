import Domain
import Foundation
import Testing

@testable import Operations
@testable import Vault

@Suite("A vault whose writer lies")
struct LyingVaultTests {
    static let lies =
        liesAboutNames + liesAboutOrder + liesAboutCounts + liesAboutContents + liesOfSeveralEntries + liesAboutNodes

    @Test("There are as many lies as promised")
    func enough() { #expect(Self.lies.count >= 100) }

    @Test("A restore neither leaves its target nor believes; verifying and listing agree and end", arguments: lies)
    func restore(_ lie: Lie) throws {
        let vault = try LyingVault()
        try lie.tell(vault)
        let before = try vault.surroundings()
        let outcome = vault.restore()
        #expect(try vault.surroundings() == before, "something beside the target changed")
        let verified = try VerifyVault.run(
            VerifyVault.Request(readData: true, samplePercent: nil, withoutKeys: false), at: vault.workplace)
        let listed = Result {
            try ListEntries.run(archive: "latest", path: nil, recursive: true, at: vault.workplace) { _ in }
        }
        switch (lie.reception, outcome) {
        case (.refused, .failure(let error)):
            let failure = try #require(error as? any Failure, "\(error)")
            #expect(failure.kind == .damaged)
            #expect(!failure.message.isEmpty)
            #expect(!verified.damage.isEmpty, "verifying did not find what a restore refuses")
            #expect(throws: VaultError.self, "listing did not find what a restore refuses") { try listed.get() }
        case (.problem, .success(let report)):
            #expect(report.problemCount > 0 && report.isPartial)
            #expect(report.problems.allSatisfy { !$0.reason.isEmpty })
        case (.harmless, .success(let report)): #expect(report.problemCount == 0, "\(report.problems)")
        case (_, .success(let report)): Issue.record("it was restored: \(report)")
        case (_, .failure(let error)): Issue.record("the restore ended: \(error)")
        }
        // Whatever they say, they return.
        _ = try MaintainVault.stats(at: vault.workplace)
        _ = Result { try CompareArchives.run("latest", "latest", at: vault.workplace) { _ in } }
    }

    @Test("The honest page that the lies are made from is restored")
    func honest() throws {
        let vault = try LyingVault()
        var page = HandmadePage()
        page.chunks = [try vault.data("hello")]
        page.add(utf8("a"), flags: 1)
        page.addFile("a/b", length: 5)
        try vault.commit(page: page.bytes, firstPath: utf8("a"), entries: 2)
        let report = try vault.restore(verify: true).get()
        #expect(report.problemCount == 0 && report.verified == 1)
        #expect(try String(contentsOfFile: vault.targetPath + "/a/b", encoding: .utf8) == "hello")
    }

    @Test("A frame made by hand decompresses when it is honest")
    func honestFrame() throws {
        let frame = ZstandardFrame.ofZeros(1 << 20)
        let out = RawBuffer(count: 1 << 20)
        try frame.withUnsafeBytes { try Decompressor().decompress($0, into: out.bytes) }
        #expect(out.bytes.allSatisfy { $0 == 0 })
    }

    @Test("A manifest that claims an object of 2^64 - 1 bytes is damage, not a trap")
    func hugeObject() throws {
        let vault = try LyingVault()
        var page = HandmadePage()
        page.add(utf8("a"), flags: 1)
        let id = try vault.add(page.bytes, .page)
        let root = try vault.node(1, [NodeChild(firstPath: utf8("a"), id: id, entries: 1)])
        try vault.commit(root: root) { manifest in
            manifest.references = manifest.references.map { ObjectReference(digest: $0.digest, length: .max) }
            manifest.packs[0].length = .max
        }
        for readData in [false, true] {
            let report = try VerifyVault.run(
                VerifyVault.Request(readData: readData, samplePercent: nil, withoutKeys: false), at: vault.workplace)
            #expect(report.damage.contains { $0.object.hasPrefix("refs/") })
        }
        #expect(try MaintainVault.stats(at: vault.workplace).packBytes == .max)
    }

    @Test("A segment that claims to replace itself is damage, not endless")
    func circularSegments() throws {
        let vault = try LyingVault()
        var page = HandmadePage()
        page.add(utf8("a"), flags: 1)
        let id = try vault.add(page.bytes, .page)
        let root = try vault.node(1, [NodeChild(firstPath: utf8("a"), id: id, entries: 1)])
        let missing = ObjectReference(digest: Digest(words: (1, 2, 3, 4)), length: 100)
        try vault.commit(root: root) { $0.segments = [.init(object: missing, replaced: [missing.digest])] }
        let outcome = vault.restore()
        #expect { try outcome.get() } throws: { ($0 as? VaultError)?.code == .damaged }
        #expect(throws: VaultError.self) { try MaintainVault.rebuildIndex(at: vault.workplace) }
    }
}
