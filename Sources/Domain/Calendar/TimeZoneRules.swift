/// What the clocks of one time zone show at every instant, as a file of the IANA database tells it.
///
/// Invariants:
/// - a value exists only for a file that was understood whole; whatever its bytes, reading them ends in a value or an
///   error;
/// - transitions ascend strictly, and every one names a type that exists;
/// - every answer takes at most logarithmic time in the number of transitions.
package struct TimeZoneRules: Sendable, Hashable {
    /// One way in which the clocks of a zone have been set.
    package struct LocalType: Sendable, Hashable {
        /// Seconds east of Greenwich.
        package var offset: Int
        package var isDaylight: Bool
        /// `CET`, `+04`: for people, not for decisions.
        package var abbreviation: String
    }

    package static let utc = TimeZoneRules(
        types: [LocalType(offset: 0, isDaylight: false, abbreviation: "UTC")], transitions: [], typeOfTransition: [],
        footer: nil)

    /// Offsets that RFC 8536 allows, in seconds.
    static let offsetRange = -89_999...93_599
    /// Beyond this many seconds from 1970, 35 million years, the calendar stands still, so that nothing overflows.
    private static let horizon = 1 << 50

    /// At least one; the first holds before the first transition.
    private let types: [LocalType]
    /// Seconds since 1970 at which ``typeOfTransition`` begins to hold.
    private let transitions: [Int]
    private let typeOfTransition: [UInt8]
    /// Holds from the last transition on.
    private let footer: PosixZone?

    init(types: [LocalType], transitions: [Int], typeOfTransition: [UInt8], footer: PosixZone?) {
        self.types = types
        self.transitions = transitions
        self.typeOfTransition = typeOfTransition
        self.footer = footer
    }

    /// Reads the content of a TZif file of version 1 to 4, such as those of `/usr/share/zoneinfo`.
    package init(tzif bytes: [UInt8]) throws(TimeZoneError) { self = try TimeZoneFile.read(bytes) }

    /// The zone of a POSIX `TZ` rule such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    package init(posix rule: String) throws(TimeZoneError) {
        let zone = try PosixZoneParser.parse(Array(rule.utf8))
        self.init(types: [zone.standard], transitions: [], typeOfTransition: [], footer: zone)
    }

    /// Whether the clocks never change.
    var isFixed: Bool { transitions.isEmpty && footer?.daylight == nil }

    /// What the clocks show at `seconds` since 1970.
    package func localType(at seconds: Int) -> LocalType {
        guard let first = transitions.first, let last = transitions.last, let final = typeOfTransition.last else {
            return footer?.localType(at: clamped(seconds)) ?? types[0]
        }
        if seconds < first { return types[0] }
        if seconds >= last { return footer?.localType(at: clamped(seconds)) ?? types[Int(final)] }
        // The last transition at or before the instant: `low` is one, `high` is later.
        var low = 0
        var high = transitions.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if transitions[middle] <= seconds { low = middle } else { high = middle }
        }
        return types[Int(typeOfTransition[low])]
    }

    /// Seconds east of Greenwich at `seconds` since 1970.
    package func offset(at seconds: Int) -> Int { localType(at: seconds).offset }

    func wall(at seconds: Int) -> WallClock {
        let seconds = clamped(seconds)
        return WallClock(localSeconds: seconds + offset(at: seconds))
    }

    /// The instants at which the clocks show `local` (seconds after midnight of 1970-01-01 on that clock), ascending:
    /// none where they are set forward over it, two where they are set back.
    package func instants(ofLocal local: Int) -> [Int] {
        let local = clamped(local)
        // Whatever offset can apply is one found near the time read with another that can.
        var offsets = [offset(at: local - 93_600), offset(at: local + 93_600)]
        var at = 0
        while at < offsets.count, at < 8 {
            let found = offset(at: local - offsets[at])
            if !offsets.contains(found) { offsets.append(found) }
            at += 1
        }
        return Set(offsets.map { local - $0 }).filter { $0 + offset(at: $0) == local }.sorted()
    }

    /// The first instant at which the clocks show `local` or, where they skip it, something later.
    package func firstInstant(ofLocal local: Int) -> Int {
        if let first = instants(ofLocal: local).first { return first }
        let local = clamped(local)
        var before = local - 93_600
        var after = local + 93_600
        while after - before > 1 {
            let middle = before + (after - before) / 2
            if middle + offset(at: middle) < local { before = middle } else { after = middle }
        }
        return after
    }

    /// The first instant at which the clocks show what they show at `seconds`.
    func firstReading(of seconds: Int) -> Int {
        let offset = offset(at: seconds)
        // Without a step back within a day there is no other.
        if isFixed || self.offset(at: seconds - 93_600) <= offset { return seconds }
        return instants(ofLocal: seconds + offset).first ?? seconds
    }

    private func clamped(_ seconds: Int) -> Int { min(max(seconds, -Self.horizon), Self.horizon) }
}

/// Why a time zone cannot be read.
package struct TimeZoneError: Failure {
    package var kind: FailureKind { .damaged }
    package var message: String
    package var hint: String

    static func damaged(_ detail: String) -> TimeZoneError {
        TimeZoneError(message: "the time zone file is malformed: \(detail)", hint: "Install the package tzdata again.")
    }
}
