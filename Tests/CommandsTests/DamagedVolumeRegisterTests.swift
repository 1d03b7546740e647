import Foundation
import TestSupport
import Testing

/// Volumes whose own part of the register is damaged, by the real binary.
@Suite("A damaged register of volumes", .serialized, .enabled(if: qalaBinary != nil))
struct DamagedVolumeRegisterTests {
    /// What is done to the files of a volume.
    private enum Damage: CaseIterable {
        case record, custody, both, noRecord, noFile

        var isOfRecord: Bool { self != .custody }
        var isOfCustody: Bool { self == .custody || self == .both }
    }

    private struct Files {
        let record: URL
        let custody: URL
        let wholeRecord: Data
        let wholeCustody: Data

        init(_ desk: DepartureDesk) throws {
            record = desk.world.url("state/volumes/\(desk.volume).json")
            custody = desk.world.url("state/volumes/\(desk.volume).custody")
            wholeRecord = try Data(contentsOf: record)
            wholeCustody = try Data(contentsOf: custody)
        }

        func inflict(_ damage: Damage) throws {
            if damage == .noRecord || damage == .noFile {
                try FileManager.default.removeItem(at: record)
                guard damage == .noFile else { return }
                try FileManager.default.createDirectory(at: record, withIntermediateDirectories: false)
            } else if damage.isOfRecord {
                // One letter of what the register knows, which reads as well as the right one.
                let text = String(decoding: wholeRecord, as: UTF8.self)
                let changed = text.replacing("\"title\" : \"Old\"", with: "\"title\" : \"Odd\"")
                try #require(changed != text)
                try Data(changed.utf8).write(to: record)
            }
            guard damage.isOfCustody else { return }
            let text = String(decoding: wholeCustody, as: UTF8.self)
            let changed = text.replacing("\"act\":\"created\"", with: "\"act\":\"creates\"")
            try #require(changed != text)
            try Data(changed.utf8).write(to: custody)
        }

        func bringBack(record isOfRecord: Bool = true, custody isOfCustody: Bool = true) throws {
            if isOfRecord {
                try? FileManager.default.removeItem(at: record)
                try wholeRecord.write(to: record)
            }
            if isOfCustody { try wholeCustody.write(to: custody) }
        }

        /// Of what there is: the lines of the custody log, or of its whole copy.
        func acts() throws -> [String] {
            String(decoding: try Data(contentsOf: custody), as: UTF8.self).split(separator: "\n").map(String.init)
        }
    }

    private func lose(_ desk: DepartureDesk, _ more: String...) throws -> Finished {
        try desk.world.qala(["volume", "lost", String(desk.volume.prefix(6)), "--reason", "act 12"] + more)
    }

    private func state(_ desk: DepartureDesk) throws -> String? {
        let shown = try desk.world.qala("register", "media", "show", desk.volume, "--json")
        let row = try #require(try World.object(shown)["row"] as? [String: Any], "\(shown.errorText)")
        return (row["fields"] as? [String: String])?["state"]
    }

    @Test("A loss is recorded in what can still be written; what is damaged is told and stays as it is")
    func loss() throws {
        let desk = try DepartureDesk()
        defer { desk.world.remove() }
        let files = try Files(desk)
        for damage in Damage.allCases {
            try files.inflict(damage)
            try checkLoss(desk, files, damage)
            try files.bringBack()
        }
        // That of another volume is no hindrance, and two ids that begin alike are told apart.
        let other = String(desk.volume.prefix(6)) + "0000000000"
        try desk.world.write("state/volumes/\(other).json", "{")
        #expect(try lose(desk).status == 14)
        let told = try desk.world.qala(["volume", "lost", desk.volume, "--reason", "act 12", "--json"])
        #expect(told.status == 3, "only what else holds its archives is not known: \(told.errorText)")
        #expect(try World.object(told)["damage"] as? [String] == [])
        #expect(try desk.world.qala("volume", "checkin", desk.volume, "--shelf", "D-4").status == 0)
    }

