import CLinux

/// What every process of this product does first.
package enum ProcessStart {
    /// Keeps what this process holds in memory from core dumps and from debuggers of the same user, and bounds what its
    /// heap keeps. Called once at the start, before any key is opened. Under systemd the unit's limits say the same again.
    package static func prepare() throws(VaultError) {
        qala_return_large_memory()
        let result = qala_harden_process()
        guard result == 0 else {
            throw VaultError(
                .io, "core dumps could not be disabled",
                hint:
                    "The kernel refused the request; check the limits and filters that this process was started with.",
                underlying: "error \(-result)")
        }
    }
}
