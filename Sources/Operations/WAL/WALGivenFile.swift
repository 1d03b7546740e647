import Domain
import Glibc
import Vault

/// An open file that somebody hands over as one of the log, of which nothing is believed yet.
struct WALGivenFile {
    /// Enough of a file to tell whose it is.
    static let headBytes = 8192

    /// The caller's, who closes it.
    var descriptor: Int32
    var name: WALFileName

    /// What the system says of it. A refusal when it is none that a file of the log can be.
    func examine() throws -> stat {
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFREG else {
            throw WALRefusal(message: "\(name.text) is no regular file")
        }
        guard info.st_size > 0, UInt64(info.st_size) <= name.maximumBytes else {
            throw WALRefusal(message: "\(name.text) has \(info.st_size) bytes, which such a file cannot have")
        }
        return info
    }

    func head() throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.headBytes)
        let count = try bytes.withUnsafeMutableBytes { try read(into: $0, at: 0) }
        return Array(bytes.prefix(count))
    }

    /// To the end, or a piece beyond what such a file can have: it may grow while it is read.
    func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        var block = [UInt8](repeating: 0, count: 1 << 20)
        var at = 0
        while UInt64(at) <= name.maximumBytes {
            let count = try block.withUnsafeMutableBytes { try read(into: $0, at: at) }
            if count == 0 { return }
            try block.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            at += count
        }
    }

    /// BLAKE3 of its bytes, in hexadecimal.
    func digest() throws -> String {
        var hasher = ObjectHasher(suite: .blake3)
        try forEachPiece { hasher.update($0) }
        return hasher.finalize().hex
    }

    private func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws -> Int {
        while true {
            let count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw LogSpool.failure("reading", name.text) }
            return count
        }
    }
}
