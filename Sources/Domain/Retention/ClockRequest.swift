/// What two persons confirm of vault time after a jump of the clock (`docs/daemon.md`).
///
/// It names the moment at which it was asked: that boot of the machine, the seconds since then, and the vault time that
/// stood there. So it holds for one freeze, in one boot, and for no other.
package struct ClockRequest: Sendable, Equatable {
    /// Seconds for which a request is good, by the time since boot.
    package static let validSeconds: Int64 = 86_400
    /// The last second of the year 9999: no later time is confirmed.
    package static let latest: Int64 = 253_402_300_799

    package enum Refusal: String, Error, Sendable, CaseIterable {
        /// There is nothing to confirm, or it was confirmed meanwhile.
        case trusted
        case otherBoot, otherFreeze, old
    }

    /// When it was asked for: the clocks of the machine.
    package var reading: VaultClock.Reading
    /// Vault time at that moment, and what it shall be; seconds since 1970.
    package var frozen: Int64
    package var proposed: Int64
    /// The id of the first person in the register of persons.
    package var author: String
    package var reason: String

    package init(reading: VaultClock.Reading, frozen: Int64, proposed: Int64, author: String, reason: String) {
        self.reading = reading
        self.frozen = frozen
        self.proposed = proposed
        self.author = author
        self.reason = reason
    }

    /// The bytes whose SHA-256 digest is the request's.
    package var canonicalBytes: [UInt8] {
        var bytes = Array("qala clock request 1\u{0}".utf8)
        bytes += SignedBytes.text(reading.bootID)
        for number in [reading.boot, reading.wall, frozen, proposed] { bytes += SignedBytes.number(number) }
        for text in [author, reason] { bytes += SignedBytes.text(text) }
        return bytes
    }

    /// The day on which both persons must be in office. Vault time is never ahead, so a time before it is none to judge by.
    package var day: CivilDay { CivilDay(secondsSince1970: max(frozen, proposed)) }
}

extension VaultClock {
    /// Why a request is not about this clock as it stands; nil where it is. The clock was advanced to `reading`.
    package func refusal(of request: ClockRequest, at reading: Reading) -> ClockRequest.Refusal? {
        if isTrusted { return .trusted }
        guard request.reading.bootID == reading.bootID, reading.boot >= request.reading.boot else { return .otherBoot }
        let elapsed = reading.boot.subtractingClamped(request.reading.boot)
        if elapsed > ClockRequest.validSeconds { return .old }
        return seconds == request.frozen.addingClamped(elapsed) ? nil : .otherFreeze
    }

    /// Takes over what two persons vouched for; the caller has checked them.
    package mutating func confirm(_ request: ClockRequest, at reading: Reading) throws(ClockRequest.Refusal) {
        advance(to: reading)
        if let refusal = refusal(of: request, at: reading) { throw refusal }
        let elapsed = reading.boot.subtractingClamped(request.reading.boot)
        confirm(request.proposed.addingClamped(elapsed), at: reading)
    }
}

extension ClockRequest.Refusal {
    package var text: String {
        switch self {
        case .trusted: "vault time is trusted: there is nothing to confirm"
        case .otherBoot: "the machine was started anew since it was asked for"
        case .otherFreeze: "vault time is another one than the request is about"
        case .old: "it was asked for more than a day ago"
        }
    }
}
