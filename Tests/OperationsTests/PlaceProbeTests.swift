import Domain
import Foundation
import Glibc
import Synchronization
import Testing
import Vault

@testable import Operations

@Suite("File systems that do not answer")
struct PlaceProbeTests {
    /// A file system that hangs until it is let go, and counts who asks it.
    private final class Hanging: Sendable {
        let isOver = InterruptFlag()
        let asked = Atomic(0)

        func look(_ path: String) -> Place? {
            guard path.hasSuffix("/hangs") else { return Place.of(path) }
            asked.add(1, ordering: .relaxed)
            while !isOver.isSet { usleep(5000) }
            return Place(device: 7, room: DiskRoom(available: 1, size: 2), hasVault: true)
        }
    }

    @Test("Nobody waits longer than the patience, and only once; one thread asks, and the answer comes when it can")
    func patience() throws {
        let hanging = Hanging()
        let probe = PlaceProbe(patience: 0.3) { hanging.look($0) }
        let start = MonotonicTime.now()
        #expect(probe.ask("/hangs") == .unknown)
        let first = MonotonicTime.now() - start
        #expect(first >= 0.29 && first < 10)
        for _ in 0..<50 { #expect(probe.ask("/hangs") == .unknown) }
        #expect(MonotonicTime.now() - start < first + 10)
        #expect(hanging.asked.load(ordering: .relaxed) == 1)
        // Others answer meanwhile.
        #expect(try #require(probe.ask("/").place).room.size > 0)
        #expect(probe.ask("/there is no such folder") == .known(nil))
        hanging.isOver.set()
        var found: Place?
        for _ in 0..<1000 where found == nil {
            usleep(10_000)
            found = probe.ask("/hangs").place
        }
        #expect(found?.device == 7)
    }

    @Test("A daemon whose vault hangs goes on turning: it answers, tells that the vault does not, and ends")
    func daemon() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "qala-hangs-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let policies = folder.appending(path: "policies")
        let shipped = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Policies")
        try FileManager.default.createDirectory(at: policies, withIntermediateDirectories: true)
        for name in ["people.yaml", "config.yaml"] {
            let text = try Data(contentsOf: shipped.appending(path: name))
            try text.write(to: policies.appending(path: name))
            chmod(policies.appending(path: name).path, 0o644)
        }
        chmod(policies.path, 0o755)
        let hanging = Hanging()
        defer { hanging.isOver.set() }
        let daemon = try await Daemon.start(
            .init(
                statePath: folder.path + "/state", policyFolder: policies.path, vaultPath: folder.path + "/hangs",
                version: "test", alarmsPath: folder.path + "/alarms.yaml", reserveBytes: 0),
            notifier: ServiceNotifier { _ in nil }, places: PlaceProbe(patience: 3) { hanging.look($0) },
            emit: { _ in })
        let loop = Task { await daemon.serve() }
        var ready = Daemon.Health(isGood: true, text: "")
        for _ in 0..<100 where ready.isGood || !ready.text.contains("does not answer") {
            try await Task.sleep(nanoseconds: 50_000_000)
            ready = await daemon.readiness()
        }
        #expect(!ready.isGood && ready.text.contains("does not answer"), "\(ready.text)")
        // The loop may have to begin yet, and its first turns wait for the vault.
        var health = Daemon.Health(isGood: false, text: "")
        for _ in 0..<200 where !health.isGood {
            try await Task.sleep(nanoseconds: 50_000_000)
            health = await daemon.health()
        }
        #expect(health.isGood, "\(health.text)")
        let metrics = await daemon.metricsText()
        #expect(metrics.contains("qala_filesystem_available_bytes{place=\"state\"}"))
        #expect(!metrics.contains("qala_filesystem_available_bytes{place=\"vault\"}"))
        #expect(hanging.asked.load(ordering: .relaxed) == 1)
        await daemon.stop()
        await loop.value
    }
}
