/// A byte of the logs of a server that were received one behind the other.
package struct BinaryLogPoint: Codable, Sendable, Equatable, Comparable {
    /// Which of the stretches, each of which has no gap in it; they count from 1.
    package var stretch: Int
    package var file: String
    package var position: UInt64

    package init(stretch: Int, file: String, position: UInt64) {
        self.stretch = stretch
        self.file = file
        self.position = position
    }

    private var number: UInt64 { BinaryLogPlace.parts(file)?.number ?? 0 }

    package static func < (_ a: BinaryLogPoint, _ b: BinaryLogPoint) -> Bool {
        (a.stretch, a.number, a.position) < (b.stretch, b.number, b.position)
    }
}

/// Reads a log that grows, piece by piece, and tells up to where it is whole.
///
/// Invariant: what is told to be whole consists of events whose lengths and checksums hold.
package struct BinaryLogFollower {
    private var reader = BinaryLogReader()
    private var fault: BinaryLogFault?

    package init() {}

    /// Bytes that were given; the next ones follow them.
    package var offset: UInt64 { reader.offset }
    /// Up to the end of the last whole event; 0 before the first.
    package private(set) var wholeBytes: UInt64 = 0
    /// Whether all that was given is whole.
    package var isWhole: Bool { fault == nil && reader.isAtEnd }
    /// Whether it ends with the event by which a server closes a log.
    package var isEnded: Bool { isWhole && reader.isEnded }

    /// Throws why nothing behind ``wholeBytes`` counts, this time and whenever more is given.
    package mutating func take(_ bytes: UnsafeRawBufferPointer) throws(BinaryLogFault) {
        if let fault { throw fault }
        let (events, found) = reader.take(bytes)
        wholeBytes = events.last?.range.upperBound ?? wholeBytes
        fault = found
        if let fault { throw fault }
    }
}
