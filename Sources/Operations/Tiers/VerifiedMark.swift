import FoundationEssentials
import Glibc
import Vault

/// When this host had first read back everything in a vault up to each record of its log, and found it whole.
///
/// Periods of tiers run from the first verification, so a later one must not move what an earlier one told.
struct VerifiedMarks: Codable {
    private static let limit = 1 << 20
    private static let maximumMarks = 4096

    struct Mark: Codable, Equatable {
        var record: UInt64
        /// Seconds since 1970, by the host's clock.
        var time: Int64
    }

    /// Records and times both ascend.
    private(set) var marks: [Mark]

    init(_ marks: [Mark] = []) { self.marks = marks }

    /// When the record was first seen whole; nil where it was not yet.
    func time(of record: UInt64) -> Int64? {
        var (low, high) = (0, marks.count)
        while low < high {
            let middle = (low + high) / 2
            if marks[middle].record < record { low = middle + 1 } else { high = middle }
        }
        return low < marks.count ? marks[low].time : nil
    }

    /// A verification that reached no further than one before it tells nothing new. Where there are too many marks, half of them go:
    /// what only those told counts as verified a little later, which only keeps archives longer.
    mutating func add(_ mark: Mark) {
        if let last = marks.last {
            guard mark.record > last.record else { return }
            // A clock that was set back must not make a later record older than an earlier one.
            marks.append(Mark(record: mark.record, time: max(mark.time, last.time)))
        } else {
            marks.append(mark)
        }
        guard marks.count > Self.maximumMarks else { return }
        let newest = marks.count - 1
        marks = marks.enumerated().filter { $0.offset % 2 == 1 || $0.offset == newest }.map(\.element)
    }

    private static func path(_ vault: Vault) -> String { vault.host.directory + "/verified.json" }

    /// Takes note of a verification of all data. Where it found damage nothing counts as verified any more. A note that is lost only keeps
    /// archives longer, so what goes wrong here is passed over.
    static func keep(_ vault: Vault, isWhole: Bool) {
        guard vault.host.denial == nil, vault.log.count > 0 else { return }
        guard isWhole else {
            unlink(path(vault))
            return
        }
        var marks = read(vault)
        marks.add(Mark(record: vault.log.count - 1, time: Int64(clamping: WallTime.seconds())))
        guard let bytes = try? JSONEncoder().encode(marks) else { return }
        try? StateFile.write(path(vault), Array(bytes))
    }

    /// What is malformed tells nothing.
    static func read(_ vault: Vault) -> VerifiedMarks {
        guard let bytes = try? StateFile.read(path(vault), limit: limit) else { return VerifiedMarks() }
        if let found = try? JSONDecoder().decode(VerifiedMarks.self, from: Data(bytes)), found.isAscending {
            return found
        }
        // The form of before: one mark.
        if let mark = try? JSONDecoder().decode(Mark.self, from: Data(bytes)), mark.time >= 0 {
            return VerifiedMarks([mark])
        }
        return VerifiedMarks()
    }

    private var isAscending: Bool {
        (marks.first?.time ?? 0) >= 0
            && zip(marks, marks.dropFirst()).allSatisfy { $0.record < $1.record && $0.time <= $1.time }
    }
}
