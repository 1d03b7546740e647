import Domain
import Vault

/// The archives of a vault whose online copies went while volumes keep them, until the last of these was destroyed.
///
/// For the log they are disposed of. That volumes keep them says the note of the decision, which is sealed, and in the clear
/// the custody log of each of those volumes, which names the note.
struct Departures {
    /// In the order of the log.
    private(set) var archives: [DisposedArchive] = []
    /// The volumes that the decisions named, in the register or not.
    private(set) var volumes: Set<String> = []

    /// Where a key is at hand, notes are read that no custody log names: a register that was lost hides nothing then.
    /// `records`: all that the register has.
    init(_ open: OpenVault, _ records: [VolumeRecord]) throws {
        let log = open.vault.log
        guard !log.disposed.isEmpty else { return }
        var keeping = try VolumeRegister(open.workplace).departures()
        let notes = Dictionary(log.disposed.values.map { ($0.disposal.note.digest, $0.disposal.note) }) { $1 }
        let unknown = notes.filter { keeping[$0.key] == nil }
        if open.hasKeyAtHand, !unknown.isEmpty {
            let unlocked = try open.unlock()
            for (digest, note) in unknown {
                // A note that is lost, or not for this reader, tells nothing and hinders nothing.
                if let named = (try? Reason.read(note, open.vault, unlocked))?.volumes { keeping[digest] = Set(named) }
            }
        }
        let ended = records.endedArchives
        for archive in log.committed where !ended.contains(archive.id.hex) {
            guard let gone = log.disposed[archive.id], let named = keeping[gone.disposal.note.digest] else { continue }
            archives.append(gone)
            volumes.formUnion(named)
        }
    }
}
