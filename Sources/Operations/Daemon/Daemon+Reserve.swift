import Domain

/// The reserve of the state directory, as the daemon keeps it (`docs/daemon.md`).
extension Daemon {
    /// Microseconds between two looks.
    private static let lookEvery: Int64 = 60_000_000

    private var reserve: Reserve { .ofState(settings.statePath, bytes: settings.reserveBytes) }

    /// At a start and with every turn of the work loop: makes the reserve where there is room for it.
    func keepReserve() {
        let now = clock.read().boot
        if let looked = reserveView.looked, now - looked < Self.lookEvery { return }
        reserveView.looked = now
        // A run that fills the disk would only have the more of it.
        guard settings.reserveBytes > 0, going.isEmpty || reserve.standing == .held else { return }
        let isHeld = reserve.keep()
        if isHeld, reserveView.isMissing { tell(.notice, "the reserve is kept again: \(reserve.path)") }
        if !isHeld, !reserveView.isMissing {
            let size = Readable.size(settings.reserveBytes * Reserve.plenty)
            tell(.warning, "there is no room for the reserve \(reserve.path): \(size) must be free")
        }
        reserveView.isMissing = !isHeld
    }

    /// Writes to the state. Where there is no room, the reserve is given back and it is tried once more; not while a run goes
    /// on, which would take what the end of it needs: until then what could not be written waits.
    func writing<R>(_ body: () throws -> R) throws -> R {
        do { return try body() } catch let error as any Failure where error.isOutOfSpace {
            guard going.isEmpty, reserve.give() else { throw error }
            noteReserveGiven(error.message)
            return try body()
        }
    }

    /// A run met a full disk, and its thread gave back what was kept for that.
    func noteEnd(of error: any Error) {
        guard let failure = error as? any Failure, failure.isOutOfSpace, reserve.standing == .given else { return }
        noteReserveGiven(failure.message)
    }

    private func noteReserveGiven(_ reason: String) {
        guard !reserveView.isMissing else { return }
        reserveView.isMissing = true
        tell(.error, "the reserve \(reserve.path) was given back, because there is no room left: \(reason)")
    }
}

/// What the daemon remembers of its reserve.
struct ReserveView {
    /// On the clock that only advances.
    var looked: Int64?
    var isMissing = false
}
