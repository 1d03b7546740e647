extension RetentionError.Reason {
    private static let spellings =
        "Write whole numbers with units, such as `7 years`, `6 months`, `30 days` or `P7Y6M`."
    private static let units = "Units are years, months, weeks, days, hours, minutes and seconds."

    private static func meant(_ suggestion: String?, else otherwise: String) -> String {
        suggestion.map { "Did you mean `\($0)`?" } ?? otherwise
    }

    var english: (message: String, hint: String) {
        switch self {
        case .emptyPeriod: ("a period is empty", Self.spellings)
        case .periodTextTooLong: ("a period is longer than \(PeriodText.maximumBytes) bytes of text", Self.spellings)
        case .notAPeriod(let text, let suggestion):
            ("`\(text)` is not a period", Self.meant(suggestion, else: Self.spellings))
        case .noNumber(let text): ("a number is missing before `\(text)`", Self.spellings)
        case .noUnit(let digits): ("the number \(digits) has no unit", Self.units)
        case .notWhole(let text):
            ("`\(text)` is a fraction", "Use whole numbers of a smaller unit, such as `18 months`.")
        case .unknownUnit(let word, let suggestion):
            ("`\(word)` is not a unit of time", Self.meant(suggestion, else: Self.units))
        case .ambiguousUnit(let word):
            ("`\(word)` may be months or minutes", "Write `mo` or `months`, `min` or `minutes`.")
        case .repeatedUnit(let unit): ("\(unit) stand twice in a period", "Write each unit once.")
        case .badISO(let text):
            (
                "`\(text)` is not a period of ISO 8601",
                "Write `P` and then years, months, days, such as `P7Y6M`; hours after a `T`."
            )
        case .periodTooLong:
            ("a period is longer than \(Period.maximumYears) years", "Write `forever` for permanent custody.")
        default: englishPlan
        }
    }

    private var englishPlan: (message: String, hint: String) {
        switch self {
        case .countOutOfRange(let generation, let count):
            (
                "the count \(count) of \(generation.rawValue) archives is out of range",
                "Give a count between 0 and \(RetentionRule.maximumCount)."
            )
        case .maximumBelowMinimum:
            ("the longest retention is shorter than the retention period", "Lengthen the one or shorten the other.")
        case .noArchiveTier:
            ("neither the online nor the offline tier is used", "Use at least one of them, or there is no archive.")
        case .emptyTierText(let tier):
            (
                "the \(tier.rawValue) tier names neither a format nor a reason",
                "Say in which format the tier keeps the data, or why it is not used (clause 5.2.1)."
            )
        case .noPlace: ("the online tier has no place", "Name at least one site that keeps a copy.")
        case .badPlace(let name):
            ("`\(name)` cannot name a place", "Use letters, digits, `.`, `_` and `-`, at most 64.")
        case .repeatedPlace(let name):
            ("the place \(name) stands twice", "Name each place once; two copies need two places.")
        case .tooManyPlaces:
            ("there are more than \(TierPlan.maximumPlaces) places", "Name only the places that must have a copy.")
        case .offlineCopiesOutOfRange(let count):
            (
                "\(count) offline copies are out of range",
                "Ask for 1 to \(TierPlan.maximumOfflineCopies) volumes, or declare the offline tier unused."
            )
        case .activeTrigger:
            ("the active tier has a trigger", "Remove it: data are in the active tier from the beginning.")
        case .moveNeedsActiveTerm:
            (
                "`mode: move` needs a period in the active tier after which the original may go",
                "Give the active tier a period, or use `mode: copy`."
            )
        case .previousNeverEnds(let tier):
            (
                "the \(tier.rawValue) tier begins when the one before it ends, and that never happens",
                "Give the tier before it a period, or begin `on: commit` or `after:` a period."
            )
        default: englishHold
        }
    }

    private var englishHold: (message: String, hint: String) {
        switch self {
        case .badHoldID(let id): ("`\(id)` cannot name a hold", "Use letters, digits, `.`, `_` and `-`, at most 64.")
        case .emptyHoldText(let text):
            ("the \(text.english) is empty", "Placing and releasing a hold need a person, a reason and a legal basis.")
        case .holdTextTooLong(let text):
            (
                "the \(text.english) is too long",
                "Shorten it below \(Hold.maximumTextBytes) bytes; refer to the document."
            )
        case .releasedAtPlacing(let id): ("the hold \(id) is placed as already released", "Place it first.")
        case .emptySelector:
            ("the hold names nothing that it covers", "Name a policy, component, path, time or archive.")
        case .badPathPrefix(let path):
            (
                "`\(path)` is not an absolute path in its shortest form",
                "Begin with `/` and leave out `.`, `..` and a slash at the end."
            )
        case .emptyTimeRange: ("the time range of the hold ends before it begins", "Exchange its ends.")
        case .duplicateHold(let id):
            ("there is already a hold \(id)", "Choose another id; ids of released holds stay taken.")
        case .unknownHold(let id, let suggestion):
            ("there is no hold \(id)", Self.meant(suggestion, else: "See `qala hold list`."))
        case .alreadyReleased(let id): ("the hold \(id) is already released", "Place a new hold if one is needed.")
        case .releaseAlreadyRequested(let id, let person):
            ("\(person) already asked to release the hold \(id)", "Another person approves or refuses that request.")
        case .releaseNotRequested(let id):
            ("nobody asked to release the hold \(id)", "One person requests the release, another one approves it.")
        case .selfApproval(let person):
            ("\(person) asked for the release and cannot approve it", "Another person has to approve it.")
        default: ("a retention setting is wrong", "")
        }
    }
}

extension RetentionError.HoldText {
    fileprivate var english: String {
        switch self {
        case .name: "name of the hold"
        case .reason: "reason"
        case .legalBasis: "legal basis"
        case .person: "person"
        }
    }
}
