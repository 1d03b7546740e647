import API
import Domain
import Operations

/// What the command at hand tries, in the words of the register of problems.
///
/// A failure opens a problem as one of the daemon does, and what passes closes what failed before, whoever did it. What a person
/// asked wrongly, interrupted, or has no key for is no failure of what was tried.
struct Trial {
    /// What a failure is told of, and what a success answers.
    var failing: [String]
    var passing: [String]
    /// A check that could not be made is its caller's to see: of those only damage is a problem.
    var isCheck: Bool
    /// What was found.
    var message = ""

    /// A run of a policy.
    static func run(of policy: String) -> Trial { Trial(failing: [policy], passing: [policy], isCheck: false) }

    /// Something that reads what `vault` stores, and proves nothing about the whole of it.
    static func reading(_ vault: String) -> Trial {
        Trial(failing: [ToldOutcome.verification(of: vault, opened: true)], passing: [], isCheck: true)
    }

    func ending(_ status: ExitStatus) -> ToldOutcome.Ending? {
        switch status {
        case .done: .done
        case .damaged: .damaged
        case .partial: isCheck ? nil : .partial
        case .failed, .noVault, .notFound, .denied: isCheck ? nil : .failed
        case .inUse, .wrongKey, .usage, .daemonDown, .tryAgain, .badPolicy, .interrupted: nil
        }
    }
}

extension Session {
    /// At the end of a command. That the register cannot be told changes nothing of how the command ended.
    func tellOutcome(_ status: ExitStatus, _ error: (any Error)? = nil) {
        guard let trial, let ending = trial.ending(status) else { return }
        let subjects = ending == .done ? trial.passing : trial.failing
        guard !subjects.isEmpty else { return }
        let message = error.map { ($0 as? any Failure)?.message ?? "\($0)" } ?? trial.message
        do { try ToldOutcomes.tell(ToldOutcome(subjects, ending, message), state: try statePath()) } catch {
            // Who may not write the state has no part in its registers.
            if Self.kind(of: error) == .denied { return }
            warn(AuditWords.problemNotTold(language, (error as? any Failure)?.message ?? "\(error)"))
        }
    }

    /// Beside the answer, on standard error.
    func warn(_ text: String) {
        do {
            if isJSON {
                try note.bytes(try JSONText.encode(["warning": text]))
                try note.line("")
            } else {
                try note.line(Text.warningPrefix(language, [Printable.text(text)]))
            }
            try note.flush()
        } catch {
            // Standard error is gone too: nobody is left to be told.
        }
    }
}
