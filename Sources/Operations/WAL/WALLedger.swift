import Domain
import Vault

/// What identifies a file of the log: two with the same key must be the same.
struct WALKey: Hashable, Sendable {
    var cluster: WALCluster
    var file: WALFileName
}

/// Everything that a ledger says.
struct WALLedgerIndex: Sendable {
    struct Record: Sendable {
        var bytes: Int
        var digest: String
        /// The order in which it came.
        var number: Int
        /// Seconds since 1970.
        var taken: Int64
        var archive: String?
    }

    private(set) var records: [WALKey: Record] = [:]
    private(set) var coverage: [WALCluster: WALCoverage] = [:]
    /// Those that no archive holds yet.
    private(set) var waiting: Set<WALKey> = []
    /// Whose files were taken.
    private(set) var clusters: Set<WALCluster> = []
    private(set) var quarantined = 0
    /// How many lines tell of an archive.
    private(set) var archives = 0
    /// When a file was taken last, in seconds since 1970.
    private(set) var newestTaken: Int64?
    private var histories: [WALCluster: [WALTimelineHistory]] = [:]

    /// False for a line that makes no sense.
    mutating func take(_ line: WALLedgerLine) -> Bool {
        guard let cluster = WALCluster(line.cluster), let time = TimeText.parse(line.time) else { return false }
        switch line.act {
        case .quarantined: quarantined += 1
        case .archived:
            guard let files = line.files, let archive = line.archive else { return false }
            for text in files {
                guard let file = WALFileName(text) else { return false }
                let key = WALKey(cluster: cluster, file: file)
                records[key]?.archive = archive
                waiting.remove(key)
            }
            archives += 1
        case .taken:
            guard let file = line.file.flatMap({ WALFileName($0) }), let bytes = line.bytes, bytes >= 0,
                let digest = line.digest
            else { return false }
            let key = WALKey(cluster: cluster, file: file)
            clusters.insert(cluster)
            records[key] = Record(bytes: bytes, digest: digest, number: records.count, taken: time)
            waiting.insert(key)
            newestTaken = time
            cover(key, line)
        }
        return true
    }

    private mutating func cover(_ key: WALKey, _ line: WALLedgerLine) {
        switch key.file.form {
        case .segment:
            guard let size = line.segmentBytes.flatMap({ WALSegmentSize(UInt64(clamping: $0)) }),
                let segment = key.file.segment(size)
            else { return }
            var made = coverage[key.cluster] ?? WALCoverage(size)
            if coverage[key.cluster] == nil { for history in histories[key.cluster] ?? [] { made.insert(history) } }
            made.insert(segment)
            coverage[key.cluster] = made
        case .history:
            guard let text = line.switches, let history = WALFacts.history(key.file.timeline, text) else { return }
            histories[key.cluster, default: []].append(history)
            coverage[key.cluster]?.insert(history)
        case .partial, .backup: return
        }
    }

    func histories(of cluster: WALCluster) -> [WALTimelineHistory] { histories[cluster] ?? [] }

    /// Of which the newest file came.
    var newestCluster: WALCluster? { records.max { $0.value.number < $1.value.number }?.key.cluster }

    /// When the file that waits longest was taken.
    var oldestWaiting: Int64? { waiting.compactMap { records[$0]?.taken }.min() }
}

/// How an archive's header says which WAL it holds.
enum WALFacts {
    static let maximumRuns = 8

    /// `1:0/3000000 2:0/5000000`: which timelines were left, and where.
    static func text(_ history: WALTimelineHistory) -> String {
        history.switches.map { "\($0.timeline):\($0.position)" }.joined(separator: " ")
    }

    static func history(_ timeline: UInt32, _ text: String) -> WALTimelineHistory? {
        var switches: [WALTimelineHistory.Switch] = []
        for word in text.split(separator: " ") {
            let parts = word.split(separator: ":")
            guard parts.count == 2, let parent = UInt32(parts[0]), let position = LSN(parts[1]) else {
                return nil
            }
            switches.append(.init(timeline: parent, position: position))
        }
        guard let last = switches.last, last.timeline < timeline else { return nil }
        return WALTimelineHistory(timeline: timeline, switches: switches)
    }

    /// Contiguous segments of one timeline.
    struct Run: Equatable, Sendable {
        var first: WALSegment
        var count: UInt64

        var range: ClosedRange<UInt64> { first.number...(first.number + count - 1) }
    }

    /// `000000010000000000000003+5,…`.
    static func text(_ runs: [Run], _ size: WALSegmentSize) -> String {
        runs.map { "\($0.first.name(size))+\($0.count)" }.joined(separator: ",")
    }

    /// Nil when it cannot be read, so that nothing is believed to be there that is not.
    static func runs(_ text: String, _ size: WALSegmentSize) -> [Run]? {
        var runs: [Run] = []
        for word in text.split(separator: ",") {
            let parts = word.split(separator: "+")
            guard parts.count == 2, let name = WALFileName(parts[0]), name.form == .segment,
                let first = name.segment(size), let count = UInt64(parts[1]), count > 0, count <= 1 << 20
            else { return nil }
            runs.append(Run(first: first, count: count))
        }
        return runs
    }

    /// Of segments in any order.
    static func runs(of segments: [WALSegment]) -> [Run] {
        var runs: [Run] = []
        for segment in segments.sorted(by: { ($0.timeline, $0.number) < ($1.timeline, $1.number) }) {
            if let last = runs.last, last.first.timeline == segment.timeline,
                last.first.number + last.count == segment.number
            {
                runs[runs.count - 1].count += 1
            } else {
                runs.append(Run(first: segment, count: 1))
            }
        }
        return runs
    }
}
