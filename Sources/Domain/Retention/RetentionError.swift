/// What is wrong with a period, a retention rule, a tier plan, or an act upon a hold.
package struct RetentionError: Failure, Equatable {
    package enum Reason: Hashable, Sendable {
        // Periods.
        case emptyPeriod
        case periodTextTooLong
        case notAPeriod(String, suggestion: String?)
        case noNumber(String)
        case noUnit(String)
        case notWhole(String)
        case unknownUnit(String, suggestion: String?)
        case ambiguousUnit(String)
        case repeatedUnit(String)
        case badISO(String)
        case periodTooLong
        // Retention rules.
        case countOutOfRange(Generation, Int)
        case maximumBelowMinimum
        // Tier plans.
        case noArchiveTier
        case emptyTierText(Tier)
        case noPlace
        case badPlace(String)
        case repeatedPlace(String)
        case tooManyPlaces
        case offlineCopiesOutOfRange(Int)
        case activeTrigger
        case moveNeedsActiveTerm
        case previousNeverEnds(Tier)
        // Holds.
        case badHoldID(String)
        case emptyHoldText(HoldText)
        case holdTextTooLong(HoldText)
        case releasedAtPlacing(String)
        case emptySelector
        case badPathPrefix(String)
        case emptyTimeRange
        case duplicateHold(String)
        case unknownHold(String, suggestion: String?)
        case alreadyReleased(String)
        case releaseAlreadyRequested(String, by: String)
        case releaseNotRequested(String)
        case selfApproval(String)
    }

    /// The texts that every act upon a hold must carry.
    package enum HoldText: String, Sendable, CaseIterable {
        case name, reason, legalBasis, person
    }

    package var reason: Reason
    /// UTF-8 offset in the text of a period; nil for everything else.
    package var position: Int?

    package init(_ reason: Reason, at position: Int? = nil) {
        self.reason = reason
        self.position = position
    }

    package var kind: FailureKind {
        switch reason {
        case .selfApproval: .denied
        case .unknownHold: .notFound
        case .badHoldID, .emptyHoldText, .holdTextTooLong, .releasedAtPlacing, .emptySelector, .badPathPrefix,
            .emptyTimeRange, .duplicateHold, .alreadyReleased, .releaseAlreadyRequested, .releaseNotRequested:
            .usage
        default: .badPolicy
        }
    }

    package var message: String { message(in: .english) }
    package var hint: String { hint(in: .english) }

    package func message(in language: Language) -> String {
        switch language {
        case .english: reason.english.message
        case .azerbaijani: reason.azerbaijani.message
        }
    }

    package func hint(in language: Language) -> String {
        switch language {
        case .english: reason.english.hint
        case .azerbaijani: reason.azerbaijani.hint
        }
    }
}
