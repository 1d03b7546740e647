import Documents
import Domain
import Foundation
import Glibc
import TestSupport
import Testing
import Vault

@testable import Operations

/// Each call of what is written to the state fails once, or from then on: what was acknowledged is there, and nothing that a
/// failure leaves keeps the next start from going on.
@Suite("Faults of the disk under the state")
struct StateFaultTests {
    private static let effects: [FaultyCalls.Effect] = [
        .fail(ENOSPC), .fail(EIO), .failAfterwards(EIO), .short(3), .fail(EINTR),
    ]

    /// A folder without a disk below it, where there is one: very much is synced here.
    private static func withFolder(_ body: (String) throws -> Void) throws {
        let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NSTemporaryDirectory()
        let folder = "\(base)/qala-faults-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private typealias Trial = (
        _ folder: String, _ calls: FaultyCalls, _ fault: FaultyCalls.Fault, _ note: String
    ) throws -> Int

    /// Calls `trial` with a fault at every call that it makes. It arms the calls when it is ready, and returns how many were
    /// hit.
    private static func everywhere(lasts: Bool, _ trial: Trial) throws {
        for effect in lasts ? Array(effects.prefix(2)) : effects {
            var ordinal = 1
            var isOver = false
            while !isOver {
                try withFolder { folder in
                    let calls = FaultyCalls(LinuxCalls.shared)
                    let fault = FaultyCalls.Fault(nil, ordinal, effect, lasts: lasts)
                    isOver = try trial(folder, calls, fault, "call \(ordinal), \(effect), lasts \(lasts)") == 0
                }
                ordinal += 1
                try #require(ordinal < 1000)
            }
            #expect(ordinal > 3, "nothing was called")
        }
    }

    // MARK: Registers

    private static func read(_ folder: String) throws -> (kinds: [String], reading: RegisterFiles.Reading) {
        var kinds: [String] = []
        let reading = try RegisterFiles(state: folder, .runs).read { kinds.append($0.kind) }
        return (kinds, reading)
    }

    @Test("A register: one fault, then a repetition; every line stands there once, in order")
    func registerGoesOn() throws {
        try Self.everywhere(lasts: false) { folder, calls, fault, note in
            let writer = try RegisterWriter(RegisterFiles(state: folder, .runs), fileBytes: 400, calls: calls)
            calls.arm([fault])
            for number in 0..<5 {
                do { try writer.append("2026-11-22T00:00:00Z", "k\(number)", ["a": "b"]) } catch {
                    try writer.append("2026-11-22T00:00:00Z", "k\(number)", ["a": "b"])
                }
            }
            let found = try Self.read(folder)
            #expect(found.kinds == ["k0", "k1", "k2", "k3", "k4"], "\(note)")
            #expect(found.reading.damage.isEmpty && found.reading.tornBytes == 0, "\(note)")
            return calls.hits
        }
    }

    @Test(
        "A register: the process ends at the fault; the next one goes on behind what was acknowledged",
        arguments: [false, true])
    func registerStartsAgain(lasts: Bool) throws {
        try Self.everywhere(lasts: lasts) { folder, calls, fault, note in
            var acknowledged: [String] = []
            do {
                let writer = try RegisterWriter(RegisterFiles(state: folder, .runs), fileBytes: 400, calls: calls)
                calls.arm([fault])
                for number in 0..<5 {
                    try writer.append("2026-11-22T00:00:00Z", "k\(number)", ["a": "b"])
                    acknowledged.append("k\(number)")
                }
            } catch is OperationError {}
            let left = try Self.read(folder)
            #expect(left.reading.damage.isEmpty, "\(note)")
            let next = try RegisterWriter(RegisterFiles(state: folder, .runs), fileBytes: 400)
            try next.append("2026-11-22T00:00:01Z", "end", [:])
            let found = try Self.read(folder)
            #expect(found.reading.damage.isEmpty && found.reading.tornBytes == 0, "\(note)")
            #expect(found.kinds.last == "end" && found.kinds.starts(with: acknowledged), "\(note)")
            // At most the line that was not acknowledged is there beside them.
            #expect(found.kinds.count <= acknowledged.count + 2, "\(note)")
            return calls.hits
        }
    }

