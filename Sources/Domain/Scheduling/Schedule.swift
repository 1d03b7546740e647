/// What happens to due instants at which nothing could be started.
package enum CatchUp: String, Sendable, CaseIterable, Codable {
    /// One run for the newest of them; the others are reported as missed.
    case latest
    /// One run for each, oldest first, up to ``Schedule/maximumBacklog``; older ones are reported as missed.
    case all
    /// None: they are reported as missed.
    case none

    package func name(in language: Language) -> String {
        switch (self, language) {
        case (.latest, .english): "the latest missed run is made up for"
        case (.latest, .azerbaijani): "buraxılmış icraların sonuncusu yerinə yetirilir"
        case (.all, .english): "every missed run is made up for"
        case (.all, .azerbaijani): "buraxılmış icraların hamısı yerinə yetirilir"
        case (.none, .english): "missed runs are not made up for"
        case (.none, .azerbaijani): "buraxılmış icralar yerinə yetirilmir"
        }
    }
}

/// When a policy runs: a calendar expression with everything that moves a run away from the instants it names.
///
/// A *due instant* is one at which the expression elapses; it identifies a run for good. The run starts at the due
/// instant plus its jitter, or when a window opens after that.
///
/// Invariants: the start of a due instant depends on this value and the rules of the zone alone; it is never before the
/// due instant, and without windows always before the next one, so that jitter reorders nothing.
package struct Schedule: Sendable, Equatable, Codable {
    /// Seconds.
    package static let maximumJitter = 86_400
    package static let maximumWindows = 64
    /// Due instants that wait for a run at most.
    package static let maximumBacklog = 100
    /// How late a run may start that is not made up for, in microseconds.
    package static let tolerance: Int64 = 60_000_000

    package let expression: CalendarExpression
    /// The zone in which the expression is meant where it names none itself, and that of the windows; nil means UTC.
    package let zoneName: String?
    /// Seconds by which runs are spread at most.
    package let jitter: Int
    /// Makes different policies and hosts start at different times; the same seed always gives the same.
    package let seed: UInt64
    package let catchUp: CatchUp
    /// Runs start only in these; empty means at any time.
    package let windows: [TimeWindow]

    /// Values beyond their limits are cut to them: a document that says more was refused before.
    package init(
        _ expression: CalendarExpression, zoneName: String? = nil, jitter: Int = 0, seed: UInt64 = 0,
        catchUp: CatchUp = .latest, windows: [TimeWindow] = []
    ) {
        self.expression = expression
        self.zoneName = zoneName
        self.jitter = min(max(jitter, 0), Self.maximumJitter)
        self.seed = seed
        self.catchUp = catchUp
        self.windows = Array(windows.prefix(Self.maximumWindows))
    }

    private enum CodingKeys: String, CodingKey {
        case expression, zoneName, jitter, seed, catchUp, windows
    }

    /// Passes through the limits: what was stored may be damaged.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try values.decode(CalendarExpression.self, forKey: .expression),
            zoneName: try values.decodeIfPresent(String.self, forKey: .zoneName),
            jitter: try values.decode(Int.self, forKey: .jitter), seed: try values.decode(UInt64.self, forKey: .seed),
            catchUp: try values.decode(CatchUp.self, forKey: .catchUp),
            windows: try values.decode([TimeWindow].self, forKey: .windows))
    }

    /// The zone whose rules every function here wants: that of the expression, of the schedule, or UTC.
    package var effectiveZoneName: String { expression.zoneName ?? zoneName ?? "UTC" }

    /// The first due instant after `microseconds` since 1970; nil when there is none any more.
    ///
    /// Where clocks are set back, what the expression answers depends on whether it is asked from the first or the
    /// second of the doubled hours. Here the first counts whoever asks, so that nothing is due twice.
    package func due(after microseconds: Int64, in zone: TimeZoneRules) -> Int64? {
        var last = microseconds
        while let found = expression.next(after: last, in: zone) {
            let (seconds, fraction) = Int(found).floored(by: 1_000_000)
            let first = zone.firstReading(of: seconds)
            if first == seconds { return found }
            let earlier = Int64(first * 1_000_000 + fraction)
            if earlier > microseconds { return earlier }
            last = found
        }
        return nil
    }

    /// When the run for `due` may start at the earliest, windows aside.
    package func start(ofDue due: Int64, in zone: TimeZoneRules) -> Int64 {
        guard jitter > 0 else { return due }
        let next = self.due(after: due, in: zone) ?? CalendarExpression.endOfTime
        let span = UInt64(max(1, min(Int64(jitter) * 1_000_000 + 1, next - due)))
        return due + Int64(Self.mixed(seed ^ Self.mixed(UInt64(bitPattern: due))) % span)
    }

    /// Due instants and the times at which their runs start, windows included: what a list of coming runs shows.
    package func coming(
        after microseconds: Int64, in zone: TimeZoneRules, count: Int
    ) -> [(due: Int64, start: Int64?)] {
        var runs: [(due: Int64, start: Int64?)] = []
        var last = microseconds
        while runs.count < count, let due = due(after: last, in: zone) {
            runs.append((due, opening(from: start(ofDue: due, in: zone), in: zone)))
            last = due
        }
        return runs
    }

    // MARK: - Windows

    package func isOpen(at microseconds: Int64, in zone: TimeZoneRules) -> Bool {
        windows.isEmpty || isOpen(atSecond: Int(microseconds).floored(by: 1_000_000).quotient, in: zone)
    }

    private func isOpen(atSecond seconds: Int, in zone: TimeZoneRules) -> Bool {
        let local = seconds + zone.offset(at: seconds)
        return windows.contains { $0.isOpen(atLocal: local) }
    }

    /// The first instant from `microseconds` on at which a window is open; nil where none opens within a fortnight,
    /// which happens only when clock changes swallow it.
    package func opening(from microseconds: Int64, in zone: TimeZoneRules) -> Int64? {
        isOpen(at: microseconds, in: zone)
            ? microseconds : bound(after: microseconds, in: zone, wantsOpen: true) { $0.opens }
    }

    /// The first instant after `microseconds` at which no window is open; nil where one always is.
    package func closing(after microseconds: Int64, in zone: TimeZoneRules) -> Int64? {
        windows.isEmpty ? nil : bound(after: microseconds, in: zone, wantsOpen: false) { $0.closes }
    }

    /// The first of the bounds of all windows that lies after `microseconds` and has them all as wanted.
    private func bound(
        after microseconds: Int64, in zone: TimeZoneRules, wantsOpen: Bool,
        of side: ((opens: Int, closes: Int)) -> Int
    ) -> Int64? {
        let seconds = Int(microseconds).floored(by: 1_000_000).quotient
        let today = (seconds + zone.offset(at: seconds)).floored(by: 86_400).quotient
        for day in today - 1...today + 15 {
            let times = windows.flatMap { window in
                let local = side(window.bounds(onDay: day))
                return zone.instants(ofLocal: local) + [zone.firstInstant(ofLocal: local)]
            }
            let first = times.filter { $0 > seconds && isOpen(atSecond: $0, in: zone) == wantsOpen }.min()
            if let first { return Int64(first) * 1_000_000 }
        }
        return nil
    }

    /// Spreads the bits of a number over the whole word, by multiplications and shifts that can be undone, so that
    /// different numbers stay different.
    private static func mixed(_ number: UInt64) -> UInt64 {
        var value = number &+ 0x9E37_79B9_7F4A_7C15
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
