/// Finds the next time at which a calendar expression elapses: one field after the other, from years to seconds, is
/// moved forward to a value that matches, and whatever is finer starts anew.
///
/// A clock time has no meaning of its own where clocks change. Three rules, which are those of `mktime` as systemd uses
/// it, give it one:
/// - a time that comes twice is read with the offset that the time read before it had: coming from before the change
///   it is the first, searching on from the second it is the second;
/// - a time that is skipped is read as the later time that the clock shows instead, or as an earlier one where only
///   that lies in daylight saving time; a search never moves backwards, so in that case the field above is carried;
/// - where a value beyond its range was carried, the field below what changed starts anew, and the time is read as
///   daylight saving time if and only if the clock showed that at the place it was carried to.
struct CalendarSearch {
    /// More rounds than the worst expression needs: each moves forward a day at least once the hour is settled, and
    /// years, months and days that cannot match are passed over whole.
    private static let maximumRounds = 100_000

    private enum Outcome {
        case found
        case again
        case never
    }

    private enum Reading {
        case stands
        case moved
        case impossible
    }

    private let expression: CalendarExpression
    private let zone: TimeZoneRules
    private let base: Int64
    private var wall: WallClock
    /// Of the second.
    private var microsecond: Int
    /// Seconds by which the clock that was read last ran ahead of UTC.
    private var offset: Int
    /// Whether the clock showed daylight saving time where an overflow was carried to; nil elsewhere.
    private var landedInDaylight: Bool?

    /// `microseconds` is not below -1 and not beyond the year 2199.
    init(_ expression: CalendarExpression, after microseconds: Int64, in zone: TimeZoneRules) {
        self.expression = expression
        self.zone = zone
        base = microseconds
        let (seconds, fraction) = Int(microseconds + 1).floored(by: 1_000_000)
        microsecond = fraction
        offset = zone.offset(at: seconds)
        wall = WallClock(localSeconds: seconds + offset)
    }

    mutating func run() -> Int64? {
        for _ in 0..<Self.maximumRounds {
            guard let here = readCarried() else { return nil }
            let shown = zone.wall(at: here)
            if shown != wall {
                wall = shown
                _ = read(shown)
            }
            guard wall.year <= CalendarExpression.years.upperBound else { return nil }
            switch moveForward() {
            case .found:
                guard let here = read(wall) else { return nil }
                let found = Int64(here * 1_000_000 + microsecond)
                if found > base { return found }
                // Clocks that change as no law has them do, in a damaged file, could lead back.
                _ = carry(above: .second)
            case .again: continue
            case .never: return nil
            }
        }
        return nil
    }

    /// One round through the fields; `again` where one of them was carried into the field above.
    private mutating func moveForward() -> Outcome {
        for unit in CalendarUnit.allCases {
            let value = self[unit]
            let lastDay = unit == .day && expression.countsFromMonthEnd ? readMonthEnd() : nil
            guard let match = expression.field(unit).first(from: value, lastDay: lastDay) else {
                return carry(above: unit)
            }
            if match != value {
                startAnew(below: unit)
                self[unit] = match
                switch settle() {
                case .stands: break
                case .moved: return .again
                case .impossible: return carry(above: unit)
                }
            }
            if unit == .day, !expression.weekdays.contains(CivilDate.weekday(days: wall.days)) {
                return carry(above: .hour)
            }
        }
        return .found
    }

    /// The length of the month. To find it systemd reads the clock on the day that the last element begins with, or
    /// after the month where it has no end; that reading, too, decides how a time that comes twice is read next.
    private mutating func readMonthEnd() -> Int {
        var there = wall
        there.month += 1
        there.day = 1 - (expression.day.series.last?.end ?? -1)
        _ = read(there)
        return CivilDate.daysInMonth(year: wall.year, month: wall.month)
    }

