import Domain
import Glibc
import Vault

/// What `openssl` and `zstd` make of sealed files of a medium.
enum OpenedStream {
    struct Unopened: Error {
        var reason: String
    }

    /// `body` reads what the files hold, in order. With `digests` the bytes that were handed over must have them, one for
    /// each file: a medium that answers differently the second time is found, though only at the end.
    static func read(
        _ paths: [String], _ secret: [UInt8], expecting digests: [Digest]? = nil, _ body: (PipeReader) throws -> Void
    ) throws {
        let pipeline = try Pipeline([
            Pipeline.Stage(program: "openssl", arguments: ["enc", "-d"] + SealedStream.derivation, secret: secret),
            Pipeline.Stage(program: "zstd", arguments: ["-q", "-d", "-c"]),
        ])
        let feeder = FileFeeder(paths, to: pipeline.takeInput())
        let thread = try WorkerThread { feeder.run() }
        var failure: (any Error)?
        do { try body(PipeReader(pipeline.output)) } catch {
            failure = error
            pipeline.kill()
        }
        thread.join()
        let ended = pipeline.finish()
        switch failure {
        case let error as PaxReader.Malformed: throw Unopened(reason: error.reason)
        case is BrokenPipeline: throw Unopened(reason: "it does not decrypt and decompress to its end")
        case let error?: throw error
        case nil: break
        }
        if let ended { throw Unopened(reason: "it does not decrypt and decompress: \(ended)") }
        if let digests, feeder.digests != digests {
            throw Unopened(reason: "the medium gave other bytes than those that were verified")
        }
    }
}

/// Gives files to a pipeline, one after another, and then its end.
///
/// SAFETY: one thread calls ``run()``, which alone changes anything and closes the descriptor; ``digests`` are read after
/// that thread was joined.
private final class FileFeeder: @unchecked Sendable {
    private let paths: [String]
    private let descriptor: Int32
    /// Of the files that were handed over to their end.
    private(set) var digests: [Digest] = []

    init(_ paths: [String], to descriptor: Int32) {
        self.paths = paths
        self.descriptor = descriptor
    }

    /// Whatever cannot be read or written ends the input early, which the programs tell.
    func run() {
        let writer = PipeWriter(descriptor)
        for path in paths {
            guard let file = MediumRead.open(path) else { break }
            defer { close(file) }
            let digest = ListDigest()
            let isRead =
                (try? MediumRead.pieces(file) { piece in
                    digest.update(piece)
                    try writer.append(piece)
                }) ?? false
            guard isRead else { break }
            digests.append(digest.finish())
        }
        try? writer.flush()
        close(descriptor)
    }
}
