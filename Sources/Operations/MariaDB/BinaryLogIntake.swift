import Domain
import Glibc

/// What one run of `mariadb-binlog` writes, brought into the spool; one thread's own.
///
/// Invariants:
/// 1. What is told to be received was read, its checksums hold, it is synced and stands under its name in its stretch.
/// 2. A log that is received anew takes the place of the one that is there when it is as long and begins with it, and never before.
final class BinaryLogIntake {
    /// The server has something else under the name of a log than what was received before.
    struct OtherContent: Error {
        var file: String
    }

    private let spool: BinaryLogSpool
    private let stretch: Int
    private var log: FollowedLog?
    /// Whether ``log`` stands in the stretch.
    private var isNamed = false
    /// Up to where everything is received; nil before there is anything.
    private(set) var point: BinaryLogPoint?

    init(into spool: BinaryLogSpool, stretch: Int) {
        self.spool = spool
        self.stretch = stretch
    }

    /// How far the program has come; it grows also while a log comes anew.
    var progress: (file: String, bytes: UInt64)? { log.map { ($0.name, $0.follower.offset) } }

    /// Takes what came since.
    func take() throws {
        while true {
            // Whatever is listed behind a log was begun after that one was closed.
            let waiting = try spool.logs(in: spool.receivePath)
            guard let current = try log ?? waiting.first.map(follow) else { return }
            log = current
            let next = waiting.first { Self.number($0) > Self.number(current.name) }
            try current.advance()
            if !isNamed { isNamed = try name(current) }
            let whole = current.follower.wholeBytes
            if isNamed, whole > 0, point?.file != current.name || whole != point?.position {
                try current.file.sync()
                point = BinaryLogPoint(stretch: stretch, file: current.name, position: whole)
            }
            guard let next else { return }
            // Shorter than what is there, or cut by a disk that is full.
            guard isNamed else { throw OtherContent(file: current.name) }
            guard current.follower.isWhole else { throw BinaryLogFault.torn(whole) }
            log = try follow(next)
            isNamed = false
        }
    }

    private static func number(_ name: String) -> UInt64 { BinaryLogPlace.parts(name)?.number ?? 0 }

    private func follow(_ name: String) throws -> FollowedLog {
        FollowedLog(name, try LogSpoolFile(reading: "\(spool.receivePath)/\(name)"))
    }

    /// Gives a log its name in the stretch, under which the program writes on; false as long as a longer one stands there.
    private func name(_ log: FollowedLog) throws -> Bool {
        let folder = spool.folder(of: stretch)
        let target = "\(folder)/\(log.name)"
        if access(target, F_OK) == 0 {
            let there = try LogSpoolFile(reading: target)
            guard log.follower.wholeBytes >= UInt64(there.length) else { return false }
            guard try log.file.begins(with: there, upTo: there.length) else { throw OtherContent(file: log.name) }
        }
        try log.file.sync()
        guard rename("\(spool.receivePath)/\(log.name)", target) == 0 else {
            throw LogSpool.failure("renaming", log.name)
        }
        try WALSpool.sync(folder)
        return true
    }
}
