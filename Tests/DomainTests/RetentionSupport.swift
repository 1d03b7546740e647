import Domain
import Foundation

/// A small generator with a printable seed.
struct RetentionDice: RandomNumberGenerator {
    /// Whether the randomised tests take their long slices, for machines that have the time.
    static let isLong = ProcessInfo.processInfo.environment["QALA_TEST_LONG"] == "1"
    /// Fixed in short runs, so that they fail the same way everywhere; another one in each long run; always printed.
    static let seed: UInt64 = isLong ? .random(in: 1...1_000_000_000) : 20_261_122

    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func roll(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

    /// True once in so many times.
    mutating func once(in sides: Int) -> Bool { roll(1...sides) == 1 }

    mutating func digest() -> Digest { Digest(words: (next(), next(), next(), next())) }
}

/// The calendar by counting: every month from 1800 to 2800 laid end to end. It shares no formula with the product.
enum CountedCalendar {
    static let firstYear = 1800
    static let epochDay: Int = {
        var days = 0
        for year in firstYear..<1970 { days += length(of: year) }
        return days
    }()

    /// The number of the first day of every month, counted from 1 January 1970.
    static let monthStarts: [Int] = {
        var starts: [Int] = []
        var day = -epochDay
        for year in firstYear..<2800 {
            for month in 1...12 {
                starts.append(day)
                day += length(of: month, year)
            }
        }
        return starts
    }()

    static func isLeap(_ year: Int) -> Bool { year % 400 == 0 || (year % 4 == 0 && year % 100 != 0) }
    static func length(of year: Int) -> Int { isLeap(year) ? 366 : 365 }

    static func length(of month: Int, _ year: Int) -> Int {
        if month == 2 { return isLeap(year) ? 29 : 28 }
        return [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    static func day(of instant: Int64) -> Int {
        var day = Int(instant) / 86_400
        if Int64(day) * 86_400 > instant { day -= 1 }
        return day
    }

    /// Index into `monthStarts`.
    static func month(of instant: Int64) -> Int {
        let wanted = day(of: instant)
        var low = 0
        var high = monthStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if monthStarts[middle] <= wanted { low = middle } else { high = middle }
        }
        return low
    }

    static func adding(_ months: Int, _ seconds: Int64, to instant: Int64) -> Int64 {
        let day = day(of: instant)
        let ofDay = instant - Int64(day) * 86_400
        let from = month(of: instant)
        let target = from + months
        let length = monthStarts[target + 1] - monthStarts[target]
        let newDay = monthStarts[target] + min(day - monthStarts[from], length - 1)
        return Int64(newDay) * 86_400 + ofDay + seconds
    }

    static func adding(_ period: Period, to instant: Int64) -> Int64 {
        adding(period.months, period.seconds, to: instant)
    }

    static func instant(_ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0) -> Int64 {
        let start = monthStarts[(year - firstYear) * 12 + month - 1]
        return Int64(start + day - 1) * 86_400 + Int64(hour * 3600 + minute * 60)
    }

    /// The slot of a generation as a name that two instants share exactly if they share the slot.
    static func slot(_ generation: Generation, of fact: ArchiveFact) -> String {
        let day = day(of: fact.time)
        let month = month(of: fact.time)
        switch generation {
        case .last: return fact.id.hex
        case .hourly: return "\(day) \((fact.time - Int64(day) * 86_400) / 3600)"
        case .daily: return "\(day)"
        case .weekly:
            // 5 January 1970 was a Monday; 10 000 weeks keep the number positive.
            return "\((day - 4 + 70_000) / 7)"
        case .monthly: return "\(month)"
        case .yearly: return "\(month / 12)"
        }
    }
}