    private func checkLoss(_ desk: DepartureDesk, _ files: Files, _ damage: Damage) throws {
        let (record, custody) = (try? Data(contentsOf: files.record), try Data(contentsOf: files.custody))
        for (language, word) in [("en", "DAMAGED in the register"), ("az", "ZƏDƏLƏNİB")] {
            let tried = try lose(desk, "--dry-run", "--language", language)
            #expect(tried.status == 13 && tried.outputText.contains(word), "\(damage): \(tried.outputText)")
        }
        #expect(try Data(contentsOf: files.custody) == custody, "\(damage): a dry run records nothing")

        let told = try lose(desk, "--json")
        #expect(told.status == 13, "\(damage): \(told.errorText)")
        let answer = try World.object(told)
        let damaged = try #require(answer["damage"] as? [[String: String]]).compactMap { $0["file"] }
        let wanted = (damage.isOfRecord ? [files.record.path] : []) + (damage.isOfCustody ? [files.custody.path] : [])
        #expect(damaged == wanted, "\(damage)")
        #expect((answer["volume"] == nil) == damage.isOfRecord && answer["id"] as? String == desk.volume, "\(damage)")
        #expect(answer["unknown"] is String, "\(damage): what was on it, or what else holds it, cannot be known")
        if damage.isOfRecord { #expect((try? Data(contentsOf: files.record)) == record, "\(damage)") }
        #expect(try Data(contentsOf: files.custody).starts(with: custody), "\(damage)")
        #expect(try files.acts().last?.contains("\"act\":\"lost\",\"detail\":\"act 12\"") == true, "\(damage)")
        // Each command that needs the file says so, as before.
        let status: Int32 = damage == .noRecord ? 0 : damage == .noFile ? 1 : 13
        #expect(try desk.world.qala("tiers").status == status, "\(damage)")

        // The copy of a damaged log tells nothing of the loss; the record, where it was whole, does.
        try files.bringBack(record: damage.isOfRecord, custody: damage.isOfCustody)
        #expect(try state(desk) == (damage == .both ? "shelf" : "lost"), "\(damage)")
        let again = try lose(desk)
        #expect(again.status == (damage == .both ? 0 : 1), "\(damage): \(again.errorText)")
        #expect(try state(desk) == "lost", "\(damage)")
        #expect(try desk.row(desk.ids[0])["due"] as? [String] == ["writeVolumes 1"], "\(damage)")
    }

    @Test(
        "A loss that only the record knows is entered in the custody log when the volume is found, and ends its trust")
    func found() throws {
        let desk = try DepartureDesk()
        defer { desk.world.remove() }
        let files = try Files(desk)
        try files.inflict(.custody)
        #expect(try lose(desk).status == 13)
        let checkIn = ["volume", "checkin", desk.volume, "--shelf", "D-4"]
        #expect(try desk.world.qala(checkIn).status == 13, "not before the log is whole")
        try files.bringBack(record: false)
        #expect(try desk.world.qala(checkIn).status == 0)
        let acts = try files.acts().suffix(2)
        #expect(
            acts.first?.contains("\"act\":\"lost\"") == true && acts.first?.contains(" act 12\"") == true, "\(acts)")
        #expect(acts.last?.contains("\"act\":\"checkedIn\"") == true, "\(acts)")
        #expect(try desk.row(desk.ids[0])["due"] as? [String] == ["verifyVolume \(desk.volume)"])
        usleep(1_100_000)
        #expect(try desk.verify().status == 0)
        #expect(try desk.row(desk.ids[0])["due"] as? [String] == ["removeCopy primary"])
        // Once it is found again the second time, nothing is entered that stands there already.
        #expect(try lose(desk).status == 0)
        #expect(try desk.world.qala(checkIn).status == 0)
        #expect(try files.acts().count { $0.contains("\"act\":\"lost\"") } == 2)
    }
}
