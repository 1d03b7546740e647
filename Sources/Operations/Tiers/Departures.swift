import Domain
import Vault

/// The archives of a vault whose online copies went while volumes keep them, until the last of these was destroyed.
///
/// For the log they are disposed of. That volumes keep them says the note of the decision, which is sealed, and in the clear
/// the custody log of each of those volumes, which names the note.
struct Departures {
    /// In the order of the log.
    private(set) var archives: [DisposedArchive] = []
    /// The volumes that the decision about each of them named, in the register or not.
    private(set) var named: [Digest: Set<String>] = [:]

    /// All volumes that the decisions named.
    var volumes: Set<String> { named.values.reduce(into: []) { $0.formUnion($1) } }

    /// Where a key is at hand, and with `readsNotes`, notes are read that no custody log names: a register that was lost hides
    /// nothing then.
    /// `records`: all that the register of volumes has.
    init(_ open: OpenVault, _ records: [VolumeRecord], readsNotes: Bool = true) throws {
        let log = open.vault.log
        guard !log.disposed.isEmpty else { return }
        var keeping = try VolumeRegister(open.workplace).departures()
        let notes = Dictionary(log.disposed.values.map { ($0.disposal.note.digest, $0.disposal.note) }) { $1 }
        let unknown = notes.filter { keeping[$0.key] == nil }
        if readsNotes, open.hasKeyAtHand, !unknown.isEmpty {
            let unlocked = try open.unlock()
            for (digest, note) in unknown {
                // A note that is lost, or not for this reader, tells nothing and hinders nothing.
                if let named = (try? Reason.read(note, open.vault, unlocked))?.volumes { keeping[digest] = Set(named) }
            }
        }
        let ended = records.endedArchives
        for archive in log.committed where !ended.contains(archive.id.hex) {
            guard let gone = log.disposed[archive.id], let volumes = keeping[gone.disposal.note.digest] else {
                continue
            }
            archives.append(gone)
            named[archive.id] = volumes
        }
    }
}

extension OpenVault {
    /// For what needs no key: one that does not open this vault hinders nothing.
    func departures(_ records: [VolumeRecord]) throws -> Departures {
        do { return try Departures(self, records) } catch let error as any Failure where error.kind != .interrupted {
            return try Departures(self, records, readsNotes: false)
        }
    }
}
