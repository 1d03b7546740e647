import Domain

/// The programs that a policy wants beside a run.
struct RunHooks {
    let policy: Policy
    let interrupt: InterruptFlag

    /// In order; the first that fails ends the run.
    func before() throws {
        for hook in policy.hooks.before {
            if let failure = run(hook, outcome: nil) {
                if interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
                throw OperationError(
                    .failed, "the hook before the run failed: \(failure)",
                    hint: "Nothing was archived; mend what the hook complains about.")
            }
        }
    }

    /// In order, whatever became of the run; what failed, for people.
    func after(_ outcome: String) -> [String] {
        policy.hooks.after.compactMap { hook in
            run(hook, outcome: outcome).map { "the hook after the run failed: \($0)" }
        }
    }

    /// Nil when it ended well. An interrupt ends only a hook before the run.
    private func run(_ hook: Policy.Hook, outcome: String?) -> String? {
        var environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "QALA_POLICY=\(policy.name)"]
        if let outcome { environment.append("QALA_OUTCOME=\(outcome)") }
        let program = Program(
            command: hook.command, environment: environment, timeout: Double(hook.timeout.seconds),
            timeoutText: "\(hook.timeout)")
        return program.run { interrupt.isSet && outcome == nil }
    }
}
