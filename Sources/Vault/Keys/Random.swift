package import Domain
import Glibc

/// Random bytes straight from the kernel for every request: no state in this process that a fork or a restored snapshot
/// of a virtual machine could repeat.
package enum Random {
    /// Does not return when the kernel has no randomness to give, for nothing may then be sealed.
    package static func fill(_ out: UnsafeMutableRawBufferPointer) {
        // The kernel answers requests of up to 256 bytes in full.
        for start in stride(from: 0, to: out.count, by: 256) {
            guard let at = out.baseAddress?.advanced(by: start) else { return }
            guard getentropy(at, min(out.count - start, 256)) == 0 else {
                fatalError("the kernel gives no random bytes (error \(errno))")
            }
        }
    }

    package static func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            fill(UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[0..<count]))
            filled = count
        }
    }

    package static func digest() -> Digest {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { fill($0) }
        return Digest(words: words)
    }
}
