/// A digest of some bytes of a file, by which they are known again.
package struct LogMark: Sendable, Equatable, Codable {
    /// As many bytes as a mark covers at most.
    package static let longest = 4096
    package static let empty = LogMark(length: 0, digest: "")

    package var length: Int
    /// SHA-256 in hexadecimal; empty for no bytes.
    package var digest: String

    package init(length: Int, digest: String) {
        self.length = length
        self.digest = digest
    }
}

/// How far one file of a source was read, and what makes it that file.
package struct LogCursor: Sendable, Equatable, Codable {
    package var path: String
    /// The file's name when it was first seen, which names of its rotations begin with.
    package var stem: String
    package var device: UInt64
    package var inode: UInt64
    /// Everything before it is sealed.
    package var offset: UInt64
    /// As it was last seen; never below `offset`.
    package var size: UInt64
    /// Of the file's first bytes, and of those right before `offset`.
    package var head: LogMark
    package var tail: LogMark
    /// It has left the name that it was written under, so nobody completes its last line.
    package var isRotated: Bool
    /// A copy of a file that is followed itself: not read, unless that one is emptied.
    package var isCopy: Bool

    package init(
        path: String, stem: String, device: UInt64, inode: UInt64, offset: UInt64, size: UInt64,
        head: LogMark = .empty, tail: LogMark = .empty, isRotated: Bool = false, isCopy: Bool = false
    ) {
        self.path = path
        self.stem = stem
        self.device = device
        self.inode = inode
        self.offset = offset
        self.size = size
        self.head = head
        self.tail = tail
        self.isRotated = isRotated
        self.isCopy = isCopy
    }

    /// Whether its lengths can be true. Cursors come from a disk: who cannot be trusted about them is not followed.
    package var isSound: Bool {
        offset <= size && (0...LogMark.longest).contains(head.length) && (0...LogMark.longest).contains(tail.length)
            && UInt64(tail.length) <= offset && UInt64(head.length) <= offset
    }
}

/// The place in one sequence of journal entries.
package struct JournalPlace: Sendable, Equatable, Codable {
    /// Which sequence; journald begins a new one with a new machine or a lost journal.
    package var id: String
    package var number: UInt64
    /// Microseconds since 1970.
    package var time: UInt64

    package init(id: String, number: UInt64, time: UInt64) {
        self.id = id
        self.number = number
        self.time = time
    }
}

/// How far a source was read.
package struct LogCursors: Sendable, Equatable, Codable {
    package static let maximumFiles = 16_384

    /// In the order in which they came, older ones first.
    package var files: [LogCursor]
    package var journal: [JournalPlace]
    /// Of a journal that a program exports: the cursor of the last entry that is sealed.
    package var after: String?

    package init(files: [LogCursor] = [], journal: [JournalPlace] = [], after: String? = nil) {
        self.files = files
        self.journal = journal
        self.after = after
    }
}

/// The clocks of a machine at one moment.
package struct LogClock: Sendable, Equatable, Codable {
    /// Seconds since 1970.
    package var wall: Int64
    /// Seconds since the machine started, sleep included.
    package var boot: Int64
    package var bootID: String

    package init(wall: Int64, boot: Int64, bootID: String) {
        self.wall = wall
        self.boot = boot
        self.bootID = bootID
    }

    /// Seconds that the wall clock may be set by without a word.
    package static let tolerance: Int64 = 60
    /// Over a restart nothing tells how long the machine was off; more than this is told.
    package static let longestOff: Int64 = 31 * 86_400

    /// What is wrong with the time between `before` and now.
    package func finding(since before: LogClock) -> LogFinding? {
        let (elapsed, overflow) = wall.subtractingReportingOverflow(before.wall)
        guard !overflow else { return LogFinding(.clockJump, "the time of the last run cannot be") }
        if bootID == before.bootID, !bootID.isEmpty {
            let (passed, wrong) = boot.subtractingReportingOverflow(before.boot)
            let (jump, more) = elapsed.subtractingReportingOverflow(passed)
            guard !wrong, !more else { return LogFinding(.clockJump, "the time of the last run cannot be") }
            if jump > Self.tolerance { return LogFinding(.clockJump, "the clock was set \(jump) seconds on") }
            if jump < -Self.tolerance {
                return LogFinding(.clockJump, "the clock was set \(jump.magnitude) seconds back")
            }
            return nil
        }
        if elapsed < -Self.tolerance {
            return LogFinding(.clockJump, "the clock is \(elapsed.magnitude) seconds before the last run")
        }
        if elapsed > Self.longestOff {
            return LogFinding(.clockJump, "the clock is \(elapsed) seconds after the last run, over a restart")
        }
        return nil
    }
}
