import Foundation
import Testing

@testable import Domain

@Suite("Time zones")
struct TimeZoneTests {
    private func seconds(_ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0) -> Int {
        WallClock(year: year, month: month, day: day, hour: hour, minute: minute).localSeconds
    }

    @Test("Every zone of the system is read, but for those that count leap seconds")
    func allZones() throws {
        let names = try FileManager.default.subpathsOfDirectory(atPath: Zones.folder).filter(Zones.exists)
        #expect(names.count > 400)
        for name in names {
            if name.hasPrefix("right/") {
                let error = #expect(throws: TimeZoneError.self) { try Zones.named(name) }
                #expect(error?.message.contains("leap seconds") == true)
                continue
            }
            let zone = try Zones.named(name)
            if name.hasPrefix("posix/") { continue }
            for instant in stride(from: seconds(1850, 1, 1), to: seconds(2150, 1, 1), by: 86_400 * 397) {
                let offset = zone.offset(at: instant)
                #expect(zone.instants(ofLocal: instant + offset).contains(instant), "\(name) at \(instant)")
            }
        }
    }

    @Test("A clock time is one instant, none where clocks are set forward, two where they are set back")
    func localTimes() throws {
        let berlin = try Zones.named("Europe/Berlin")
        #expect(berlin.instants(ofLocal: seconds(2026, 7, 1, 12)) == [seconds(2026, 7, 1, 10)])
        #expect(berlin.instants(ofLocal: seconds(2026, 3, 29, 2, 30)) == [])
        #expect(berlin.firstInstant(ofLocal: seconds(2026, 3, 29, 2, 30)) == seconds(2026, 3, 29, 1))
        let twice = [seconds(2026, 10, 25, 0, 30), seconds(2026, 10, 25, 1, 30)]
        #expect(berlin.instants(ofLocal: seconds(2026, 10, 25, 2, 30)) == twice)
        #expect(berlin.firstInstant(ofLocal: seconds(2026, 10, 25, 2, 30)) == twice[0])
        // Half an hour only, and a day that did not exist.
        let lordHowe = try Zones.named("Australia/Lord_Howe")
        #expect(lordHowe.instants(ofLocal: seconds(2026, 4, 5, 1, 45)).count == 2)
        #expect(lordHowe.instants(ofLocal: seconds(2026, 4, 5, 1, 15)).count == 1)
        let apia = try Zones.named("Pacific/Apia")
        #expect(apia.instants(ofLocal: seconds(2011, 12, 30, 12)) == [])
        #expect(apia.firstInstant(ofLocal: seconds(2011, 12, 30, 12)) == seconds(2011, 12, 30, 10))
        #expect(try Zones.named("Asia/Baku").instants(ofLocal: 0) == [-14_400])
    }

