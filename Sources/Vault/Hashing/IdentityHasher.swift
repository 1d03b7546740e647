// Invariants of hashing:
// - An identity is keyed and tells nothing about content to who lacks the domain's key. A digest is unkeyed and can be
//   checked by anybody. They never stand for each other.
// - The instruction set in use never changes a result.
// - Hashing reads memory and cannot fail; where libcrypto has no memory left the process stops instead of returning a
//   wrong identity.

import CBlake3
import COpenSSL
package import Domain

/// Computes keyed identities of chunks and file contents within one domain.
package struct IdentityHasher: Sendable {
    package let suite: HashSuite
    private let key: Digest

    package init(suite: HashSuite, key: Digest) {
        self.suite = suite
        self.key = key
    }

    package func identity(of bytes: UnsafeRawBufferPointer) -> Digest {
        switch suite {
        case .blake3:
            withKey { key in
                Digest.filled { out in qala_blake3(key, bytes.baseAddress, bytes.count, out) }
            }
        case .hmacSHA256:
            withKey { key in
                Digest.filled { out in
                    var length: UInt32 = 0
                    let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    let done = HMAC(EVP_sha256(), key, Int32(Digest.byteCount), start, bytes.count, out, &length)
                    guard done != nil, length == UInt32(Digest.byteCount) else {
                        fatalError("libcrypto cannot compute HMAC-SHA-256")
                    }
                }
            }
        }
    }

    package func identity(of bytes: [UInt8]) -> Digest { bytes.withUnsafeBytes { identity(of: $0) } }

    /// Appends to `out` the identities of consecutive parts of one buffer, in order. Many short parts together are
    /// hashed several times faster than one by one.
    ///
    /// - Precondition: no length is negative, and they sum to `bytes.count`.
    package func identities(of bytes: UnsafeRawBufferPointer, lengths: [Int], into out: inout [Digest]) {
        var total = 0
        for length in lengths {
            precondition(length >= 0 && length <= bytes.count - total, "parts exceed the buffer")
            total += length
        }
        precondition(total == bytes.count, "parts do not cover the buffer")
        out.reserveCapacity(out.count + lengths.count)
        var done = 0
        var offset = 0
        while done < lengths.count {
            let part = lengths[done..<min(done + Self.partsAtOnce, lengths.count)]
            let size = part.reduce(0, +)
            append(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + size]), part, to: &out)
            offset += size
            done += part.count
        }
    }

    /// Bounds the scratch memory of ``identities(of:lengths:into:)``.
    private static let partsAtOnce = 256

    private func append(_ bytes: UnsafeRawBufferPointer, _ lengths: ArraySlice<Int>, to out: inout [Digest]) {
        guard suite == .blake3 else {
            var offset = 0
            for length in lengths {
                out.append(identity(of: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])))
                offset += length
            }
            return
        }
        let count = lengths.count
        withUnsafeTemporaryAllocation(of: UnsafePointer<UInt8>?.self, capacity: count) { starts in
            var next = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            for (slot, length) in lengths.enumerated() {
                starts.initializeElement(at: slot, to: next)
                next = next.map { $0 + length }
            }
            withUnsafeTemporaryAllocation(byteCount: count * Digest.byteCount, alignment: 64) { digests in
                lengths.withUnsafeBufferPointer { sizes in
                    sizes.withMemoryRebound(to: UInt.self) { sizes in
                        withKey { key in
                            let target = digests.baseAddress?.assumingMemoryBound(to: UInt8.self)
                            qala_blake3_many(key, starts.baseAddress, sizes.baseAddress, count, target)
                        }
                    }
                }
                let read = UnsafeRawBufferPointer(digests)
                for slot in 0..<count {
                    let piece = UnsafeRawBufferPointer(rebasing: read[slot * Digest.byteCount..<read.count])
                    guard let digest = Digest(piece) else { fatalError("a digest lies outside its buffer") }
                    out.append(digest)
                }
            }
        }
    }

    /// The 32 bytes of the key in order of storage, for the length of `body`.
    private func withKey<Result>(_ body: (UnsafePointer<UInt8>?) -> Result) -> Result {
        withUnsafeTemporaryAllocation(byteCount: Digest.byteCount, alignment: 8) { buffer in
            key.store(to: buffer)
            defer { OPENSSL_cleanse(buffer.baseAddress, buffer.count) }
            return body(buffer.baseAddress.map { UnsafePointer($0.assumingMemoryBound(to: UInt8.self)) })
        }
    }
}

extension Digest {
    /// The digest that `body` writes to the 32 bytes it is given; it must write all of them.
    static func filled(_ body: (UnsafeMutablePointer<UInt8>?) -> Void) -> Digest {
        withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 8) { buffer in
            body(buffer.baseAddress?.assumingMemoryBound(to: UInt8.self))
            guard let digest = Digest(UnsafeRawBufferPointer(buffer)) else { fatalError("a digest has 32 bytes") }
            return digest
        }
    }
}
