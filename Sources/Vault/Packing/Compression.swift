import CZstd

/// One zstd compression context, reused; confined to one thread.
final class Compressor {
    private let context: OpaquePointer
    /// Sample for the entropy probe and what it packs to.
    private let sample = RawBuffer(count: 24 << 10)
    private let sampleOut = RawBuffer(count: 32 << 10)
    let level: Int32
    /// Only behind content that did not shrink is a sample worth its time.
    private var probes = false

    init(level: Int32) throws(VaultError) {
        guard let context = ZSTD_createCCtx() else { throw VaultError(.limit, "no memory for a zstd context") }
        self.context = context
        self.level = level
    }

    deinit { ZSTD_freeCCtx(context) }

    static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }

    /// Compresses into `out`; nil when the result would not be at least 2 % smaller, or when a sample says so.
    func compress(_ plain: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer) -> Int? {
        guard plain.count >= 64, !(probes && looksIncompressible(plain)) else { return nil }
        let count = ZSTD_compressCCtx(context, out.baseAddress, out.count, plain.baseAddress, plain.count, level)
        probes = ZSTD_isError(count) != 0 || count >= plain.count - plain.count / 50
        return probes ? nil : count
    }

    /// Three samples of 8 KiB, packed at the fastest level: what does not shrink there by 2 % does not shrink.
    private func looksIncompressible(_ plain: UnsafeRawBufferPointer) -> Bool {
        let part = 8 << 10
        guard plain.count >= 16 * part, let source = plain.baseAddress else { return false }
        for index in 0..<3 {
            let at = (plain.count - part) / 2 * index
            sample.bytes.baseAddress?.advanced(by: index * part).copyMemory(from: source + at, byteCount: part)
        }
        let packed = ZSTD_compressCCtx(
            context, sampleOut.bytes.baseAddress, sampleOut.bytes.count, sample.bytes.baseAddress, 3 * part, 1)
        return ZSTD_isError(packed) != 0 || packed > 3 * part - 3 * part / 50
    }
}

/// One zstd decompression context that bounds window and output; confined to one thread.
final class Decompressor {
    private let context: OpaquePointer
    private static let windowLogLimit: Int32 = 23

    init() throws(VaultError) {
        guard let context = ZSTD_createDCtx() else { throw VaultError(.limit, "no memory for a zstd context") }
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Self.windowLogLimit)
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Decompresses one frame that must fill `out` exactly.
    func decompress(
        _ packed: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer
    ) throws(VaultError) {
        // In one piece zstd needs no window and would take any, several frames in a row, and frames that hold nothing.
        guard ZSTD_findFrameCompressedSize(packed.baseAddress, packed.count) == packed.count,
            Self.windowFits(packed, in: out.count)
        else { throw .damaged("a chunk is not packed as one frame within the limits") }
        let count = ZSTD_decompressDCtx(context, out.baseAddress, out.count, packed.baseAddress, packed.count)
        guard ZSTD_isError(count) == 0, count == out.count else {
            throw .damaged("a chunk does not decompress to its length")
        }
    }

    /// Whether a reader that decompresses piece by piece needs a window of the limit at most, or no more than the chunk (RFC
    /// 8878, 3.1.1.1: a frame of a single segment has its content for a window).
    private static func windowFits(_ packed: UnsafeRawBufferPointer, in count: Int) -> Bool {
        guard packed.count > 6 else { return false }
        let magic = UInt32(littleEndian: packed.loadUnaligned(as: UInt32.self))
        guard magic == 0xFD2F_B528 else { return false }
        if packed[4] & 0x20 != 0 { return count <= PackFormat.chunkLimit }
        let exponent = Int32(packed[5] >> 3) + 10
        let mantissa = Int(packed[5] & 7)
        return exponent < windowLogLimit || exponent == windowLogLimit && mantissa == 0
    }
}

/// Uninitialised memory with a fixed address, page-aligned, freed with its last reference.
///
/// SAFETY: filled by one thread before it is handed on, and only read from then on; the queues between threads order that.
package final class RawBuffer: @unchecked Sendable {
    package let bytes: UnsafeMutableRawBufferPointer

    package init(count: Int) {
        bytes = .allocate(byteCount: max(count, 1), alignment: 4096)
    }

    deinit { bytes.deallocate() }

    package var readable: UnsafeRawBufferPointer { UnsafeRawBufferPointer(bytes) }

    package func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[range])
    }
}
