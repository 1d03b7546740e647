/// A date and time of day of the Gregorian calendar in UTC, without leap seconds: what retention reckons in.
///
/// Total for every `Int64`: instants beyond ±``limit`` count as the limit, some 31 million years away.
struct UTCDate {
    /// Seconds from 1970 within which all arithmetic here is exact and cannot overflow.
    static let limit: Int64 = 1_000_000_000_000_000

    var year: Int64
    /// 1 to 12.
    var month: Int64
    /// From 1.
    var day: Int64
    /// 0 ..< 86 400.
    var secondOfDay: Int64

    init(year: Int64, month: Int64, day: Int64, secondOfDay: Int64 = 0) {
        self.year = year
        self.month = month
        self.day = day
        self.secondOfDay = secondOfDay
    }

    /// The date at so many seconds since 1970.
    init(_ instant: Int64) {
        let seconds = min(max(instant, -Self.limit), Self.limit)
        let days = seconds.dividedDown(by: 86_400)
        secondOfDay = seconds - days * 86_400
        // Years begin in March here, so that the leap day is the last of its year and months have one formula.
        let shifted = days + 719_468
        let era = shifted.dividedDown(by: 146_097)
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * ofYear + 2) / 153
        day = ofYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Seconds since 1970.
    var instant: Int64 {
        let marchYear = month <= 2 ? year - 1 : year
        let era = marchYear.dividedDown(by: 400)
        let yearOfEra = marchYear - era * 400
        let marchMonth = month > 2 ? month - 3 : month + 9
        let ofYear = (153 * marchMonth + 2) / 5 + day - 1
        let ofEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + ofYear
        return (era * 146_097 + ofEra - 719_468) * 86_400 + secondOfDay
    }

    /// Months since January of the year 0.
    var monthNumber: Int64 { year * 12 + month - 1 }

    /// The same day and time so many months later; a day that the month does not have becomes its last.
    func adding(months: Int64) -> UTCDate {
        let number = monthNumber + months
        let year = number.dividedDown(by: 12)
        let month = number - year * 12 + 1
        let day = min(day, Self.days(inMonth: month, of: year))
        return UTCDate(year: year, month: month, day: day, secondOfDay: secondOfDay)
    }

    static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400)) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// `2033-04-05 12:00:00 UTC`, the same in every language, so that it can be compared and searched.
    static func text(_ instant: Int64) -> String {
        let date = UTCDate(instant)
        let time = date.secondOfDay
        let day = "\(padded(date.year, 4))-\(padded(date.month))-\(padded(date.day))"
        return "\(day) \(padded(time / 3600)):\(padded(time / 60 % 60)):\(padded(time % 60)) UTC"
    }

    private static func padded(_ number: Int64, _ width: Int = 2) -> String {
        let digits = String(number.magnitude)
        let zeros = String(repeating: "0", count: max(0, width - digits.count))
        return (number < 0 ? "-" : "") + zeros + digits
    }
}

extension Int64 {
    /// The quotient rounded towards minus infinity; `divisor` is positive.
    func dividedDown(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
