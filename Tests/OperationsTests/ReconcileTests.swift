import Domain
import Foundation
import Testing

@testable import Operations

@Suite("Findings of the comparison of registers and vaults")
struct ReconcileFindingTests {
    @Test("Each kind says what it is about and what to do, in both languages", arguments: ReconcileKind.allCases)
    func texts(kind: ReconcileKind) {
        let finding = ReconcileFinding(kind, "SUBJECT", at: ["place"], "DETAIL")
        for language in Language.allCases {
            let what = finding.what[language].joined()
            #expect(what.contains("SUBJECT") || what.contains("DETAIL"))
            #expect(finding.next[language].first?.isEmpty == false)
        }
        #expect(finding.what.en != finding.what.az && finding.next.en != finding.next.az)
    }

    @Test("Open problems of policies and vaults that are out of force are notices; of others nothing is told")
    func problems() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "qala-reconcile-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let state = folder.path
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let writer = try RegisterWriter(RegisterFiles(state: state, .problems))
        var ledger = ProblemLedger(keepsClosed: false)
        let names = [
            "here", "gone", "closed", "verification (stored) of /vault", "verification (stored) of /old", "",
            "removal of originals of here", "removal of originals of gone",
            ToldOutcome.verification(ofVolume: "3fa91c0277be4d10", opened: true),
        ]
        for name in names {
            let event: ProblemLedger.Event =
                name.isEmpty
                ? .refused(message: "x") : .ended(policy: name, run: "run-\(name)", .failed, message: "x")
            for change in ledger.handle(event, at: "2026-11-22T00:00:00Z") {
                try writer.append("2026-11-22T00:00:00Z", change.act.rawValue, change.fields)
            }
        }
        let passed = ProblemLedger.Event.ended(policy: "closed", run: "later", .done, message: "")
        for change in ledger.handle(passed, at: "2026-11-22T01:00:00Z") {
            try writer.append("2026-11-22T01:00:00Z", change.act.rawValue, change.fields)
        }
        var claims = ReconcileClaims()
        try claims.readProblems(state: state, policies: ["here"], places: ["/vault", "volume 3fa91c0277be4d10"])
        #expect(claims.findings.map(\.subject) == ["2", "5", "8"])
        #expect(claims.findings.allSatisfy { $0.kind == .problemOutOfForce && $0.kind.isNotice })
    }

    @Test("The register of moved originals claims each archive once, and one that is changed is named")
    func moved() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "qala-reconcile-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let archive = Digest(words: (1, 2, 3, 4))
        let files = ["0123456789abcdef", "fedcba9876543210"].map { id in
            MovedFile(
                id: id, policy: "letters", policies: 1, vault: "v", archive: archive, path: Array("srv/\(id)".utf8),
                size: 1, sha256: "", stamp: "", time: 1)
        }
        let register = try MovedRegister(state: folder.path)
        try register.write(moving: files)
        try register.write(.moved, files.map(\.id))
        var claims = ReconcileClaims()
        try claims.readMoved(state: folder.path)
        #expect(claims.moved == ["v": [archive.hex]] && claims.findings.isEmpty)
        let file = folder.appending(path: "registers/moved.000000000001.jsonl")
        let text = try String(contentsOf: file, encoding: .utf8)
        try text.replacingOccurrences(of: "letters", with: "others").write(to: file, atomically: false, encoding: .utf8)
        var changed = ReconcileClaims()
        try changed.readMoved(state: folder.path)
        #expect(changed.findings.map(\.kind).contains(.registerDamaged))
    }
}
