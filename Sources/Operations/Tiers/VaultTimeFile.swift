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

    /// Advances vault time to now. `newest` is the time of the newest record of the vault's log.
    static func now(state: String, newest: Int64, clock: DaemonClock = .ofMachine()) throws -> VaultTime {
        let read = clock.read()
        let reading = VaultClock.Reading(wall: read.wall / 1_000_000, boot: read.boot / 1_000_000, bootID: clock.bootID)
        try StateFile.makeDirectory(state)
        let lock = try locked(state + "/clock.lock")
        defer { withExtendedLifetime(lock) {} }
        let path = state + "/clock.json"
        var clock = try known(path) ?? beginning(newest, reading)
        clock.advance(to: reading)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try StateFile.write(path, Array(try encoder.encode(clock)))
        return clock.time
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
