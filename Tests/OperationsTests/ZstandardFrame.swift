@testable import Vault

/// Frames of zeros put together by hand: one run-length block after another.
enum ZstandardFrame {
    /// Without `windowLog` a single segment, whose window is its content.
    static func ofZeros(_ count: Int, windowLog: UInt8? = nil) -> [UInt8] {
        var writer = ByteWriter()
        writer.u32(0xFD2F_B528)
        if let windowLog {
            writer.u8(0x80)
            writer.u8((windowLog - 10) << 3)
        } else {
            writer.u8(0xA0)
        }
        writer.u32(UInt32(count))
        var rest = count
        while rest > 0 {
            let block = min(rest, 128 << 10)
            rest -= block
            let header = UInt32(block) << 3 | 1 << 1 | (rest == 0 ? 1 : 0)
            writer.raw([UInt8(header & 0xFF), UInt8(header >> 8 & 0xFF), UInt8(header >> 16)])
            writer.u8(0)
        }
        return writer.bytes
    }
}
