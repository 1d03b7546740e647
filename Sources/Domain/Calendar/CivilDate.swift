/// Dates of the Gregorian calendar as arithmetic on days since 1970-01-01, without tables.
///
/// Valid for the years -10^9 to 10^9; months and days beyond their usual range carry into what is above them.
package enum CivilDate {
    /// Days from 0000-03-01, with which the years of this arithmetic begin, to 1970-01-01.
    private static let daysToEpoch = 719_468
    private static let daysInFourCenturies = 146_097

    /// Month 13 is January of the next year, day 0 the last one of the month before.
    static func days(year: Int, month: Int, day: Int) -> Int {
        let (years, monthFromJanuary) = (month - 1).floored(by: 12)
        // A year that begins in March has its leap day at the end, where it shifts no month.
        let monthFromMarch = (monthFromJanuary + 10) % 12
        let marchYear = year + years - (monthFromJanuary < 2 ? 1 : 0)
        let leapDays = marchYear.floored(by: 4).quotient - marchYear.floored(by: 100).quotient
        let leapCenturies = marchYear.floored(by: 400).quotient
        return 365 * marchYear + leapDays + leapCenturies + (153 * monthFromMarch + 2) / 5 + day - 1 - daysToEpoch
    }

    static func fields(days: Int) -> (year: Int, month: Int, day: Int) {
        let (cycle, day) = (days + daysToEpoch).floored(by: daysInFourCenturies)
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
        let dayOfYear = day - (365 * year + year / 4 - year / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (
            cycle * 400 + year + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        )
    }

    package static func daysInMonth(year: Int, month: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    static func isLeap(_ year: Int) -> Bool {
        year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400))
    }

    /// 0 is Monday, 6 Sunday.
    static func weekday(days: Int) -> Int { (days + 3).floored(by: 7).remainder }
}

extension Int {
    /// The quotient rounded down, and what is left, which is never negative; `divisor` is positive.
    func floored(by divisor: Int) -> (quotient: Int, remainder: Int) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

/// What a clock on the wall and the calendar beside it show.
struct WallClock: Equatable, Sendable {
    var year: Int
    /// 1 is January. This field and those below may leave their range while a search carries into the one above.
    var month: Int
    var day: Int
    var hour: Int
    var minute: Int
    var second: Int

    init(year: Int, month: Int = 1, day: Int = 1, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// What a clock shows that runs `localSeconds` after midnight of 1970-01-01, as it was there.
    init(localSeconds: Int) {
        let (days, second) = localSeconds.floored(by: 86_400)
        (year, month, day) = CivilDate.fields(days: days)
        hour = second / 3600
        minute = second / 60 % 60
        self.second = second % 60
    }

    var days: Int { CivilDate.days(year: year, month: month, day: day) }
    var localSeconds: Int { days * 86_400 + hour * 3600 + minute * 60 + second }
}

/// Instants as text for people: `2026-05-01 03:00:00 UTC`.
package enum InstantText {
    /// `microseconds` since 1970; a fraction of a second is shown only where there is one.
    package static func utc(_ microseconds: Int64) -> String {
        let (seconds, fraction) = Int(microseconds).floored(by: 1_000_000)
        let wall = WallClock(localSeconds: seconds)
        let date = "\(padded(wall.year, 4))-\(padded(wall.month, 2))-\(padded(wall.day, 2))"
        let time = "\(padded(wall.hour, 2)):\(padded(wall.minute, 2)):\(padded(wall.second, 2))"
        return fraction == 0 ? "\(date) \(time) UTC" : "\(date) \(time).\(padded(fraction, 6)) UTC"
    }

    static func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value.magnitude)
        return (value < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
