// Keys: what is secret, who may open what, and how a secret is derived, wrapped, printed and read back.
//
// Invariants:
// 1. A secret of 32 bytes lives in a ``Secret``: memory that no core dump and no forked child sees and that is wiped
//    when the last reference goes. Copies outside are transient and wiped where our code holds them.
// 2. No secret has a textual form but the recovery code of ``KeyText``, and nothing here is `Codable`.
// 3. Every derivation and wrapping binds the vault id and a label of its own, so that nothing sealed for one purpose or
//    vault opens for another.
// 4. A key set is a value: a change makes a new one of the next generation. The last reader and the last administrator
//    cannot be removed.
// 5. Derivation costs read from storage are capped before any work is done.

import CLinux
import COpenSSL
package import Domain
import Synchronization

/// 32 secret bytes, alone in memory that is never dumped, wiped on fork, locked where the process may, and wiped at the
/// end.
///
/// In a forked child every secret reads as zeros; ``isWiped`` tells, and nothing may be sealed with it.
package final class Secret: @unchecked Sendable {
    // SAFETY: `slot` is written only by the initialiser, before any other thread can know of the instance.
    private let slot: UnsafeMutableRawPointer

    package static let byteCount = 32

    /// `body` gets 32 zero bytes to fill. Fails when the kernel refuses protected memory, or as `body` does.
    package init(filling body: (UnsafeMutableRawBufferPointer) throws(VaultError) -> Void) throws(VaultError) {
        slot = try SecretArena.take()
        try body(UnsafeMutableRawBufferPointer(start: slot, count: Self.byteCount))
    }

    /// Copies exactly 32 bytes; wiping the original is up to the caller.
    package convenience init(copying bytes: UnsafeRawBufferPointer) throws(VaultError) {
        guard bytes.count == Self.byteCount else {
            throw VaultError(.invalidInput, "a secret has \(Self.byteCount) bytes, not \(bytes.count)")
        }
        try self.init { out throws(VaultError) in out.copyMemory(from: bytes) }
    }

    package convenience init(copying bytes: [UInt8]) throws(VaultError) {
        try self.init { out throws(VaultError) in
            guard bytes.count == Self.byteCount else {
                throw VaultError(.invalidInput, "a secret has \(Self.byteCount) bytes, not \(bytes.count)")
            }
            out.copyBytes(from: bytes)
        }
    }

    package static func random() throws(VaultError) -> Secret {
        try Secret { out throws(VaultError) in Random.fill(out) }
    }

    deinit { SecretArena.give(back: slot) }

    /// The bytes, valid only inside `body`.
    package func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try body(UnsafeRawBufferPointer(start: slot, count: Self.byteCount))
    }

    /// Whether the bytes are all zero: this is a forked child, and the secret stayed with its parent.
    package var isWiped: Bool {
        var bits: UInt64 = 0
        for at in stride(from: 0, to: Self.byteCount, by: 8) { bits |= slot.load(fromByteOffset: at, as: UInt64.self) }
        return bits == 0
    }
}

extension Secret: Equatable {
    /// In time that does not depend on the bytes.
    package static func == (a: Secret, b: Secret) -> Bool { CRYPTO_memcmp(a.slot, b.slot, byteCount) == 0 }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "secret" }
    package var debugDescription: String { "secret" }
    package var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}

/// Hands out slots of 32 bytes from protected pages. Pages are kept for reuse: their number is that of the most secrets
/// held at once, 128 to a page, and the limit of locked memory (often 64 KiB) holds 2048.
private enum SecretArena {
    private static let pageBytes = 4096
    /// Addresses of slots that are free and zero.
    private static let free = Mutex<[UInt]>([])

    static func take() throws(VaultError) -> UnsafeMutableRawPointer {
        let address = free.withLock { free -> UInt? in
            if let slot = free.popLast() { return slot }
            guard let page = qala_map_secret_pages(pageBytes) else { return nil }
            let start = UInt(bitPattern: page)
            for offset in stride(from: UInt(Secret.byteCount), to: UInt(pageBytes), by: Secret.byteCount) {
                free.append(start + offset)
            }
            return start
        }
        guard let address, let slot = UnsafeMutableRawPointer(bitPattern: address) else {
            throw VaultError(
                .io, "the kernel gave no protected memory for keys",
                hint: "Check that memory is free and that the kernel is Linux 4.14 or later.")
        }
        return slot
    }

    static func give(back slot: UnsafeMutableRawPointer) {
        qala_wipe(slot, Secret.byteCount)
        let address = UInt(bitPattern: slot)
        free.withLock { $0.append(address) }
    }
}

/// Wipes transient copies of secrets.
package enum Wipe {
    package static func bytes(_ bytes: UnsafeMutableRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        qala_wipe(start, bytes.count)
    }

    /// In place while the array has one owner; otherwise only this reference is replaced by zeros.
    package static func array(_ array: inout [UInt8]) {
        array.withUnsafeMutableBytes { bytes($0) }
    }
}

extension [UInt8] {
    /// `withUnsafeBytes` that keeps the type of the error.
    package func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try withUnsafeBufferPointer { buffer throws(E) in try body(UnsafeRawBufferPointer(buffer)) }
    }
}

extension Digest {
    /// The 32 bytes on the stack, valid only inside `body`.
    package func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        var big = (words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian)
        return try withUnsafeMutableBytes(of: &big) { bytes throws(E) in try body(UnsafeRawBufferPointer(bytes)) }
    }
}
