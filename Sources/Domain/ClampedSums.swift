extension Int {
    /// The sum, or the largest number: sizes of sparse files are claims, and a few of them exceed what a total can hold.
    package func addingClamped(_ more: UInt64) -> Int {
        let (sum, overflows) = addingReportingOverflow(Int(clamping: more))
        return overflows ? .max : sum
    }

    /// The difference, or zero.
    package func subtractingClamped(_ less: UInt64) -> Int { Swift.max(0, self - Swift.min(self, Int(clamping: less))) }
}

extension UInt64 {
    package func addingClamped(_ more: UInt64) -> UInt64 {
        let (sum, overflows) = addingReportingOverflow(more)
        return overflows ? .max : sum
    }
}

extension Int64 {
    package func addingClamped(_ more: Int64) -> Int64 {
        let (sum, overflows) = addingReportingOverflow(more)
        return overflows ? (more > 0 ? .max : .min) : sum
    }

    package func subtractingClamped(_ less: Int64) -> Int64 {
        let (difference, overflows) = subtractingReportingOverflow(less)
        return overflows ? (less > 0 ? .min : .max) : difference
    }
}
