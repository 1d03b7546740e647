import Domain
import Glibc

/// What comes to the process as bytes and is taken for text: arguments, variables, the name of the current directory.
///
/// Swift reads bytes that are not UTF-8 as replacement characters, and then a path names another file. Such bytes are
/// refused before anything is done with them; trees hold and give back every name, whatever its bytes.
package enum RawText {
    /// Variables whose value is a path.
    static let pathVariables = [
        "QALA_VAULT", "QALA_STATE", "QALA_PASSPHRASE_FILE", "QALA_KEY_FILE", "QALA_SOCKET", "HOME", "XDG_DATA_HOME",
        "XDG_STATE_HOME", "XDG_RUNTIME_DIR",
    ]

    /// The first argument or variable of this process that is not UTF-8.
    static func refusal(_ language: Language) -> CommandError? {
        for index in 1..<max(1, Int(CommandLine.argc)) {
            guard let start = CommandLine.unsafeArgv[index], let shown = unreadable(bytes(start)) else { continue }
            return CommandError(
                .usage, Text.argumentNotUTF8(language, [shown]), hint: Text.argumentNotUTF8Hint(language))
        }
        for name in pathVariables {
            guard let start = getenv(name), let shown = unreadable(bytes(start)) else { continue }
            return CommandError(
                .usage, Text.variableNotUTF8(language, [name, shown]), hint: Text.placeNotUTF8Hint(language))
        }
        return nil
    }

    /// The current directory; refused when its name is not UTF-8.
    static func currentDirectory(_ language: Language) throws -> String {
        guard let start = getcwd(nil, 0) else {
            let reason = errno
            throw CommandError(
                reason == ENOENT ? .notFound : .failed,
                Text.fileUnreadable(language, [".", SystemText.error(reason)]))
        }
        defer { free(start) }
        let name = bytes(start)
        if let shown = unreadable(name) {
            throw CommandError(
                .usage, Text.directoryNotUTF8(language, [shown]), hint: Text.placeNotUTF8Hint(language))
        }
        return String(decoding: name, as: UTF8.self)
    }

    private static func bytes(_ start: UnsafeRawPointer) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: start, count: strlen(start.assumingMemoryBound(to: CChar.self))))
    }

    /// What is not UTF-8, with the bytes that break it as `\xFF`; nil for UTF-8.
    package static func unreadable(_ bytes: [UInt8]) -> String? {
        guard String(validating: bytes, as: UTF8.self) == nil else { return nil }
        var shown = ""
        var at = 0
        while at < bytes.count {
            let rest = bytes[at...]
            let scalar = (1...min(4, rest.count)).lazy
                .compactMap { String(validating: rest.prefix($0), as: UTF8.self) }.first
            if let scalar {
                shown += Printable.text(scalar)
                at += scalar.utf8.count
            } else {
                let digits = String(bytes[at], radix: 16, uppercase: true)
                shown += "\\x" + (digits.count < 2 ? "0" : "") + digits
                at += 1
            }
        }
        return shown
    }
}
