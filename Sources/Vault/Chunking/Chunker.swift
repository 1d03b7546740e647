// Invariants of chunking:
// - Where a chunk ends depends on the key, the parameters and the bytes of that chunk alone: never on how the caller
//   buffers, on threads or on the machine.
// - Every chunk of a file is longer than the minimum and at most the maximum, except the last one, which has at least
//   one byte.
// - The cut points are keyed, so that sizes alone do not reveal known content to who lacks the key.

package import Domain

/// Sizes of chunks, in bytes. Part of a vault's genesis: with other sizes nothing deduplicates against older chunks.
package struct ChunkerParameters: Sendable, Equatable {
    /// Bytes at the start of a chunk in which no cut is looked for.
    package let minimum: Int
    /// The size around which chunks gather; a power of two.
    package let normal: Int
    package let maximum: Int

    /// 1 MiB, 2 MiB, 4 MiB: the minimum is not scanned, and the maximum bounds the buffers of every thread.
    package static let standard = ChunkerParameters(minimum: 1 << 20, normal: 2 << 20, maximum: 4 << 20)

    /// - Precondition: ``areValid(minimum:normal:maximum:)``, which is to be asked first about sizes from storage.
    package init(minimum: Int, normal: Int, maximum: Int) {
        precondition(Self.areValid(minimum: minimum, normal: normal, maximum: maximum), "chunk sizes do not fit")
        self.minimum = minimum
        self.normal = normal
        self.maximum = maximum
    }

    /// Whether 0 < minimum < normal < maximum <= 2^30, and normal is a power of two from 64 on.
    package static func areValid(minimum: Int, normal: Int, maximum: Int) -> Bool {
        minimum > 0 && minimum < normal && normal < maximum && maximum <= 1 << 30 && normal >= 64
            && normal.nonzeroBitCount == 1
    }
}

/// Cuts files where their content says so (FastCDC: gear hash, normalised chunking), with a gear table made from a key.
///
/// Definition. Gear entry `i` (0...255) is the first 8 bytes, little-endian, of HMAC-SHA-256(key, "qala/v1/gear" ‖ byte
/// i). Let `k` = log2(normal). For the bytes `b[0], b[1] …` from the start of a chunk to the end of the file:
///
/// ```
/// n := min(maximum, number of bytes)
/// if n <= minimum: the chunk is n bytes long
/// f := 0
/// for i in minimum ..< n:
///     f := (f << 1) + gear[b[i]]                       modulo 2^64
///     z := k + 2 if i < normal, else k - 2
///     if the z highest bits of f are all zero: the chunk is i + 1 bytes long
/// the chunk is n bytes long
/// ```
///
/// An empty rest has no chunk: the length is 0.
package struct Chunker: Sendable {
    package let parameters: ChunkerParameters
    /// 256 entries.
    private let gear: [UInt64]
    /// A fingerprint below the limit cuts: before the normal size, from there on.
    private let strictLimit: UInt64
    private let looseLimit: UInt64

    package init(key: Digest, parameters: ChunkerParameters = .standard) {
        self.parameters = parameters
        let bits = parameters.normal.trailingZeroBitCount
        strictLimit = 1 << (64 - (bits + 2))
        looseLimit = 1 << (64 - (bits - 2))
        let hmac = IdentityHasher(suite: .hmacSHA256, key: key)
        let label = Array("qala/v1/gear".utf8)
        gear = (0...255).map { hmac.identity(of: label + [UInt8($0)]).words.0.byteSwapped }
    }

    /// Length of the first chunk of `bytes`; 0 when there are none.
    ///
    /// - Precondition: unless `bytes` reach the end of the file, there are at least `parameters.maximum` of them.
    package func firstCut(in bytes: UnsafeRawBufferPointer) -> Int {
        let count = min(bytes.count, parameters.maximum)
        guard count > parameters.minimum, let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        else { return count }
        return gear.withUnsafeBufferPointer { gear in
            guard let table = gear.baseAddress else { return count }
            var fingerprint: UInt64 = 0
            let turn = min(parameters.normal, count)
            if let cut = Self.scan(start, parameters.minimum, turn, table, strictLimit, &fingerprint) { return cut }
            return Self.scan(start, turn, count, table, looseLimit, &fingerprint) ?? count
        }
    }

    /// Takes the bytes from `first` up to `end` into the fingerprint, until it falls below `limit`: then the length of
    /// the chunk, otherwise nil.
    ///
    /// Eight bytes per turn, each loaded by itself: a byte then costs two loads, one shift-and-add and one comparison,
    /// fewer instructions than taking words apart.
    @inline(__always)
    private static func scan(
        _ bytes: UnsafePointer<UInt8>, _ first: Int, _ end: Int, _ gear: UnsafePointer<UInt64>, _ limit: UInt64,
        _ fingerprint: inout UInt64
    ) -> Int? {
        var print = fingerprint
        var at = first
        while end &- at >= 8 {
            let next = bytes + at
            print = (print &<< 1) &+ gear[Int(next[0])]
            if print < limit { return at &+ 1 }
            print = (print &<< 1) &+ gear[Int(next[1])]
            if print < limit { return at &+ 2 }
            print = (print &<< 1) &+ gear[Int(next[2])]
            if print < limit { return at &+ 3 }
            print = (print &<< 1) &+ gear[Int(next[3])]
            if print < limit { return at &+ 4 }
            print = (print &<< 1) &+ gear[Int(next[4])]
            if print < limit { return at &+ 5 }
            print = (print &<< 1) &+ gear[Int(next[5])]
            if print < limit { return at &+ 6 }
            print = (print &<< 1) &+ gear[Int(next[6])]
            if print < limit { return at &+ 7 }
            print = (print &<< 1) &+ gear[Int(next[7])]
            if print < limit { return at &+ 8 }
            at &+= 8
        }
        while at < end {
            print = (print &<< 1) &+ gear[Int(bytes[at])]
            at &+= 1
            if print < limit { return at }
        }
        fingerprint = print
        return nil
    }
}
