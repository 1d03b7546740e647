import Foundation
import Glibc
import Testing

/// Faults of the real process, each with the alarm that it must raise within the time that docs/alarms.md states, and
/// how that is over again.
@Suite("Faults of the real daemon", .enabled(if: qalaBinary != nil))
struct DaemonFaultTests {
    private static func expectNone(_ faults: [Fault]) async {
        let mayMount = Fault.mayMount
        let complaints = await withTaskGroup(of: String?.self) { group in
            for fault in faults where mayMount || !fault.needsRoot { group.addTask { await fault.complaint() } }
            var found: [String] = []
            for await complaint in group { if let complaint { found.append(complaint) } }
            return found
        }
        #expect(complaints.isEmpty, "\(complaints.joined(separator: "\n"))")
    }

    @Test("Faults of sources and hooks are told within their time, and their end too")
    func sources() async { await Self.expectNone(Self.faultsOfSources) }

    @Test("Faults of the vault and of time are told within their time, and their end too")
    func vaults() async { await Self.expectNone(Self.faultsOfVaults + Self.faultsOfTime) }

    @Test("Faults of the daemon's own state, policies and channels are told within their time, and their end too")
    func states() async { await Self.expectNone(Self.faultsOfState + Self.faultsOfChannels) }

    @Test("A second daemon with the same state ends with 11, and the first tells nothing")
    func second() throws {
        let bench = try FaultBench()
        try bench.start()
        #expect(try bench.desk.start().wait().status == 11)
        try bench.run(0)
        usleep(12_000_000)
        try bench.nothingElse()
    }

    // MARK: Sources

    private static let hook = "hooks:\n  before:\n    - run: ["

    private static var faultsOfSources: [Fault] {
        [
            Fault(name: "a source vanished") {
                let bench = try FaultBench()
                try bench.start()
                try bench.move("tree", "gone")
                try bench.run(1)
                try bench.raised("failed")
                try bench.move("gone", "tree")
                try bench.run(0)
                try bench.cleared("failed")
                try bench.nothingElse()
            },
            Fault(name: "a file cannot be read", needsRoot: true) {
                let bench = try FaultBench()
                try bench.desk.world.write("tree/secret", "x\n")
                let secret = bench.path("tree/secret")
                try bench.start(
                    through: bench.through(
                        before: "mount --bind /proc/self/mem \(secret)",
                        later: "\(bench.awaiting("mend")); umount \(secret); touch \(bench.path("mended"))"))
                try bench.run(3)
                try bench.raised("partial")
                try bench.desk.world.write("mend", "")
                while access(bench.path("mended"), F_OK) != 0 { usleep(50_000) }
                try bench.run(0)
                try bench.cleared("partial")
                try bench.nothingElse()
            },
            Fault(name: "a hook fails") {
                let bench = try FaultBench()
                try bench.script("hook", "echo the database is locked >&2; exit 3")
                try bench.policy(more: "\(hook)\(bench.path("hook"))]\n")
                try bench.start()
                try bench.run(1)
                try bench.raised("failed")
                try bench.script("hook", "exit 0")
                try bench.run(0)
                try bench.cleared("failed")
                try bench.nothingElse()
            },
            Fault(name: "a hook hangs") {
                let bench = try FaultBench()
                try bench.script("hook", "exec sleep 600")
                try bench.policy(more: "\(hook)\(bench.path("hook"))]\n      timeout: 1 second\n")
                try bench.start()
                try bench.run(1)
                try bench.raised("failed")
                try bench.script("hook", "exit 0")
                try bench.run(0)
                try bench.cleared("failed")
                try bench.nothingElse()
            },
            Fault(name: "a log was emptied") {
                let bench = try FaultBench()
                try bench.policy(more: "  - logs: \(bench.path("logs/app.log"))\n")
                try bench.desk.world.write("logs/app.log", "one\ntwo\n")
                try bench.start()
                try bench.run(0)
                try bench.desk.world.write("logs/app.log", "x\n")
                try bench.run(3)
                try bench.raised("partial")
                try bench.run(0)
                try bench.cleared("partial")
                try bench.nothingElse()
            },
            Fault(name: "a log was rotated within a line") {
                let bench = try FaultBench()
                try bench.policy(more: "  - logs: \(bench.path("logs/app.log"))\n")
                try bench.desk.world.write("logs/app.log", "one\nhalf a li")
                try bench.start()
                try bench.run(0)
                try bench.move("logs/app.log", "logs/app.log.1")
                try bench.desk.world.write("logs/app.log", "two\n")
                try bench.run(3)
                try bench.raised("partial")
                try bench.run(0)
                try bench.cleared("partial")
                try bench.nothingElse()
            },
        ]
    }

