import Domain
import FoundationEssentials
import Glibc
import Vault

/// What `zstd` and `openssl` make of the bytes that are appended, as files of a medium; one thread's own.
final class SealedStream {
    static let derivation = ["-aes-256-ctr", "-pbkdf2", "-iter", "10000", "-md", "sha256", "-pass", "fd:3"]
    private let pipeline: Pipeline
    private let sink: PartSink
    private let writer: PipeWriter
    private var thread: WorkerThread?

    init(
        on tree: VolumeTree, secret: [UInt8], partBytes: Int, room: Int?, name: @escaping @Sendable (Int) -> String
    ) throws {
        pipeline = try Pipeline([
            Pipeline.Stage(program: "zstd", arguments: ["-q", "-c", "-3"]),
            Pipeline.Stage(program: "openssl", arguments: ["enc", "-e"] + Self.derivation, secret: secret),
        ])
        let sink = PartSink(tree.directory, partBytes: partBytes, room: room, name: name)
        self.sink = sink
        writer = PipeWriter(pipeline.input)
        let output = pipeline.output
        let processes = pipeline.processes
        thread = try WorkerThread {
            sink.drain(output)
            // Nobody takes any more: what feeds must not wait for ever.
            if sink.failure != nil { for process in processes { kill(process, SIGKILL) } }
        }
    }

    deinit { cancel() }

    func append(_ bytes: [UInt8]) throws {
        do { try writer.append(bytes) } catch is BrokenPipeline { throw stop() }
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws {
        do { try writer.append(bytes) } catch is BrokenPipeline { throw stop() }
    }

    /// The parts, complete and synced, that still want their names.
    func finish() throws -> [PartSink.Part] {
        do { try writer.flush() } catch is BrokenPipeline { throw stop() }
        pipeline.closeInput()
        join()
        if let failure = sink.failure { throw failure }
        if let failure = pipeline.finish() { throw Self.error(failure) }
        return sink.parts
    }

    func cancel() {
        guard thread != nil else { return }
        pipeline.kill()
        pipeline.closeInput()
        join()
    }

    private func join() {
        thread?.join()
        thread = nil
    }

    /// Why the pipeline broke.
    private func stop() -> any Error {
        pipeline.closeInput()
        join()
        if let failure = sink.failure { return failure }
        return Self.error(pipeline.finish() ?? "a program ended before its input did")
    }

    private static func error(_ message: String) -> OperationError {
        OperationError(.failed, message, hint: "Check that zstd and openssl 3 work on this host, and repeat.")
    }
}

/// The lines of a catalog slice and of the sealed digests; the same for an entry that is written and for a member that
/// is read back.
struct SliceText {
    let archive: String
    private let stream: String
    private let encoder: JSONEncoder

    init(archive: String) {
        self.archive = archive
        stream = VolumeTree.streamName(archive)
        encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    }

    func line(
        _ path: [UInt8], kind: String, size: UInt64, modified: Timestamp, target: [UInt8]?
    ) throws -> [UInt8] {
        let row = SliceRow(
            archive: archive, kind: kind, modified: TimeText.exact(modified),
            path: "/" + String(decoding: path, as: UTF8.self), pathBytes: PathBytes.base64(stored: path), size: size,
            stream: stream, target: target.map { String(decoding: $0, as: UTF8.self) })
        return [UInt8](try encoder.encode(row)) + [0x0A]
    }

    /// As `sha256sum` writes it: with a backslash in front where the name had to be escaped.
    static func digestLine(_ digest: Digest, _ path: [UInt8]) -> [UInt8] {
        var name: [UInt8] = []
        var isEscaped = false
        for byte in path {
            switch byte {
            case 0x5C: name += Array("\\\\".utf8)
            case 0x0A: name += Array("\\n".utf8)
            case 0x0D: name += Array("\\r".utf8)
            default: name.append(byte)
            }
            isEscaped = isEscaped || byte == 0x5C || byte == 0x0A || byte == 0x0D
        }
        var line: [UInt8] = isEscaped ? [0x5C] : []
        line += Array("\(digest.hex)  ./".utf8)
        line += name
        line.append(0x0A)
        return line
    }
}
