package import Domain

/// The checksum that PostgreSQL keeps in each page of a relation: 32 sums like FNV-1a side by side, folded.
///
/// A word `w` goes into a sum `s` as `(s ^ w) * prime ^ (s ^ w) >> 17`. The page is taken as rows of 32 words, with the
/// checksum itself as 0, and two rows of zeros follow. What is left is XORed, then XORed with the number of the block in
/// its relation, and brought to 1...65535.
package enum PageChecksum {
    private static let prime: UInt32 = 16_777_619
    /// Four sums each: wider vectors than every processor has would be worked off word by word, 190 times slower.
    private typealias Sums = SIMD4<UInt32>

    /// Of a page, whose size is a multiple of 128 bytes, as it should be in it.
    package static func of(_ page: UnsafeRawBufferPointer, block: UInt32) -> UInt16 {
        var a = Sums(0x5B1F_36E9, 0xB852_5960, 0x02AB_50AA, 0x1DE6_6D2A)
        var b = Sums(0x79FF_467A, 0x9BB9_F8A3, 0x217E_7CD2, 0x83E1_3D2C)
        var c = Sums(0xF8D4_474F, 0xE39E_B970, 0x42C6_AE16, 0x9932_16FA)
        var d = Sums(0x7B09_3B5D, 0x98DA_FF3C, 0xF718_902A, 0x0B1C_9CDB)
        var e = Sums(0xE58F_764B, 0x1876_36BC, 0x5D7B_3BB1, 0xE73D_E7DE)
        var f = Sums(0x92BE_C979, 0xCCA6_C0B2, 0x304A_0979, 0x85AA_43D4)
        var g = Sums(0x7831_25BB, 0x6CA8_EAA2, 0xE407_EAC6, 0x4B5C_FC3E)
        var h = Sums(0x9FBF_8C76, 0x15CA_20BE, 0xF2CA_9FD3, 0x959B_D756)
        var row = 0
        while row + 128 <= page.count {
            func words(_ index: Int) -> Sums { page.loadUnaligned(fromByteOffset: row + 16 * index, as: Sums.self) }
            var first = words(0)
            // The checksum is the lower half of the third word, on the little-endian machines that Qala runs on.
            if row == 0 { first[2] &= 0xFFFF_0000 }
            (a, b, c, d) = (mixed(a ^ first), mixed(b ^ words(1)), mixed(c ^ words(2)), mixed(d ^ words(3)))
            (e, f, g, h) = (mixed(e ^ words(4)), mixed(f ^ words(5)), mixed(g ^ words(6)), mixed(h ^ words(7)))
            row += 128
        }
        let ends = [a, b, c, d, e, f, g, h].reduce(Sums.zero) { $0 ^ mixed(mixed($1)) }
        let folded = ends[0] ^ ends[1] ^ ends[2] ^ ends[3]
        return UInt16((folded ^ block) % 65_535 + 1)
    }

    @inline(__always)
    private static func mixed(_ sums: Sums) -> Sums { (sums &* prime) ^ (sums &>> 17) }

    package enum Finding: Sendable, Equatable {
        case right
        /// With the place in the log of the last change that the page claims.
        case wrong(LSN)
    }

    package static func check(_ page: UnsafeRawBufferPointer, block: UInt32) -> Finding {
        let upper = page.loadUnaligned(fromByteOffset: 14, as: UInt16.self)
        let high = page.loadUnaligned(fromByteOffset: 0, as: UInt32.self)
        let low = page.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        // A page that was never used is all zeros; one that only says so is not.
        if upper == 0, page.allSatisfy({ $0 == 0 }) { return .right }
        let stored = page.loadUnaligned(fromByteOffset: 8, as: UInt16.self)
        return upper != 0 && stored == of(page, block: block)
            ? .right : .wrong(LSN(UInt64(high) << 32 | UInt64(low)))
    }
}
