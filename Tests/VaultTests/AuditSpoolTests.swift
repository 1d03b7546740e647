import Domain
import Foundation
import TestSupport
import Testing
import Vault

/// Acts recorded without the daemon, and their way into the log.
@Suite("Audit: the spool")
struct AuditSpoolTests {
    private static let spoolPath = "/srv/spool"

    private func runs(_ log: AuditLog) throws -> [String] {
        var runs: [String] = []
        try log.entries(0..<log.size) { entry in
            if !entry.via.isEmpty { runs.append(entry.act.run.isEmpty ? entry.act.operation : entry.act.run) }
        }
        return runs
    }

    private func spool(_ calls: any FileSystemCalls, at seconds: Int64, _ runs: [String]) throws {
        let spool = AuditSpool(
            directory: Self.spoolPath, clock: { Timestamp(seconds: seconds, nanoseconds: 7_000_000) }, calls: calls)
        for run in runs { try spool.append(AuditBench.act(1, run: run)) }
    }

    @Test("Files of ended processes are imported in order, with their origin and own times; living ones wait")
    func imports() throws {
        let disk = SimulatedDisk()
        let log = try AuditBench.open(disk)
        #expect(try log.importSpool(Self.spoolPath) == AuditImport())
        try spool(disk, at: 2000, (0..<300).map { "b\($0)" })
        try spool(disk, at: 1000, ["a0", "a1"])
        let living = AuditSpool(directory: Self.spoolPath, clock: { Timestamp(seconds: 500) }, calls: disk)
        try living.append(AuditBench.act(1, run: "c0"))
        try log.append(AuditBench.act(0))
        let done = try log.importSpool(Self.spoolPath)
        #expect(done.files == 2 && done.entries == 302 && done.busy == 1 && done.damaged.isEmpty)
        #expect(try runs(log) == ["a0", "a1"] + (0..<300).map { "b\($0)" })
        let entry = try log.entry(2)
        #expect(
            entry.time == Timestamp(seconds: 1000, nanoseconds: 7_000_000) && entry.act == AuditBench.act(1, run: "a1"))
        #expect(entry.via.hasPrefix("spool/00000000000001000007-") && entry.via.hasSuffix("#1"))
        #expect(log.lastCheckpoint.size == log.size)
        // The living process goes on writing to its own file.
        try living.append(AuditBench.act(1, run: "c1"))
        #expect(try log.importSpool(Self.spoolPath).busy == 1)
    }

    @Test("A spool that was imported away before its process locked it is not written into a removed file")
    func emptyFile() throws {
        let place = try AuditBench.Place()
        let log = try AuditBench.open(LinuxCalls.shared, path: place.log)
        let path = place.url.appending(path: "spool").path
        let importer = Thread {
            for _ in 0..<400 { _ = try? log.importSpool(path) }
        }
        importer.start()
        for number in 0..<60 {
            let spool = AuditSpool(directory: path)
            try spool.append(AuditBench.act(1, run: "r\(number)"))
        }
        while !importer.isFinished { usleep(1000) }
        try log.importSpool(path)
        #expect(Set(try runs(log)).count == 60 && log.size == 60)
    }

    @Test("A torn last line is told of and dropped; a damaged file is kept, and what came before the damage imported")
    func damagedFiles() throws {
        let place = try AuditBench.Place()
        let log = try AuditBench.open(LinuxCalls.shared, path: place.log)
        let path = place.url.appending(path: "spool")
        func make(_ seconds: Int64, _ change: ([UInt8]) -> [UInt8]) throws {
            do {
                let spool = AuditSpool(directory: path.path, clock: { Timestamp(seconds: seconds) })
                for at in 0..<3 { try spool.append(AuditBench.act(1, run: "\(seconds)-\(at)")) }
            }
            let name = try #require(
                try FileManager.default.contentsOfDirectory(atPath: path.path).first {
                    $0.hasPrefix("0000000000000000\(seconds)000-")
                })
            let file = path.appending(path: name)
            try Data(change(Array(try Data(contentsOf: file)))).write(to: file)
        }
        try make(1, { Array($0.dropLast(30)) })
        try make(2, { Array($0[..<300]) + [UInt8](repeating: 0, count: 100) + [0x0A] })
        try make(3) { Array($0.prefix { $0 != 0x0A }) + [0x0A, 0x7B] + $0.drop { $0 != 0x0A }.dropFirst() }
        try make(4, { $0 })
        try Data("junk".utf8).write(to: path.appending(path: "readme"))
        let done = try log.importSpool(path.path)
        #expect(done.files == 4 && done.damaged.count == 1)
        let told = try runs(log)
        #expect(told.filter { $0 == "audit.spool" }.count == 3, "\(told)")
        #expect(told.prefix(3) == ["1-0", "1-1", "audit.spool"] && told.suffix(3) == ["4-0", "4-1", "4-2"])
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: path.path).filter { $0 != "tmp" }.sorted()
                == (done.damaged + ["readme"]).sorted())
        #expect(try log.importSpool(path.path).files == 0)
        #expect(try log.verify().isClean)
    }

    @Test("A power cut at any change of an import loses no line and doubles none")
    func powerCuts() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        let disk = SimulatedDisk()
        try spool(disk, at: 1, ["a", "b", "c"])
        try spool(disk, at: 2, (0..<12).map { "d\($0)" })
        let all = ["a", "b", "c"] + (0..<12).map { "d\($0)" }
        do {
            let log = try AuditBench.open(disk)
            try log.append((0..<3).map { AuditBench.act($0) }, durably: false)
        }
        let start = disk.operationCount
        do { try AuditBench.open(disk).importSpool(Self.spoolPath) }
        let end = disk.operationCount
        for change in stride(from: start, through: end, by: AuditBench.isLong ? 1 : 5) {
            for state in disk.crashStates(afterOperation: change, seed: seed, count: 2) {
                // A second cut in the middle of the import that goes on.
                _ = try AuditBench.open(state).importSpool(Self.spoolPath)
                let middle = Int.random(in: 0...state.operationCount, using: &random)
                for disk in [state] + state.crashStates(afterOperation: middle, seed: seed, count: 3).dropFirst(2) {
                    let log = try AuditBench.open(disk)
                    try log.importSpool(Self.spoolPath)
                    #expect(try runs(log) == all, "seed \(seed), change \(change)")
                }
            }
        }
        #expect(end - start > 20)
    }

    @Test("A line of the spool is on the disk when it is acknowledged")
    func durable() throws {
        let disk = SimulatedDisk()
        let spool = AuditSpool(directory: Self.spoolPath, clock: AuditBench.clock, calls: disk)
        var acknowledged: [Int] = []
        for number in 0..<4 {
            try spool.append(AuditBench.act(1, run: "r\(number)"))
            acknowledged.append(disk.operationCount)
        }
        for change in 0...disk.operationCount {
            for state in disk.crashStates(afterOperation: change, seed: 3, count: 4) {
                let log = try AuditBench.open(state)
                try log.importSpool(Self.spoolPath)
                let found = try runs(log).filter { $0 != "audit.spool" }
                #expect(found.count >= acknowledged.filter { $0 <= change }.count)
                #expect(found == (0..<found.count).map { "r\($0)" })
            }
        }
    }

    @Test("After an error a spool refuses more, because what the disk has is unknown")
    func failure() throws {
        let disk = SimulatedDisk()
        let calls = FaultyCalls(disk)
        let spool = AuditSpool(directory: Self.spoolPath, clock: AuditBench.clock, calls: calls)
        try spool.append(AuditBench.act(1))
        calls.arm([.init(.syncFile, 1, .fail(5))])
        for _ in 0..<2 { #expect(throws: VaultError.self) { try spool.append(AuditBench.act(1)) } }
    }
}
