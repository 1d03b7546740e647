import CLinux
package import Domain
import Glibc

/// Why a collector could not read a source, or a restorer could not write one.
package struct CollectorError: Failure {
    package enum Code: String, Sendable {
        case notFound, denied, invalidInput
        /// The thing is no longer what it was a moment ago.
        case changed
        /// Something stands where the restore would write.
        case conflict
        /// A path that leads, or could lead, out of the target.
        case unsafePath
        case io, noSpace, limit, unsupported
    }

    package var code: Code
    package var message: String
    package var hint: String
    /// The number of the system's error, 0 where there was none.
    package var systemError: Int32

    package init(_ code: Code, _ message: String, hint: String = "", systemError: Int32 = 0) {
        self.code = code
        self.message = message
        self.hint = hint
        self.systemError = systemError
    }

    package var kind: FailureKind {
        switch code {
        case .notFound: .notFound
        case .denied: .denied
        case .invalidInput: .usage
        case .changed: .tryAgain
        case .conflict, .unsafePath, .io, .noSpace, .limit, .unsupported: .failed
        }
    }

    package var isOutOfSpace: Bool { code == .noSpace }

    /// The failure of a system call; `number` is its `errno`, `action` what was tried ("cannot open").
    package static func system(_ number: Int32, _ action: String, _ path: [UInt8]) -> CollectorError {
        let code: Code =
            switch number {
            case ENOENT: .notFound
            case EACCES, EPERM: .denied
            case ENOSPC, EDQUOT: .noSpace
            case ELOOP, ENOTDIR, ESTALE: .changed
            case ENAMETOOLONG: .limit
            case ENOTSUP: .unsupported
            default: .io
            }
        let hint =
            switch code {
            case .notFound: "Check the path."
            case .denied: "Run as root or give the account the right to do this."
            case .noSpace: "Free space or raise the quota, then try again."
            case .changed: "Try again when nothing changes the tree."
            default: "The system's log may say more."
            }
        return CollectorError(
            code, "\(action) \(displayPath(path)): \(systemText(number))", hint: hint, systemError: number)
    }

    /// The path as text for people; a leading `/` is added to the relative paths of entries.
    package static func displayPath(_ path: [UInt8]) -> String {
        let text = String(decoding: path, as: UTF8.self)
        return path.first == 0x2F ? text : "/" + text
    }

    /// What the system says about the error `number`.
    package static func systemText(_ number: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            buffer.initialize(repeating: 0)
            tree_error_text(number, buffer.baseAddress, buffer.count)
            return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}
