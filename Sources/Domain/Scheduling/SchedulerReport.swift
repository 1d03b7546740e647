/// What the scheduler has to tell people about.
package enum SchedulerReport: Sendable, Equatable {
    /// Why due instants passed without a run.
    package enum Reason: String, Sendable, CaseIterable, Codable {
        /// The machine or the daemon was not running, or its clock was set forward.
        case absent
        /// The run before it was still going.
        case overrun
        case paused
        /// Runs rest after failures.
        case failing
        /// No window was open.
        case window
        /// More had gathered than are kept.
        case backlog
        /// The policy was withdrawn.
        case withdrawn
    }

    /// No run is made for `count` due instants from `first` to `last` or, where not `isExact`, for at least that many
    /// that lie from `first` to `last`. Runs may have been made for others between them.
    case missed(policy: String, first: Int64, last: Int64, count: Int, isExact: Bool, reason: Reason)
    /// The window in which the run for `due` should have started has closed; it waits until the next one.
    case windowMissed(policy: String, due: Int64, opensAgain: Int64?)
    /// The daemon or the machine went down during the run.
    case interrupted(RunIdentity)
    /// The run failed for the last time; nothing more is done for its due instant.
    case gaveUp(RunIdentity)
    /// The clock was set by so many microseconds, forward or (negative) back.
    case clockStepped(by: Int64)
    /// Nothing is due any more.
    case ended(policy: String)
    /// Something was said about a run that is not known to be going.
    case unknownRun(RunIdentity)

    package func text(in language: Language) -> String {
        let isEnglish = language == .english
        switch self {
        case .missed(let policy, let first, let last, let count, let isExact, let reason):
            let number = isExact ? "\(count)" : isEnglish ? "at least \(count)" : "ən azı \(count)"
            let span =
                first == last ? at(first) : isEnglish ? "\(at(first)) to \(at(last))" : "\(at(first)) – \(at(last))"
            return isEnglish
                ? "\(policy): \(number) due \(count == 1 ? "run was" : "runs were") missed (\(span)): "
                    + reason.text(in: language)
                : "\(policy): vaxtı çatmış \(number) icra buraxıldı (\(span)): \(reason.text(in: language))"
        case .windowMissed(let policy, let due, let opensAgain):
            let until = opensAgain.map(at) ?? "?"
            return isEnglish
                ? "\(policy): the window for the run due \(at(due)) passed; it waits until \(until)"
                : "\(policy): \(at(due)) vaxtlı icranın pəncərəsi keçdi; icra \(until) vaxtına qədər gözləyir"
        case .interrupted(let run):
            return isEnglish
                ? "\(run.policy): the run due \(at(run.due)) was interrupted (attempt \(run.attempt))"
                : "\(run.policy): \(at(run.due)) vaxtlı icra yarımçıq kəsildi (cəhd \(run.attempt))"
        case .gaveUp(let run):
            return isEnglish
                ? "\(run.policy): the run due \(at(run.due)) failed \(run.attempt) times and is given up"
                : "\(run.policy): \(at(run.due)) vaxtlı icra \(run.attempt) dəfə uğursuz oldu və dayandırıldı"
        case .clockStepped(let by):
            let seconds = Readable.duration(Double(by.magnitude) / 1e6, language)
            if isEnglish { return "the clock was set \(by < 0 ? "back" : "forward") by \(seconds)" }
            return "sistem saatı \(seconds) \(by < 0 ? "geri" : "irəli") çəkildi"
        case .ended(let policy):
            return isEnglish
                ? "\(policy): its schedule names no further time" : "\(policy): cədvəldə gələcək vaxt qalmayıb"
        case .unknownRun(let run):
            return isEnglish
                ? "\(run.policy): no run due \(at(run.due)) (attempt \(run.attempt)) is known to be going"
                : "\(run.policy): \(at(run.due)) vaxtlı gedən icra (cəhd \(run.attempt)) məlum deyil"
        }
    }

    private func at(_ instant: Int64) -> String { InstantText.utc(instant) }
}

extension SchedulerReport.Reason {
    package func text(in language: Language) -> String {
        switch (self, language) {
        case (.absent, .english): "the daemon was not running, or the clock was set forward"
        case (.absent, .azerbaijani): "xidmət işləmirdi və ya sistem saatı irəli çəkilmişdi"
        case (.overrun, .english): "the run before was still going"
        case (.overrun, .azerbaijani): "əvvəlki icra hələ davam edirdi"
        case (.paused, .english): "the policy was paused"
        case (.paused, .azerbaijani): "siyasət müvəqqəti dayandırılmışdı"
        case (.failing, .english): "runs rest after failures"
        case (.failing, .azerbaijani): "uğursuzluqlardan sonra icralara fasilə verilib"
        case (.window, .english): "no window was open"
        case (.window, .azerbaijani): "icazə verilən vaxt pəncərəsi bağlı idi"
        case (.backlog, .english): "too many runs were waiting"
        case (.backlog, .azerbaijani): "həddindən artıq icra növbədə idi"
        case (.withdrawn, .english): "the policy was withdrawn"
        case (.withdrawn, .azerbaijani): "siyasət ləğv edilib"
        }
    }
}

/// One attempt at the run of a policy for one due instant.
package struct RunIdentity: Sendable, Hashable, Codable {
    package let policy: String
    /// Microseconds since 1970.
    package let due: Int64
    /// From 1.
    package let attempt: Int

    package init(policy: String, due: Int64, attempt: Int) {
        self.policy = policy
        self.due = due
        self.attempt = attempt
    }
}