    // MARK: Vaults

    private static var faultsOfVaults: [Fault] {
        [
            Fault(name: "the vault is not there") {
                let bench = try FaultBench()
                try bench.start()
                try bench.move("vault", "gone")
                try bench.run(1)
                try bench.raised("noVault")
                try bench.move("gone", "vault")
                try bench.run(0)
                try bench.cleared("noVault")
                try bench.nothingElse()
            },
            Fault(name: "the log of the vault is damaged") {
                let bench = try FaultBench()
                try bench.start()
                try bench.run(0)
                let record = try bench.newest("vault/log")
                try bench.flip(record)
                try bench.run(1)
                try bench.raised("damaged")
                try bench.flip(record)
                try bench.run(0)
                try bench.cleared("damaged")
                try bench.nothingElse()
            },
            Fault(name: "a stored object is damaged") {
                let bench = try FaultBench(changes: [("stored: 7 days", "stored: 2 seconds")])
                try bench.start()
                try bench.run(0)
                let pack = try bench.newest("vault/packs")
                try bench.flip(pack)
                // Its period, and how long the verification takes.
                try bench.raised("damaged", within: 20)
                try bench.flip(pack)
                try bench.cleared("damaged", within: 20)
                try bench.nothingElse()
            },
            Fault(name: "the key that reads is a wrong one") {
                let bench = try FaultBench(changes: [
                    ("stored: 7 days", "stored: 2 seconds"), ("content: 30 days", "content: 3 seconds"),
                ])
                try bench.desk.world.write("bad-key", "no key at all\n")
                try bench.start(["--key-file", bench.path("bad-key")])
                try bench.run(0)
                try bench.raised("notVerified", within: 20)
                try bench.stop()
                try bench.start(["--key-file", bench.path("kit.txt")])
                try bench.cleared("notVerified", within: 20)
                try bench.nothingElse()
            },
            Fault(name: "the disk of the vault is full", needsRoot: true) {
                let bench = try FaultBench()
                let (vault, keep) = (bench.path("vault"), bench.path("keep"))
                let before = """
                    cp -a \(vault) \(keep) && mount -t tmpfs -o size=300m none \(vault) && cp -a \(keep)/. \(vault) && \
                    head -c 400m /dev/zero > \(vault)/filler 2>/dev/null
                    """
                try bench.start(
                    through: bench.through(
                        before: before,
                        later: "\(bench.awaiting("mend")); rm \(vault)/filler; touch \(bench.path("mended"))"))
                try bench.raised("lowSpace")
                try bench.run(1)
                try bench.raised("failed")
                try bench.desk.world.write("mend", "")
                while access(bench.path("mended"), F_OK) != 0 { usleep(50_000) }
                try bench.run(0)
                try bench.cleared("failed")
                try bench.cleared("lowSpace")
                try bench.nothingElse()
            },
            Fault(name: "a volume is due for verification") {
                let bench = try FaultBench()
                let made = try bench.desk.world.qala(
                    ["volume", "create", "volume", "--shelf", "1", "--title", "A", "--secret", "secret"] + World.byKit)
                guard made.status == 0 else { throw FaultError(description: made.errorText) }
                let record = try bench.newest("state/volumes") { $0.hasSuffix(".json") }
                let whole = try Data(contentsOf: bench.desk.world.url(record))
                let text = String(decoding: whole, as: UTF8.self)
                // One of before there were digests.
                let old = text.replacing(/"verifyBy"\s*:\s*"[^"]*"/, with: "\"verifyBy\" : \"2020-01-01T00:00:00Z\"")
                    .replacing(/"digest"\s*:\s*"[^"]*",/, with: "")
                guard old != text else { throw FaultError(description: "the record names no date") }
                try bench.desk.world.write(record, old)
                try bench.start()
                try bench.raised("volumeUnverified")
                try bench.stop()
                try bench.desk.world.write(record, whole)
                try bench.start()
                try bench.cleared("volumeUnverified")
                try bench.nothingElse()
            },
        ]
    }

    // MARK: Time

    private static func day(in seconds: Double) -> String {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(secondsFromGMT: 0)
        formatter.dateFormat = "yyyy-MM-dd"
        return formatter.string(from: Date(timeIntervalSinceNow: seconds))
    }

    private static var faultsOfTime: [Fault] {
        [
            Fault(name: "nothing is archived within the RPO") {
                let bench = try FaultBench(
                    schedule: "*:*:0/1",
                    changes: [("rpo: 7 hours", "rpo: 20 seconds"), ("lag: 1 hour", "lag: 1 second")])
                try bench.start()
                try bench.run(0)
                guard try bench.desk.ask("pause", "often").status == 0 else { throw FaultError(description: "pause") }
                try bench.raised("overdue", within: 20 + 15)
                let listed = try bench.desk.json("alarms")["alarms"] as? [[String: Any]] ?? []
                guard !listed.contains(where: { $0["kind"] as? String == "paused" }) else {
                    throw FaultError(description: "a pause of seconds is listed as one of a day")
                }
                guard try bench.desk.ask("resume", "often").status == 0 else { throw FaultError(description: "resume") }
                try bench.cleared("overdue")
                try bench.nothingElse()
            },
            Fault(name: "the term of the responsible person ends") {
                let bench = try FaultBench()
                let last = day(in: 5 * 86_400)
                let people = try Data(contentsOf: bench.desk.world.url("policies/people.yaml"))
                try bench.change("policies/people.yaml", "# until: 2030-12-31", "until: \(last)")
                try bench.start()
                try bench.raised("termEnds")
                try bench.desk.world.write("policies/people.yaml", people)
                let applied = try bench.desk.ask(
                    "policy", "apply", bench.path("policies"), "--author", "archivist", "--reason", "appointed again")
                guard applied.status == 0 else { throw FaultError(description: applied.errorText) }
                try bench.cleared("termEnds")
                try bench.nothingElse()
            },
            Fault(name: "the daemon was killed and away for ten minutes") {
                let bench = try FaultBench()
                try bench.start()
                try bench.run(0)
                let kept = bench.desk.world.url("state/daemon/alarms.json")
                // Its first sign of life.
                while access(kept.path, F_OK) != 0 { usleep(100_000) }
                try bench.stop(SIGKILL)
                try bench.edit("state/daemon/alarms.json") { kept in
                    guard let alive = kept["alive"] as? Int else { throw FaultError(description: "no sign of life") }
                    kept["alive"] = alive - 600
                }
                try bench.start()
                // What happened is not over by itself.
                try bench.raised("outage")
                try bench.nothingElse()
            },
        ]
    }
}

extension FaultBench {
    /// Changes an object of JSON.
    func edit(_ name: String, _ change: (inout [String: Any]) throws -> Void) throws {
        let found = try JSONSerialization.jsonObject(with: try Data(contentsOf: desk.world.url(name)))
        guard var object = found as? [String: Any] else { throw FaultError(description: "\(name) is no object") }
        try change(&object)
        try desk.world.write(name, try JSONSerialization.data(withJSONObject: object))
    }
}
