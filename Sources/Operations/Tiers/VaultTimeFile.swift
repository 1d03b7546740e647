import Domain
import FoundationEssentials
import Glibc
import Vault

/// Keeps vault time between one use and the next: `STATE/clock.json`.
///
/// A state that has none yet begins with the newest time that the vault's log tells, as if the machine had been off since: a
/// clock that was set far ahead of it is not believed.
enum VaultTimeFile {
    private static let limit = 4096
    private static let patience = 2.0

    static func reading(_ clock: DaemonClock) -> VaultClock.Reading {
        let read = clock.read()
        return VaultClock.Reading(wall: read.wall / 1_000_000, boot: read.boot / 1_000_000, bootID: clock.bootID)
    }

    /// Advances vault time to now. `newest` is the time of the newest record of the vault's log.
    static func now(state: String, newest: Int64, clock: DaemonClock = .ofMachine()) throws -> VaultTime {
        try change(state: state, clock: clock, beginning: { beginning(newest, $0) }) { time, _ in time.time }
    }

    /// Vault time as it is at `reading`; nil where none is kept yet. Nothing is written.
    static func look(
        state: String, clock: DaemonClock = .ofMachine()
    ) throws -> (time: VaultClock?, reading: VaultClock.Reading) {
        var time = try known(state + "/clock.json")
        let reading = reading(clock)
        time?.advance(to: reading)
        return (time, reading)
    }

    /// Advances vault time to now and lets `body` change it. What `body` throws leaves the file as it was. Without
    /// `beginning` there must be a file.
    static func change<Result>(
        state: String, clock: DaemonClock = .ofMachine(), beginning: ((VaultClock.Reading) -> VaultClock)? = nil,
        _ body: (inout VaultClock, VaultClock.Reading) throws -> Result
    ) throws -> Result {
        try StateFile.makeDirectory(state)
        let lock = try locked(state + "/clock.lock")
        defer { withExtendedLifetime(lock) {} }
        // Not before: who waited for the lock would set back the boot time that is kept.
        let reading = reading(clock)
        let path = state + "/clock.json"
        guard var time = try known(path) ?? beginning?(reading) else {
            throw OperationError(
                .notFound, "no vault time is kept in \(state) yet",
                hint: "It begins with the daemon, or with `qala tiers`.")
        }
        time.advance(to: reading)
        let result = try body(&time, reading)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try StateFile.write(path, Array(try encoder.encode(time)))
        return result
    }

    private static func known(_ path: String) throws -> VaultClock? {
        guard let bytes = try StateFile.read(path, limit: limit) else { return nil }
        do { return try JSONDecoder().decode(VaultClock.self, from: Data(bytes)) } catch {
            throw OperationError(
                .damaged, "\(path) is damaged: \(error)",
                hint: "Nothing is disposed of by it. Move the file away; vault time then begins with the vault's log.")
        }
    }

    private static func beginning(_ newest: Int64, _ reading: VaultClock.Reading) -> VaultClock {
        guard newest > 0 else { return VaultClock(reading) }
        // A record of this very run of the machine: no more time has passed since than the machine ran, nor more than the
        // clock says. Counted from the start of the machine, vault time would begin ahead of the clock.
        let since = max(0, reading.wall.subtractingClamped(newest))
        if since <= reading.boot {
            return VaultClock(.init(wall: newest, boot: reading.boot - since, bootID: reading.bootID))
        }
        return VaultClock(.init(wall: newest, boot: 0, bootID: ""))
    }

    private static func locked(_ path: String) throws -> FileLock {
        if let lock = try FileLock.acquire(path: path, patience: patience) { return lock }
        throw OperationError(.tryAgain, "vault time is in use by another process", hint: "Try again.")
    }
}
