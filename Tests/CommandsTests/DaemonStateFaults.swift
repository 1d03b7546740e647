import Foundation
import Glibc

extension DaemonFaultTests {
    // MARK: State

    static var faultsOfState: [Fault] {
        [
            Fault(name: "a policy of the folder is invalid") {
                let bench = try FaultBench()
                try bench.start()
                try bench.policy("more", more: "colour: red\n")
                bench.signal(SIGHUP)
                try bench.raised("policiesNotInForce")
                try FileManager.default.removeItem(at: bench.desk.world.url("policies/more.yaml"))
                bench.signal(SIGHUP)
                try bench.cleared("policiesNotInForce")
                try bench.nothingElse()
            },
            Fault(name: "the register of applied policies is damaged") {
                let bench = try FaultBench()
                try bench.start()
                try bench.change("state/policies/00000001.json", "first start", "first stert")
                bench.signal(SIGHUP)
                try bench.raised("policiesNotInForce")
                // The set before stays in force.
                try bench.run(0)
                try bench.change("state/policies/00000001.json", "first stert", "first start")
                bench.signal(SIGHUP)
                try bench.cleared("policiesNotInForce")
                try bench.nothingElse()
            },
            Fault(name: "the document of alarms is invalid") {
                let bench = try FaultBench()
                try bench.start()
                try bench.change("alarms.yaml", "channels:", "chanels:")
                bench.signal(SIGHUP)
                try bench.raised("alarmsNotInForce")
                try bench.change("alarms.yaml", "chanels:", "channels:")
                bench.signal(SIGHUP)
                try bench.cleared("alarmsNotInForce")
                try bench.nothingElse()
            },
            Fault(name: "vault time is damaged") {
                try damaged("state/clock.json") { try $0.desk.world.write("state/clock.json", "{") }
            },
            Fault(name: "the scheduler's state is damaged") {
                try damaged("state/daemon/scheduler.json") {
                    try $0.desk.world.write("state/daemon/scheduler.json", "{")
                }
            },
            Fault(name: "a register is damaged") {
                let bench = try FaultBench()
                try bench.start()
                try bench.run(0)
                try bench.run(0)
                try bench.stop()
                let register = try bench.newest("state/registers") { $0.hasPrefix("runs.") }
                let whole = try Data(contentsOf: bench.desk.world.url(register))
                // In the first line: the last one may be torn without being damage.
                var bytes = whole
                bytes[40] ^= 1
                try bench.desk.world.write(register, bytes)
                try bench.start()
                try bench.raised("stateDamaged")
                try bench.stop()
                try bench.desk.world.write(register, whole)
                try bench.start()
                try bench.cleared("stateDamaged")
                try bench.nothingElse()
            },
            Fault(name: "the state cannot be written") {
                // Something is to be stored each second.
                let bench = try FaultBench(schedule: "*:*:0/1")
                try bench.start()
                try bench.move("state/daemon", "state/daemon-away")
                try bench.raised("stateNotKept")
                try bench.move("state/daemon-away", "state/daemon")
                try bench.cleared("stateNotKept", within: 25)
                try bench.nothingElse()
            },
        ]
    }

    /// A file of the state that is found damaged at a start, and is sound at the one after.
    private static func damaged(_ file: String, _ injure: (FaultBench) throws -> Void) throws {
        let bench = try FaultBench()
        try bench.start()
        while access(bench.path(file), F_OK) != 0 { usleep(100_000) }
        try bench.stop()
        let whole = try Data(contentsOf: bench.desk.world.url(file))
        try injure(bench)
        try bench.start()
        try bench.raised("stateDamaged")
        try bench.run(0)
        try bench.stop()
        try bench.desk.world.write(file, whole)
        try bench.start()
        try bench.cleared("stateDamaged")
        try bench.nothingElse()
    }

    // MARK: Channels

    static var faultsOfChannels: [Fault] {
        [
            Fault(name: "a channel is down") {
                let bench = try FaultBench()
                try bench.script("down", "exit 1")
                let alarms = try String(contentsOf: bench.desk.world.url("alarms.yaml"), encoding: .utf8)
                let down = "  down: {kind: command, command: [\(bench.path("down"))]}\n"
                try bench.desk.world.write("alarms.yaml", alarms + down)
                try bench.move("tree", "gone")
                try bench.start()
                try bench.run(1)
                try bench.raised("failed")
                try bench.hasTried(1)
                // It failed twice already, and is due: the waiting between is left out.
                try bench.skipWaiting(tries: 2)
                try bench.start()
                try bench.raised("undelivered")
                try bench.stop()
                try bench.script("down", "exit 0")
                try bench.skipWaiting(tries: 3)
                try bench.start()
                try bench.cleared("undelivered", within: 25)
                try bench.nothingElse()
            },
            Fault(name: "the address of the metrics is taken") {
                let bench = try FaultBench()
                // Not for the daemon: it would keep the address taken.
                let taken = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
                var length = socklen_t(MemoryLayout<sockaddr_in>.size)
                let port: UInt16? = withUnsafeMutablePointer(to: &address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                        guard bind(taken, place, length) == 0, listen(taken, 1) == 0,
                            getsockname(taken, place, &length) == 0
                        else { return nil }
                        return pointer.pointee.sin_port.bigEndian
                    }
                }
                guard let port else { throw FaultError(description: "no address could be taken") }
                try bench.start(["--metrics", "127.0.0.1:\(port)"])
                try bench.raised("notServed")
                try bench.run(0)
                close(taken)
                try bench.cleared("notServed", within: 25)
                try bench.nothingElse()
            },
        ]
    }
}

extension FaultBench {
    private static let kept = "state/daemon/alarms.json"

    /// Waits until a notice that waits was tried so often.
    func hasTried(_ tries: Int) throws {
        for _ in 0..<600 {
            let text = (try? String(contentsOf: desk.world.url(Self.kept), encoding: .utf8)) ?? ""
            if text.contains("\"tries\":\(tries)") { return }
            usleep(100_000)
        }
        throw FaultError(description: "no notice was tried \(tries) times")
    }

    /// Ends the daemon and makes what waits due, as if it had been tried so often.
    func skipWaiting(tries: Int) throws {
        try stop()
        try edit(Self.kept) { kept in
            let outbox = kept["outbox"] as? [[String: Any]] ?? []
            guard !outbox.isEmpty else { throw FaultError(description: "nothing waits to be told") }
            kept["outbox"] = outbox.map { waiting in
                waiting.merging(["tries": tries, "notBefore": 0]) { $1 }
            }
        }
    }
}
