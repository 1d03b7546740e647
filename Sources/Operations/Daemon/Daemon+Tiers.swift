import Domain

/// Vault time goes on while the daemon runs, so that what is decided by it later is decided by time that has passed.
extension Daemon {
    /// Microseconds.
    private static let timeInterval: Int64 = 60_000_000
    /// Seconds between vault time and a clock that is sound: vault time is late by times in which the machine was off.
    private static let soundDistance = VaultClock.fullAllowance

    func advanceVaultTime() {
        let reading = clock.read()
        if let advanced, reading.boot - advanced < Self.timeInterval { return }
        advanced = reading.boot
        let newest = runs.last { $0.archive != nil }.flatMap { $0.ended }.flatMap(TimeText.parse) ?? 0
        do {
            let time = try writing {
                try VaultTimeFile.now(state: settings.statePath, newest: newest, clock: clock)
            }
            if !time.isTrusted, isTimeTrusted {
                let text = "vault time is not trusted: nothing expires until `qala clock confirm`"
                tell(.warning, text)
                registers?.note(ProblemLedger.Event.clock(message: text), at: now)
            }
            if time.isTrusted, !isTimeTrusted { tell(.notice, "vault time is trusted again: two persons confirmed it") }
            isTimeTrusted = time.isTrusted
            // As far as a machine can tell by itself.
            let distance = abs((reading.wall / 1_000_000).subtractingClamped(time.seconds))
            if time.isTrusted, distance <= Self.soundDistance {
                registers?.note(ProblemLedger.Event.clockSound, at: now)
            }
            alarmView.stateDamage["clock.json"] = nil
        } catch {
            // In the alarm as long as it lasts, in the journal once.
            let words = Self.words(error)
            if alarmView.stateDamage["clock.json"] != words { tell(.error, "vault time cannot be kept: \(words)") }
            alarmView.stateDamage["clock.json"] = words
        }
    }
}
