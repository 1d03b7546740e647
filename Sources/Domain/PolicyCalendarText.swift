extension CalendarExpression {
    /// `every day at 02:30`, `hər gün saat 02:30`: the usual expressions in words; nil for any other.
    package func text(in language: Language) -> String? {
        var words = description.split(separator: " ").map(String.init)
        if zoneName != nil { words.removeLast() }
        guard let time = words.popLast(), let date = words.popLast(), words.count <= 1 else { return nil }
        let weekdays = words.first.map { WeekdayWords.text($0, in: language) }
        guard let clock = Self.clock(time, language) else { return nil }
        switch (date, weekdays, language) {
        case ("*-*-*", nil, .english): return clock.isOften ? clock.text : "every day at \(clock.text)"
        case ("*-*-*", nil, .azerbaijani): return clock.isOften ? clock.text : "hər gün saat \(clock.text)"
        case ("*-*-*", let days?, .english): return "\(days), \(clock.isOften ? "" : "at ")\(clock.text)"
        case ("*-*-*", let days?, .azerbaijani): return "\(days), \(clock.isOften ? "" : "saat ")\(clock.text)"
        default: break
        }
        guard weekdays == nil, !clock.isOften else { return nil }
        switch (Self.day(date), language) {
        case (nil, _): return nil
        case (.monthly(let day)?, .english): return "on day \(day) of every month at \(clock.text)"
        case (.monthly(let day)?, .azerbaijani): return "hər ay, ayın günü \(day), saat \(clock.text)"
        case (.yearly(let month, let day)?, .english): return "every year on \(month)-\(day) at \(clock.text)"
        case (.yearly(let month, let day)?, .azerbaijani): return "hər il, \(day).\(month), saat \(clock.text)"
        }
    }

    private enum Day {
        case monthly(Int)
        case yearly(month: String, day: String)
    }

    /// `*-*-DD` and `*-MM-DD`.
    private static func day(_ date: String) -> Day? {
        let parts = date.split(separator: "-").map(String.init)
        guard parts.count == 3, parts[0] == "*", parts[2].count == 2, let day = Int(parts[2]) else { return nil }
        if parts[1] == "*" { return .monthly(day) }
        return parts[1].count == 2 && Int(parts[1]) != nil ? .yearly(month: parts[1], day: parts[2]) : nil
    }

    /// `HH:MM:00`, `*:MM:00`, `00/N:MM:00` or `*:00/N:00`.
    private static func clock(_ time: String, _ language: Language) -> (text: String, isOften: Bool)? {
        let parts = time.split(separator: ":").map(String.init)
        guard parts.count == 3, parts[2] == "00" else { return nil }
        if let hour = Int(parts[0]), let minute = Int(parts[1]), parts[0].count == 2, parts[1].count == 2 {
            return (hour < 24 && minute < 60 ? "\(parts[0]):\(parts[1])" : time, false)
        }
        let isEnglish = language == .english
        if parts[0] == "*", parts[1].count == 2, let minute = Int(parts[1]) {
            return (isEnglish ? "every hour at minute \(minute)" : "hər saat, dəqiqə \(minute)", true)
        }
        if parts[0].hasPrefix("00/"), parts[1].count == 2, let step = Int(parts[0].dropFirst(3)),
            let minute = Int(parts[1]), 24 % max(step, 1) == 0
        {
            return (
                isEnglish ? "every \(step) hours at minute \(minute)" : "hər \(step) saatdan bir, dəqiqə \(minute)",
                true
            )
        }
        if parts[0] == "*", parts[1].hasPrefix("00/"), let step = Int(parts[1].dropFirst(3)), 60 % max(step, 1) == 0 {
            return (isEnglish ? "every \(step) minutes" : "hər \(step) dəqiqədən bir", true)
        }
        return nil
    }
}

extension TimeWindow {
    /// `Mon..Fri 22:00..06:00`, the weekdays in the language.
    package func text(in language: Language) -> String {
        let parts = description.split(separator: " ").map(String.init)
        guard parts.count == 2 else { return description }
        return "\(WeekdayWords.text(parts[0], in: language)) \(parts[1])"
    }
}

/// Weekdays as people write them.
private enum WeekdayWords {
    private static let azerbaijani = [
        "Mon": "B.e.", "Tue": "Ç.a.", "Wed": "Ç.", "Thu": "C.a.", "Fri": "C.", "Sat": "Ş.", "Sun": "B.",
    ]

    /// `Mon..Wed,Sat` as `Mon–Wed, Sat`, `B.e.–Ç., Ş.`.
    static func text(_ list: String, in language: Language) -> String {
        list.split(separator: ",").map { range in
            range.replacing("..", with: "–").split(separator: "–").map { day in
                language == .english ? String(day) : azerbaijani[String(day)] ?? String(day)
            }.joined(separator: "–")
        }.joined(separator: ", ")
    }
}
