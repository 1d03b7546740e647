import Domain
import Foundation
import Glibc
import Testing

@testable import Operations

@Suite("The desk of alarms")
struct AlarmDeskTests {
    private static let start: Int64 = 1_800_000_000

    /// A folder that goes away with the value.
    private final class Place {
        let folder: String

        init() throws {
            let made = FileManager.default.temporaryDirectory.appending(path: "qala-alarms-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: made, withIntermediateDirectories: true)
            folder = made.path
        }

        deinit { try? FileManager.default.removeItem(atPath: folder) }

        func path(_ name: String) -> String { "\(folder)/\(name)" }
        func text(_ name: String) -> String { (try? String(contentsOfFile: path(name), encoding: .utf8)) ?? "" }
        func exists(_ name: String) -> Bool { access(path(name), F_OK) == 0 }

        /// A desk with one channel, a line of shell.
        func desk(_ line: String = "true") -> AlarmDesk {
            let desk = AlarmDesk(path: path("alarms.json"))
            desk.use(AlarmSettings(channels: [AlarmChannel(name: "one", means: .command(["/bin/sh", "-c", line]))]))
            return desk
        }

        func wait(_ what: String, _ isSo: () -> Bool) {
            for _ in 0..<1200 {
                if isSo() { return }
                usleep(50_000)
            }
            Issue.record("waited in vain for \(what)")
        }
    }

    private static var watch: AlarmWatch {
        var watch = AlarmWatch()
        watch.policyProblems = ["db.yaml:3:1: unknown key"]
        return watch
    }

    private static func update(_ desk: AlarmDesk, at time: Int64) {
        desk.update(watch, responsible: { _ in [] }, at: time)
    }

    @Test("What happens again within ten minutes joins what was told, and is told anew after that")
    func joined() throws {
        let place = try Place()
        let desk = place.desk()
        func told(at seconds: Int64) -> [AlarmNotice] {
            let time = Self.start + seconds
            desk.note(.init(Alarm(.missedRuns, "\(time)"), "at \(seconds)", at: time))
            return desk.update(AlarmWatch(), responsible: { _ in [] }, at: time)
        }
        #expect(told(at: 0).map(\.detail) == ["at 0"])
        #expect(told(at: 1).isEmpty)
        #expect(told(at: 599).isEmpty)
        #expect(desk.open.map(\.detail) == ["at 0\nat 1\nat 599"])
        #expect(told(at: 600).map(\.detail) == ["at 600"])
        desk.stop()
        withExtendedLifetime(place) {}
    }

    @Test("What waits for a channel is sent again although the clock was set back by years")
    func clockSetBack() throws {
        let place = try Place()
        let desk = place.desk("test -e \(place.path("open")) && cat > \(place.path("told"))")
        defer { desk.stop() }
        Self.update(desk, at: Self.start)
        place.wait("the first failure") { place.text("alarms.json").contains("\"tries\":1") }
        try Data().write(to: URL(filePath: place.path("open")))
        place.wait("the message") {
            Self.update(desk, at: Self.start - 10 * 365 * 86_400)
            return place.text("told").contains("policies")
        }
    }

    @Test("A stop breaks off what is being sent, and it is sent after the next start")
    func stop() throws {
        let place = try Place()
        let slow = place.desk("touch \(place.path("begun")); exec sleep 50")
        Self.update(slow, at: Self.start)
        place.wait("the program") { place.exists("begun") }
        let clock = ContinuousClock()
        let time = clock.measure { slow.stop() }
        #expect(time < .seconds(30), "\(time)")
        #expect(place.text("alarms.json").contains("\"tries\":0"), "it was no failure of the channel")
        let next = place.desk("cat > \(place.path("told"))")
        defer { next.stop() }
        Self.update(next, at: Self.start + 10)
        place.wait("the message") { place.text("told").contains("policies") }
    }

    @Test("A stored book with times that cannot be reckoned with is begun anew")
    func hostile() throws {
        let place = try Place()
        func stored(_ since: Int64, _ told: Int64) throws -> AlarmDesk {
            let book = """
                {"open":[{"alarm":{"kind":"policiesNotInForce","subject":"policies"},"count":1,"detail":"",\
                "since":\(since),"told":\(told)}],"resting":[]}
                """
            try Data("{\"book\":\(book),\"events\":[],\"outbox\":[]}".utf8)
                .write(to: URL(filePath: place.path("alarms.json")))
            return place.desk()
        }
        let good = try stored(Self.start, Self.start)
        #expect(good.open.count == 1)
        for (since, told) in [(Int64.max, Self.start), (Self.start, Int64.min), (-1, Self.start)] {
            let desk = try stored(since, told)
            #expect(desk.open.isEmpty)
            Self.update(desk, at: Self.start)
            #expect(desk.open.map(\.since) == [Self.start])
            desk.stop()
        }
    }

    @Test("A monitor that does not answer is an alarm after three times, and none once it is not wanted any more")
    func deadMan() throws {
        let place = try Place()
        let desk = place.desk()
        defer { desk.stop() }
        let missing = DeadMan(url: .file(place.path("address")), every: 60)
        desk.use(AlarmSettings(deadMan: missing))
        #expect(desk.troubled.isEmpty)
        var time = Self.start
        place.wait("the alarm") {
            time += 60
            Self.update(desk, at: time)
            return desk.troubled["dead-man"] != nil
        }
        #expect(time >= Self.start + 180)
        desk.use(.none)
        #expect(desk.troubled.isEmpty)
    }

    @Test("A secret that is a pipe without a writer is a failure, and nothing waits for it")
    func pipe() throws {
        let place = try Place()
        try #require(mkfifo(place.path("token"), 0o600) == 0)
        let desk = AlarmDesk(path: place.path("alarms.json"))
        let means = AlarmChannel.Means.webhook(url: .plain("https://localhost/x"), token: place.path("token"))
        desk.use(AlarmSettings(channels: [AlarmChannel(name: "web", means: means)]))
        #expect(try desk.test(nil, at: Self.start).first?.failure?.contains("is empty") == true)
    }

    @Test("A trial tells of each channel on its own")
    func trial() throws {
        let place = try Place()
        let desk = AlarmDesk(path: place.path("alarms.json"))
        let words = [("bad", "exit 3"), ("good", "true")]
        desk.use(
            AlarmSettings(
                channels: words.map { AlarmChannel(name: $0.0, means: .command(["/bin/sh", "-c", $0.1])) }))
        let found = try desk.test(nil, at: Self.start)
        #expect(found.map(\.channel) == ["bad", "good"])
        #expect(found[0].failure?.contains("ended with 3") == true && found[1].failure == nil)
        #expect(throws: OperationError.self) { try desk.test("other", at: Self.start) }
    }

    @Test("A program that never stops printing is ended when its time is over")
    func flood() {
        let program = Program(
            command: ["/usr/bin/env", "yes"], environment: ["PATH=/usr/bin:/bin"], timeout: 0.5,
            timeoutText: "a moment")
        #expect(program.run()?.contains("took longer than a moment") == true)
    }
}