    @Test("The daemon's registers keep what the disk does not take, and write it when it does")
    func waiting() throws {
        try Self.everywhere(lasts: true) { folder, calls, fault, note in
            let registers = try DaemonRegisters(state: folder, calls: calls)
            calls.arm([fault])
            var isFull = false
            for number in 0..<4 {
                registers.put(.runs, "2026-11-22T00:00:00Z", "k\(number)", [:])
                registers.note(ProblemLedger.Event.refused(message: "m\(number)"), at: "2026-11-22T00:00:00Z")
                do { try registers.flush() } catch { isFull = true }
            }
            #expect(!isFull || calls.hits > 0, "\(note)")
            let hits = calls.hits
            calls.arm([])
            try registers.flush()
            let found = try Self.read(folder)
            // Where a line could not be cut off again, it may stand there twice.
            var once: [String] = []
            for kind in found.kinds where once.last != kind { once.append(kind) }
            #expect(once == ["k0", "k1", "k2", "k3"], "\(note)")
            #expect(found.reading.damage.isEmpty && found.reading.tornBytes == 0, "\(note)")
            let again = try DaemonRegisters(state: folder)
            #expect(again.damage.isEmpty && again.ledger.openProblems.count == 1, "\(note)")
            return hits
        }
    }

    // MARK: Applied policies

    private static func documents(_ years: Int) -> PolicySetDocument {
        let people = "people:\n  chief: {name: Chief}\n"
        let policy = """
            policy: letters
            component: documentation
            responsible: {person: chief}
            sources: [{files: /srv/letters}]
            retention: {keep-for: \(years) years}
            """
        return PolicySetDocument([
            DocumentText(file: "people.yaml", bytes: Array(people.utf8)),
            DocumentText(file: "letters.yaml", bytes: Array(policy.utf8)),
        ])
    }

    private static func append(_ register: PolicyRegister, from: PolicySetDocument, to: PolicySetDocument) throws {
        let proposal = try PolicyProposal(from: from, to: to, author: "chief", reason: "more", at: 1)
        let lock = try register.lock()
        _ = try register.append(
            proposal, .init(origin: .applied, approvals: [], time: 1_748_779_200), holding: lock)
    }

    @Test(
        "The register of applied policies: what is in force is the version before or the new one, and it goes on",
        arguments: [false, true])
    func policies(lasts: Bool) throws {
        try Self.everywhere(lasts: lasts) { folder, calls, fault, note in
            let sets: [PolicySetDocument] = [.nothing] + (1...4).map { Self.documents($0) }
            let sound = PolicyRegister(statePath: folder)
            try Self.append(sound, from: sets[0], to: sets[1])
            try Self.append(sound, from: sets[1], to: sets[2])
            calls.arm([fault])
            var isAcknowledged = false
            do {
                try Self.append(PolicyRegister(statePath: folder, calls: calls), from: sets[2], to: sets[3])
                isAcknowledged = true
            } catch is any Failure {}
            let count = try sound.versions().count
            #expect(count == 3 || !isAcknowledged && count == 2, "\(note)")
            let newest = try sound.newest()
            #expect(newest?.digest == sets[count].digest, "\(note)")
            if count == 2 { try Self.append(sound, from: sets[2], to: sets[3]) }
            try Self.append(sound, from: sets[3], to: sets[4])
            #expect(try sound.versions().map(\.number) == [1, 2, 3, 4], "\(note)")
            return calls.hits
        }
    }

    // MARK: Alarms

    @Test(
        "The book of alarms: after a fault it is as it was or as it is to be, and the next look stores it",
        arguments: [false, true])
    func alarms(lasts: Bool) throws {
        func watch(_ problems: [String], _ full: Bool) -> AlarmWatch {
            var watch = AlarmWatch()
            watch.policyProblems = problems
            if full { watch.stateProblem = "no space left" }
            return watch
        }
        func kinds(_ desk: AlarmDesk) -> Set<Alarm.Kind> { Set(desk.open.map(\.alarm.kind)) }
        try Self.everywhere(lasts: lasts) { folder, calls, fault, note in
            let path = folder + "/alarms.json"
            let desk = AlarmDesk(path: path, calls: calls)
            desk.update(watch(["a"], false), responsible: { _ in [] }, at: 1_800_000_000)
            #expect(desk.storeProblem == nil)
            calls.arm([fault])
            desk.update(watch(["a"], true), responsible: { _ in [] }, at: 1_800_000_010)
            let stored = kinds(AlarmDesk(path: path))
            #expect(stored.contains(.policiesNotInForce), "\(note)")
            if desk.storeProblem == nil { #expect(stored.contains(.stateNotKept), "\(note)") }
            let hits = calls.hits
            calls.arm([])
            desk.update(watch(["a"], true), responsible: { _ in [] }, at: 1_800_000_100)
            #expect(desk.storeProblem == nil && kinds(AlarmDesk(path: path)).contains(.stateNotKept), "\(note)")
            return hits
        }
    }
}
