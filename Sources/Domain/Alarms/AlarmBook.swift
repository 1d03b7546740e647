/// One thing to tell about an alarm.
package struct AlarmNotice: Sendable, Equatable, Codable {
    package enum Event: String, Sendable, Codable {
        case raised, reminded, cleared
    }

    package var event: Event
    package var alarm: Alarm
    /// What is known of it, for people.
    package var detail: String
    /// Seconds since 1970.
    package var since: Int64
    package var time: Int64
    /// How often it was told, this time included.
    package var count: Int

    package init(event: Event, alarm: Alarm, detail: String, since: Int64, time: Int64, count: Int) {
        self.event = event
        self.alarm = alarm
        self.detail = detail
        self.since = since
        self.time = time
        self.count = count
    }
}

/// Which alarms are open, and what is to be told of them.
///
/// Invariants:
/// 1. Every alarm that lasts its kind's patience is told; none is told to be over that was not told to be there.
/// 2. One that comes and goes is told at most once in ``restSeconds``, and never lost by that: what lasts is told then.
/// 3. Times are of a clock that may be set: a time told that lies ahead counts as now.
package struct AlarmBook: Sendable, Equatable, Codable {
    package struct Open: Sendable, Equatable, Codable {
        package var alarm: Alarm
        package var detail: String
        /// Seconds since 1970.
        package var since: Int64
        /// When it was told last; nil while nobody was told.
        package var told: Int64?
        package var count = 0

        /// Whether it is one yet: of what is alarming only after a time, that time has passed.
        package func hasLasted(at time: Int64) -> Bool {
            told != nil || time - min(since, time) >= alarm.kind.patience
        }
    }

    package static let restSeconds: Int64 = 600
    /// More is not kept; the book of a host has tens.
    package static let limit = 4096
    /// Of what was stored, no other times and counts are believed.
    package static let times: ClosedRange<Int64> = 0...253_402_300_799
    package static let counts = 0...1_000_000_000

    /// In the order in which they began.
    package private(set) var open: [Open] = []
    /// When alarms that are over were told last.
    private var resting: [Alarm: Int64] = [:]

    package init() {}

    /// Whether all times and counts are such as can be reckoned with.
    package var isPlausible: Bool {
        let own: [Int64] = open.map(\.since) + open.compactMap(\.told)
        return (own + resting.values).allSatisfy { Self.times.contains($0) }
            && open.allSatisfy { Self.counts.contains($0.count) }
    }

    /// Takes what is wrong now, with a detail for each, and returns what is to be told.
    package mutating func update(_ current: [Alarm: String], at time: Int64) -> [AlarmNotice] {
        var notices: [AlarmNotice] = []
        resting = resting.filter { time < min($0.value, time) + Self.restSeconds }
        for entry in open where current[entry.alarm] == nil {
            guard let told = entry.told else { continue }
            resting[entry.alarm] = min(told, time)
            if !entry.alarm.kind.isEvent { notices.append(entry.notice(.cleared, at: time)) }
        }
        open.removeAll { current[$0.alarm] == nil }
        let known = Set(open.map(\.alarm))
        let new = current.keys.filter { !known.contains($0) }.sorted {
            ($0.kind.rawValue, $0.subject) < ($1.kind.rawValue, $1.subject)
        }
        for alarm in new.prefix(max(0, Self.limit - open.count)) {
            open.append(Open(alarm: alarm, detail: "", since: time))
        }
        for at in open.indices {
            var entry = open[at]
            entry.detail = current[entry.alarm] ?? ""
            if let notice = tell(&entry, at: time) { notices.append(notice) }
            open[at] = entry
        }
        return notices
    }

    private func tell(_ entry: inout Open, at time: Int64) -> AlarmNotice? {
        entry.since = min(entry.since, time)
        let kind = entry.alarm.kind
        if let told = entry.told {
            entry.told = min(told, time)
            guard !kind.isEvent, let reminder = kind.level.reminder, time - min(told, time) >= reminder else {
                return nil
            }
        } else {
            guard entry.hasLasted(at: time), resting[entry.alarm] == nil else { return nil }
        }
        let event: AlarmNotice.Event = entry.told == nil ? .raised : .reminded
        entry.told = time
        entry.count += 1
        return entry.notice(event, at: time)
    }
}

extension AlarmBook.Open {
    fileprivate func notice(_ event: AlarmNotice.Event, at time: Int64) -> AlarmNotice {
        AlarmNotice(event: event, alarm: alarm, detail: detail, since: since, time: time, count: count)
    }
}

extension AlarmNotice {
    /// One line: how loud, what, of what, where.
    package func title(in language: Language, host: String) -> String {
        let what = "\(alarm.kind.text(in: language)): \(alarm.subject)"
        let level = alarm.kind.level.name(in: language).uppercased()
        switch (event, language) {
        case (.cleared, .english): return "[Qala \(host)] OVER: \(what)"
        case (.cleared, .azerbaijani): return "[Qala \(host)] SONA ÇATIB: \(what)"
        case (.reminded, .english): return "[Qala \(host)] \(level), told \(count) times: \(what)"
        case (.reminded, .azerbaijani): return "[Qala \(host)] \(level), \(count)-ci dəfə: \(what)"
        case (.raised, _): return "[Qala \(host)] \(level): \(what)"
        }
    }

    /// `responsible`: who answers for the subject, with what they can be reached by.
    package func body(in language: Language, host: String, responsible: [String]) -> String {
        var lines = [title(in: language, host: host), ""]
        if !detail.isEmpty { lines += [detail, ""] }
        let start = InstantText.utc(since * 1_000_000)
        switch language {
        case .english:
            lines.append("Since: \(start)")
            lines += responsible.map { "Responsible: \($0)" }
            lines.append("More: qala status; qala alarms")
        case .azerbaijani:
            lines.append("Başlanıb: \(start)")
            lines += responsible.map { "Məsul şəxs: \($0)" }
            lines.append("Ətraflı: qala status; qala alarms")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
