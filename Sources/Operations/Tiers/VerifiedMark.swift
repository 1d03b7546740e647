import FoundationEssentials
import Glibc
import Vault

/// Up to which record of its log this host has read back everything in a vault, and found it whole.
struct VerifiedMark: Codable {
    private static let limit = 4096

    var record: UInt64
    /// Seconds since 1970, by the host's clock.
    var time: Int64

    private static func path(_ vault: Vault) -> String { vault.host.directory + "/verified.json" }

    /// Takes note of a verification of all data. Where it found damage nothing counts as verified any more. A note that is lost only keeps
    /// archives longer, so what goes wrong here is passed over.
    static func keep(_ vault: Vault, isWhole: Bool) {
        guard vault.host.denial == nil, vault.log.count > 0 else { return }
        guard isWhole else {
            unlink(path(vault))
            return
        }
        let mark = VerifiedMark(record: vault.log.count - 1, time: Int64(clamping: WallTime.seconds()))
        guard let bytes = try? JSONEncoder().encode(mark) else { return }
        try? StateFile.write(path(vault), Array(bytes))
    }

    static func read(_ vault: Vault) -> VerifiedMark? {
        guard let bytes = try? StateFile.read(path(vault), limit: limit),
            let mark = try? JSONDecoder().decode(VerifiedMark.self, from: Data(bytes)), mark.time >= 0
        else { return nil }
        return mark
    }
}
