import Domain
import FoundationEssentials
import Glibc
import Vault

/// Adds lines to one register. Whoever makes it holds the lock of the daemon's folder: there is one writer.
///
/// When ``append(_:_:_:)`` returns, the line is on the disk. When it throws, the line was cut off again; where that failed
/// too, it may be there in part or whole, and the next call looks at the files before it goes on.
final class RegisterWriter {
    static let usualFileBytes = 8 << 20

    private let files: RegisterFiles
    private let fileBytes: Int
    private let calls: any FileSystemCalls
    private var chain = RegisterFiles.Chain()
    private var file: String?
    private var length = 0
    private var isCertain = false
    /// Bytes of torn lines that were cut off.
    private(set) var cutBytes = 0

    init(
        _ files: RegisterFiles, fileBytes: Int = RegisterWriter.usualFileBytes,
        calls: any FileSystemCalls = LinuxCalls.shared
    ) throws {
        self.files = files
        self.calls = calls
        self.fileBytes = fileBytes
        try StateFile.makeDirectory(files.folder)
        try settle()
    }

    /// Finds the end of the register, and cuts off what a power cut left of a line.
    private func settle() throws {
        // Two, as the last one may hold nothing whole.
        let reading = try files.read(last: 2) { _ in }
        chain = reading.chain
        file = reading.file
        length = reading.length
        if reading.tornBytes > 0, let file {
            let path = "\(files.folder)/\(file)"
            let descriptor = opened(path, O_WRONLY | O_NOFOLLOW)
            guard descriptor >= 0 else { throw Self.failure("opened", path, -descriptor) }
            defer { _ = calls.close(descriptor) }
            var result = calls.truncate(descriptor, to: UInt64(length))
            if result == 0 { result = calls.syncFile(descriptor) }
            guard result == 0 else { throw Self.failure("cut", path, -result) }
            cutBytes += reading.tornBytes
        }
        isCertain = true
    }

    func append(_ time: String, _ kind: String, _ fields: [String: String]) throws {
        if !isCertain { try settle() }
        let entry = RegisterEntry(
            number: chain.number + 1, time: time, kind: kind, fields: fields, previous: chain.digest)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let line = Array(try encoder.encode(entry))
        guard line.count <= RegisterFiles.lineLimit, entry.number <= RegisterFiles.numberLimit else {
            throw OperationError(.failed, "a line of the register \(files.name.rawValue) is too long")
        }
        isCertain = false
        if file == nil || length > 0 && length + line.count >= fileBytes {
            file = files.file(first: entry.number)
            length = 0
        }
        let added = line + [0x0A]
        try write(added, to: "\(files.folder)/\(file ?? "")", isNew: length == 0)
        chain = RegisterFiles.Chain(
            number: entry.number, digest: ObjectHasher.digest(of: line, suite: .hmacSHA256).hex)
        length += added.count
        isCertain = true
    }

    private func opened(_ path: String, _ flags: Int32) -> Int32 {
        while true {
            let descriptor = calls.open(path, in: AT_FDCWD, flags: flags, mode: 0o600)
            if descriptor != -EINTR { return descriptor }
        }
    }

    private func write(_ bytes: [UInt8], to path: String, isNew: Bool) throws {
        let descriptor = opened(path, O_WRONLY | O_CREAT | O_NOFOLLOW)
        guard descriptor >= 0 else {
            // Nothing was touched.
            isCertain = true
            throw Self.failure("opened", path, -descriptor)
        }
        defer { _ = calls.close(descriptor) }
        do {
            try put(bytes, into: descriptor, path)
            if isNew { try syncFolder() }
        } catch {
            // A disk that is full keeps no half of a line, and a whole one that is not certain would stand there twice. Where
            // this fails too, the next call looks at the files.
            isCertain = calls.truncate(descriptor, to: UInt64(length)) == 0
            throw error
        }
    }

    private func put(_ bytes: [UInt8], into descriptor: Int32, _ path: String) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                calls.write(descriptor, UnsafeRawBufferPointer(rebasing: $0[done...]), at: UInt64(length + done))
            }
            if count == -Int(EINTR) { continue }
            guard count > 0 else { throw Self.failure("written", path, count < 0 ? Int32(-count) : EIO) }
            done += count
        }
        let result = calls.syncFile(descriptor)
        guard result == 0 else { throw Self.failure("synced", path, -result) }
    }

    private func syncFolder() throws {
        let descriptor = opened(files.folder, O_RDONLY | O_DIRECTORY)
        guard descriptor >= 0 else { throw Self.failure("opened", files.folder, -descriptor) }
        defer { _ = calls.close(descriptor) }
        let result = calls.syncDirectory(descriptor)
        guard result == 0 else { throw Self.failure("synced", files.folder, -result) }
    }

    private static func failure(_ what: String, _ path: String, _ reason: Int32) -> OperationError {
        OperationError(
            .failed, "the register \(path) cannot be \(what): \(String(cString: strerror(reason)))",
            hint: "Check the disk and the rights of the host state directory (--state or QALA_STATE).",
            isOutOfSpace: reason == ENOSPC || reason == EDQUOT)
    }
}