    @Test("The rule at the end of a file holds for ever")
    func footers() throws {
        let berlin = try TimeZoneRules(posix: "CET-1CEST,M3.5.0,M10.5.0/3")
        let file = try Zones.named("Europe/Berlin")
        for year in 2030...2090 {
            for month in 1...12 {
                let instant = seconds(year, month, 30, 1)
                #expect(berlin.localType(at: instant) == file.localType(at: instant))
            }
        }
        // The last Sunday is the fourth in 2027 and the fifth in 2030.
        for (year, day) in [(2027, 28), (2030, 31)] {
            #expect(berlin.offset(at: seconds(year, 3, day, 1) - 1) == 3600, "\(year)")
            #expect(berlin.offset(at: seconds(year, 3, day, 1)) == 7200, "\(year)")
        }
        // Days of the year with and without the leap day, hours beyond the day, summer across the turn of the year.
        let julian = try TimeZoneRules(posix: "<-03>3<-02>,J60,J300")
        #expect(julian.offset(at: seconds(2024, 3, 1, 5) - 1) == -10_800)
        #expect(julian.offset(at: seconds(2024, 3, 1, 5)) == -7200)
        #expect(julian.offset(at: seconds(2023, 3, 1, 5)) == -7200)
        let counted = try TimeZoneRules(posix: "AAA0BBB,59/0,300/0")
        #expect(counted.offset(at: seconds(2024, 2, 29)) == 3600 && counted.offset(at: seconds(2024, 2, 29) - 1) == 0)
        #expect(counted.offset(at: seconds(2023, 3, 1)) == 3600)
        let nuuk = try TimeZoneRules(posix: "<-02>2<-01>,M3.5.0/-1,M10.5.0/0")
        #expect(
            nuuk.offset(at: seconds(2026, 3, 29, 1) - 1) == -7200 && nuuk.offset(at: seconds(2026, 3, 29, 1)) == -3600)
        let dublin = try TimeZoneRules(posix: "IST-1GMT0,M10.5.0,M3.5.0/1")
        #expect(dublin.offset(at: seconds(2026, 7, 1)) == 3600 && dublin.offset(at: seconds(2026, 12, 31)) == 0)
        #expect(dublin.localType(at: seconds(2026, 1, 1)).isDaylight)
    }

    @Test(
        "A malformed rule is refused",
        arguments: [
            "", "A", "AB1", "CET", "CET-25", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0",
            "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J5", "CET-1CEST,366,5", "<CE>-1",
            "<CET-1", "CET-1CEST,M3.5.0,M10.5.0/168", "CET-1CEST,M3.5.0,M10.5.0x", "CET-1:60",
            "CET99999999999999999999",
        ])
    func malformedRules(rule: String) {
        #expect(throws: TimeZoneError.self) { try TimeZoneRules(posix: rule) }
    }

    @Test("Cut short anywhere, a file is refused; with any byte changed it is refused or still answers")
    func damagedFiles() throws {
        for name in ["Europe/Berlin", "Asia/Baku", "UTC"] {
            let bytes = try Zones.bytes(name)
            for count in 0..<bytes.count {
                #expect(throws: TimeZoneError.self) { try TimeZoneRules(tzif: Array(bytes.prefix(count))) }
            }
            let daily = try CalendarExpression(parsing: "Mon *-*-* 02:30")
            for at in bytes.indices {
                for value: UInt8 in [bytes[at] ^ 0x80, bytes[at] &+ 1, 0xFF] {
                    var damaged = bytes
                    damaged[at] = value
                    guard let zone = try? TimeZoneRules(tzif: damaged) else { continue }
                    let next = daily.next(after: 1_774_000_000_000_000, in: zone)
                    #expect(next ?? .max > 1_774_000_000_000_000)
                    _ = zone.firstInstant(ofLocal: .max)
                    _ = zone.firstInstant(ofLocal: .min)
                }
            }
        }
        #expect(throws: TimeZoneError.self) { try TimeZoneRules(tzif: Array(repeating: 0x54, count: 1 << 19)) }
    }

    @Test("A file of the first version has narrow times and no rule")
    func firstVersion() throws {
        func wide(_ value: Int32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
        var bytes = Array("TZif".utf8) + Array(repeating: 0, count: 16)
        for count: Int32 in [0, 0, 0, 2, 2, 8] { bytes += wide(count) }
        bytes += wide(-100) + wide(1000) + [1, 0]
        bytes += wide(3600) + [0, 0] + wide(7200) + [1, 4] + Array("AAA\0BBB\0".utf8)
        let zone = try TimeZoneRules(tzif: bytes)
        #expect(zone.offset(at: -101) == 3600)
        #expect(zone.localType(at: -100) == .init(offset: 7200, isDaylight: true, abbreviation: "BBB"))
        #expect(zone.offset(at: 999) == 7200 && zone.offset(at: 1000) == 3600 && zone.offset(at: .max) == 3600)
        // Transitions that do not ascend, a type that does not exist.
        var wrong = bytes
        wrong.replaceSubrange(44..<48, with: wide(1000))
        #expect(throws: TimeZoneError.self) { try TimeZoneRules(tzif: wrong) }
        wrong = bytes
        wrong[52] = 2
        #expect(throws: TimeZoneError.self) { try TimeZoneRules(tzif: wrong) }
    }
}
