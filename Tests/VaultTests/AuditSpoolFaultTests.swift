import Domain
import TestSupport
import Testing
import Vault

/// Acts of a command while the disk fails.
@Suite("Audit: faults under the spool")
struct AuditSpoolFaultTests {
    private static let spoolPath = "/srv/spool"

    /// Records four acts; one that fails is tried again with a spool of its own, as the daemon does.
    private func live(_ calls: any FileSystemCalls) -> [String] {
        var acknowledged: [String] = []
        var seconds: Int64 = 1000
        func made() -> AuditSpool {
            seconds += 1
            let now = seconds
            return AuditSpool(directory: Self.spoolPath, clock: { Timestamp(seconds: now) }, calls: calls)
        }
        var spool = made()
        for number in 0..<4 {
            for _ in 0..<2 {
                do throws(VaultError) {
                    try spool.append(AuditBench.act(1, run: "r\(number)"))
                    acknowledged.append("r\(number)")
                    break
                } catch { spool = made() }
            }
        }
        return acknowledged
    }

    @Test("Every call fails, once or from then on: what was acknowledged reaches the log, in order")
    func faults() throws {
        let effects: [FaultyCalls.Effect] = [.fail(28), .fail(5), .failAfterwards(5), .short(3), .fail(4)]
        for lasts in [false, true] {
            for effect in lasts ? Array(effects.prefix(2)) : effects {
                var ordinal = 1
                while true {
                    let note = "call \(ordinal), \(effect), lasts \(lasts)"
                    let disk = SimulatedDisk()
                    let calls = FaultyCalls(disk, [.init(nil, ordinal, effect, lasts: lasts)])
                    let acknowledged = live(calls)
                    if calls.hits == 0 { break }
                    if !lasts { #expect(acknowledged == ["r0", "r1", "r2", "r3"], "\(note)") }
                    let log = try AuditBench.open(disk)
                    let done = try log.importSpool(Self.spoolPath)
                    #expect(done.damaged.isEmpty && done.busy == 0, "\(note)")
                    var found: [String] = []
                    // One that failed may have been recorded all the same.
                    try log.entries(0..<log.size) { entry in
                        if !entry.act.run.isEmpty, found.last != entry.act.run { found.append(entry.act.run) }
                    }
                    #expect(found.starts(with: acknowledged), "\(note): \(found)")
                    #expect(found.count <= acknowledged.count + (lasts ? 1 : 0), "\(note): \(found)")
                    #expect(try log.verify().isClean, "\(note)")
                    ordinal += 1
                }
                #expect(ordinal > 10)
            }
        }
    }
}