    private subscript(unit: CalendarUnit) -> Int {
        get {
            switch unit {
            case .year: wall.year
            case .month: wall.month
            case .day: wall.day
            case .hour: wall.hour
            case .minute: wall.minute
            case .second: wall.second * 1_000_000 + microsecond
            }
        }
        set {
            switch unit {
            case .year: wall.year = newValue
            case .month: wall.month = newValue
            case .day: wall.day = newValue
            case .hour: wall.hour = newValue
            case .minute: wall.minute = newValue
            case .second: (wall.second, microsecond) = newValue.floored(by: 1_000_000)
            }
        }
    }

    private mutating func startAnew(below unit: CalendarUnit) {
        for finer in CalendarUnit.allCases where finer.rawValue > unit.rawValue {
            self[finer] = finer.range.lowerBound
        }
    }

    /// Goes on with the next value of the field above `unit`, which may leave its range until it is read.
    private mutating func carry(above unit: CalendarUnit) -> Outcome {
        guard let parent = CalendarUnit(rawValue: unit.rawValue - 1) else { return .never }
        self[parent] += 1
        startAnew(below: parent)
        landedInDaylight = nil
        return .again
    }

    /// Reads the clock time as it stands: a value beyond its range, or a time that clocks skip, becomes another.
    private mutating func settle() -> Reading {
        guard let here = read(wall) else { return .impossible }
        let shown = zone.wall(at: here)
        if shown == wall { return .stands }
        let (was, now) = (wall.fields, shown.fields)
        guard let changed = was.indices.first(where: { was[$0] != now[$0] }), now[changed] > was[changed] else {
            return .impossible
        }
        wall = shown
        if let unit = CalendarUnit(rawValue: changed + 1) {
            if unit == .second { wall.second = 0 } else { self[unit] = unit.range.lowerBound }
            landedInDaylight = zone.localType(at: here).isDaylight
        }
        return .moved
    }

    /// Reads the clock time after a carry, which may want the kind of time that the clock showed where it landed.
    private mutating func readCarried() -> Int? {
        guard let wanted = landedInDaylight else { return read(wall) }
        landedInDaylight = nil
        let before = offset
        // The field that started anew may lie before the clocks were set forward; read with the later kind of time it
        // would go back to where the search came from. systemd gives up there; the plain reading goes on.
        if let here = read(wall, daylight: wanted), here + zone.offset(at: here) >= wall.localSeconds { return here }
        offset = before
        return read(wall)
    }

    /// The instant at which the clock shows `wall` or what stands for it; nil where none can be found.
    private mutating func read(_ wall: WallClock, daylight wanted: Bool? = nil) -> Int? {
        let local = wall.localSeconds
        if zone.isFixed { return local - offset }
        var probe = local - offset
        var last = probe
        var secondToLast = probe
        var wasDaylight = false
        // Follows the offset that holds at each guess until a guess explains itself or two take turns: a skipped time.
        for _ in 0..<6 {
            let type = zone.localType(at: probe)
            if local - type.offset == probe {
                if let wanted, wanted != type.isDaylight { probe = local - nearestOffset(to: probe, daylight: wanted) }
                offset = local - probe
                return probe
            }
            if probe == secondToLast, probe != last {
                let isPreferred = wanted.map { $0 != type.isDaylight } ?? (type.isDaylight || !wasDaylight)
                if isPreferred {
                    offset = local - probe
                    return probe
                }
            }
            (secondToLast, last, probe, wasDaylight) = (last, probe, local - type.offset, type.isDaylight)
        }
        return nil
    }

    /// The offset of the kind of time that is wanted, at the change nearest to `seconds`; within seven years, looking
    /// every week, or the present one.
    private func nearestOffset(to seconds: Int, daylight wanted: Bool) -> Int {
        let week = 601_200
        for distance in stride(from: week, through: 366 * week, by: week) {
            for other in [seconds - distance, seconds + distance] {
                let type = zone.localType(at: other)
                if type.isDaylight == wanted { return type.offset }
            }
        }
        return zone.offset(at: seconds)
    }
}

extension WallClock {
    /// In the order of ``CalendarUnit``.
    fileprivate var fields: [Int] { [year, month, day, hour, minute, second] }
}
