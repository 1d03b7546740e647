import Domain

extension WALDesk {
    /// Up to when the cluster of a source could be brought back from the spool and from the vault. Without a heartbeat a place says
    /// when the last segment that it holds came.
    func recoveryPoints(_ one: Served) -> [RecoveryPoint] {
        let index = try? one.spool.index()
        // What no base archive can use brings nothing back.
        let ends = isBaseless(one) ? nil : index?.ends { isPassed($1, $0, $2, one) }
        let beats = one.heartbeat?.beats
        return RecoveryPoint.Place.allCases.map { place in
            let end = place == .spool ? ends?.spool : ends?.vault
            let time = end.flatMap { index?.newest(of: beats, before: $0) ?? $0.taken }
            return RecoveryPoint(.wal, one.source.name, in: place, time: time, measuredSince: beats?.since)
        }
    }
}

extension WALLedgerIndex {
    /// Where what a place holds without a gap ends.
    struct End: Equatable {
        var cluster: WALCluster
        var position: LSN
        /// When its last segment came; nil when no line tells.
        var taken: Int64?
    }

    /// Of the newest life, but for gaps behind the newest base archive: everything that was taken, and what of it is in archives. Nil where nothing is.
    func ends(
        passing isPassed: (WALCluster, WALCoverage.Gap, WALCoverage) -> Bool = { _, _, _ in false }
    ) -> (spool: End?, vault: End?) {
        guard let (cluster, coverage) = self.coverage.max(by: { $0.key < $1.key }),
            let whole = coverage.wholeUntil(passing: { isPassed(cluster, $0, coverage) })
        else {
            return (nil, nil)
        }
        let size = coverage.segmentSize
        let first = waiting.filter { $0.cluster == cluster && $0.file.form == .segment }
            .compactMap { $0.file.segment(size)?.number }.min()
        let archived = first.map { min(whole, size.start($0)) } ?? whole
        func end(_ position: LSN) -> End? {
            let number = size.number(before: position)
            let timelines = coverage.intervals.keys.sorted(by: >)
            let last = timelines.map { WALSegment(timeline: $0, number: number) }.first(where: coverage.contains)
            guard let last, size.end(number) == position else { return nil }
            let record = WALFileName(last.name(size)).flatMap { records[WALKey(cluster: cluster, file: $0)] }
            return End(cluster: cluster, position: position, taken: record?.taken)
        }
        return (end(whole), end(archived))
    }

    /// The time of the newest beat that what ends there holds; nil when it holds none that is known.
    func newest(of beats: Heartbeats?, before end: End) -> Int64? {
        coverage[end.cluster].flatMap { beats?.newest(before: end.position, of: end.cluster.systemID, in: $0) }
    }
}
