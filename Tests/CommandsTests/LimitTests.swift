import Foundation
import Glibc
import Testing

@Suite("Limits of a policy", .serialized, .enabled(if: qalaBinary != nil))
struct LimitTests {
    private func writePolicy(_ world: World, _ more: String) throws {
        let policy = """
            policy: limited
            component: config
            responsible: {name: A}
            confidentiality: internal
            sources:
              - files: \(world.path("tree"))
            \(more)
            """
        try world.write("limited.yaml", policy)
    }

    private func noise(_ count: Int, seed: UInt64) -> Data {
        var state = seed
        var bytes = Data(capacity: count)
        while bytes.count < count {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            withUnsafeBytes(of: state ^ state >> 29) { bytes.append(contentsOf: $0) }
        }
        return bytes.prefix(count)
    }

    private func seconds(_ body: () throws -> Finished) throws -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        let finished = try body()
        #expect(finished.status == 0, "\(finished.errorText)")
        let taken = clock.now - start
        return Double(taken.components.seconds) + Double(taken.components.attoseconds) / 1e18
    }

    @Test("12 MiB, large and small files, take two seconds and more at 4 MiB a second, and come back")
    func bandwidth() throws {
        let world = try World(inMemory: true)
        defer { world.remove() }
        try world.write("tree/large", noise(9 << 20, seed: 1))
        for number in 0..<48 { try world.write("tree/small/\(number)", noise(64 << 10, seed: UInt64(number) + 2)) }
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        try writePolicy(world, "limits: {bandwidth: 4 MiB/s}")
        let limited = try seconds { try world.qala("run", world.path("limited.yaml")) }
        #expect(limited >= 2, "took \(limited) s")
        // What is unchanged is not read again, and costs nothing.
        let again = try seconds { try world.qala("run", world.path("limited.yaml")) }
        #expect(again < limited - 0.5, "took \(again) s")
        let restored = try world.qala(
            "restore", "latest", "--to", world.path("back"), "--key-file", world.path("kit.txt"))
        #expect(restored.status == 0, "\(restored.errorText)")
        let back = world.path("back") + world.path("tree")
        for name in ["large", "small/0", "small/47"] {
            #expect(
                FileManager.default.contents(atPath: "\(back)/\(name)")
                    == FileManager.default.contents(atPath: world.path("tree/\(name)")))
        }
    }

    @Test("A run that waits for its limit ends at once when it is interrupted, and the next one resumes it")
    func interrupted() throws {
        let world = try World(inMemory: true)
        defer { world.remove() }
        try world.write("tree/large", noise(24 << 20, seed: 3))
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        try writePolicy(world, "limits: {bandwidth: 64 KiB/s}")
        let run = try world.start(["run", world.path("limited.yaml")])
        usleep(1_000_000)
        let asked = MonotonicSeconds.now()
        run.send(SIGINT)
        #expect(try run.wait().status == 130)
        #expect(MonotonicSeconds.now() - asked < 20)
        try writePolicy(world, "")
        #expect(try world.qala("run", world.path("limited.yaml")).status == 0)
        #expect(try world.archives().count == 1)
    }

    @Test("The processor time of a run stays within its share of all processors")
    func processors() throws {
        let world = try World(inMemory: true)
        defer { world.remove() }
        for number in 0..<256 {
            // Letters at random from few: it is work to compress them.
            let bytes = noise(48 << 10, seed: UInt64(number) + 100).map { UInt8(0x61 + $0 % 13) }
            try world.write("tree/\(number)", Data(bytes))
        }
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        // Half of one processor, however many there are.
        let count = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        let percent = max(1, 50 / count)
        try writePolicy(world, "compression-level: 15\nlimits: {cpu: \(percent)%}")
        let start = MonotonicSeconds.now()
        let run = try world.start(["run", world.path("limited.yaml")])
        // Nobody waits for it yet: what it used stays readable when it has ended.
        var fields: [Substring] = []
        while fields.first != "Z", MonotonicSeconds.now() - start < 100 {
            usleep(10_000)
            fields = run.told("stat").split(separator: ")").last?.split(separator: " ") ?? []
        }
        let wall = MonotonicSeconds.now() - start
        #expect(try run.wait().status == 0)
        try #require(fields.count > 13)
        let ticks = (Double(fields[11]) ?? 0) + (Double(fields[12]) ?? 0)
        let used = ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
        let share = Double(percent * count) / 100
        print("limit of processors: \(used) s of processor time in \(wall) s, \(share) allowed")
        #expect(used > 0.8, "too little work to tell")
        #expect(used / wall < share * 1.3, "\(used) s in \(wall) s")
    }
}

private enum MonotonicSeconds {
    static func now() -> Double {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }
}
