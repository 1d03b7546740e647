import Domain
import Glibc
import Operations
import Synchronization

/// Where passphrases and keys come from: a file, a file descriptor, or the terminal; never the arguments, and never
/// shown or logged.
struct SecretInput: Sendable {
    static let minimumCharacters = 8
    static let maximumBytes = 4096
    static let maximumKeyFileBytes = 1 << 20

    let language: Language
    let interrupt: InterruptFlag
    /// A path or `fd:N`; nil means the terminal.
    let passphraseFile: String?
    let keyFile: String?
    /// What is told to the operator on the way, such as that a file is open to others.
    let warn: @Sendable (String) -> Void

    /// Whether only a person at the terminal can give the key.
    var asksForKey: Bool { keyFile == nil && passphraseFile == nil }

    /// How operations come by a reading key. Nothing is read or asked before one needs it.
    var unlocking: Unlocking {
        if let keyFile {
            let read = Remembered { try code(fromFile: keyFile) }
            return .code { try read.value() }
        }
        let read = Remembered {
            guard let passphraseFile else { return try ask(.passphrase) }
            return try passphrase(from: passphraseFile)
        }
        return .passphrase { try read.value() }
    }

    /// A passphrase that will guard something from now on: long enough, and typed twice on a terminal.
    func newPassphrase(from file: String?) throws -> [UInt8] {
        let bytes: [UInt8]
        if let file {
            bytes = try passphrase(from: file)
        } else {
            bytes = try ask(.newPassphrase)
            try checkLength(bytes)
            guard try ask(.passphraseAgain) == bytes else {
                throw CommandError(
                    .usage, Text.passphrasesDiffer(language),
                    hint: say(
                        "Run it again and type one passphrase twice.",
                        "Əmri təkrar edin və eyni ifadəni iki dəfə yazın."))
            }
        }
        try checkLength(bytes)
        return bytes
    }

    private func checkLength(_ bytes: [UInt8]) throws {
        guard String(decoding: bytes, as: UTF8.self).count >= Self.minimumCharacters else {
            throw CommandError(
                .usage, Text.passphraseTooShort(language, ["\(Self.minimumCharacters)"]),
                hint: say(
                    "Choose a longer one, such as several words that do not belong together.",
                    "Daha uzununu seçin, məsələn bir-biri ilə bağlı olmayan bir neçə söz."))
        }
    }

    private var empty: CommandError {
        CommandError(
            .usage, Text.passphraseEmpty(language),
            hint: say(
                "Type it on the terminal, or write it to the file that --passphrase-file names.",
                "Onu terminalda və ya --passphrase-file ilə göstərilən fayla yazın."))
    }

    private func say(_ en: String, _ az: String) -> String { Rendering.say(language, en, az) }

    /// The first line's bytes of a file or descriptor, without its line end.
    private func passphrase(from place: String) throws -> [UInt8] {
        var bytes = try contents(of: place, limit: Self.maximumBytes)
        if bytes.last == 0x0A { bytes.removeLast() }
        if bytes.last == 0x0D { bytes.removeLast() }
        guard !bytes.isEmpty else { throw empty }
        return bytes
    }

    private func code(fromFile path: String) throws -> [UInt8] {
        KitCode.find(in: try contents(of: path, limit: Self.maximumKeyFileBytes))
    }

    private func contents(of place: String, limit: Int) throws -> [UInt8] {
        var descriptor: Int32
        var isOurs = false
        if place.hasPrefix("fd:") {
            guard let number = Int32(place.dropFirst(3)), number >= 0 else {
                throw CommandError(
                    .usage, Text.badDescriptor(language, [place]), hint: Text.badDescriptorHint(language))
            }
            descriptor = number
        } else {
            descriptor = open(place, O_RDONLY | O_CLOEXEC | O_NOCTTY)
            isOurs = true
        }
        defer { if isOurs, descriptor >= 0 { close(descriptor) } }
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0 else { throw unreadable(place, errno) }
        if status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o077 != 0 {
            warn(Text.openToOthers(language, [Printable.text(place)]) + ". " + Text.openToOthersHint(language))
        }
        return try readAll(descriptor, limit: limit, place: place)
    }

    private func readAll(_ descriptor: Int32, limit: Int, place: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count == 0 { return bytes }
            if count < 0 {
                let reason = errno
                if reason == EINTR { continue }
                throw unreadable(place, reason)
            }
            bytes.append(contentsOf: buffer[..<count])
            guard bytes.count <= limit else {
                throw CommandError(
                    .usage, Text.fileTooLong(language, [Printable.text(place), "\(limit)"]),
                    hint: say("Name a file with nothing but the key in it.", "İçində yalnız açar olan fayl göstərin."))
            }
        }
    }

    private func unreadable(_ place: String, _ reason: Int32) -> CommandError {
        CommandError(
            reason == ENOENT ? .notFound : .failed,
            Text.fileUnreadable(language, [Printable.text(place), SystemText.error(reason)]),
            hint: say(
                "Check the path in --key-file, QALA_KEY_FILE, --passphrase-file or QALA_PASSPHRASE_FILE, and who may read the file.",
                "--key-file, QALA_KEY_FILE, --passphrase-file və ya QALA_PASSPHRASE_FILE ilə göstərilən yolu və faylı kimin oxuya bildiyini yoxlayın."
            ))
    }

    private func ask(_ question: Text) throws -> [UInt8] {
        guard let terminal = Terminal.open() else {
            throw CommandError(
                .usage, Text.noPassphraseSource(language), hint: Text.noPassphraseSourceHint(language))
        }
        let answer = try terminal.askSecretly(question(language), limit: Self.maximumBytes, interrupt: interrupt)
        guard let answer else { throw CommandError(.interrupted, Text.passphraseInterrupted(language)) }
        guard !answer.isEmpty else { throw empty }
        return answer
    }
}

/// Bytes that are fetched at most once, whoever asks first.
private final class Remembered: Sendable {
    private let bytes = Mutex<[UInt8]?>(nil)
    private let fetch: @Sendable () throws -> [UInt8]

    init(_ fetch: @escaping @Sendable () throws -> [UInt8]) { self.fetch = fetch }

    func value() throws -> [UInt8] {
        try bytes.withLock { known in
            if let known { return known }
            let fetched = try fetch()
            known = fetched
            return fetched
        }
    }
}

/// Finds the code of a key in a key file or in the text of a printed recovery kit.
package enum KitCode {
    private static let groups = 12
    private static let groupLength = 5

    /// The first `QALA1` that twelve groups of five letters or digits follow, divided by dashes, spaces or line ends;
    /// the whole text when there is none, so that whoever decodes it says what is wrong with it.
    package static func find(in text: [UInt8]) -> [UInt8] {
        let mark = Array("QALA1".utf8)
        guard text.count >= mark.count else { return text }
        for start in 0...(text.count - mark.count) {
            let word = text[start..<start + mark.count].map { isLetter($0) ? $0 & 0xDF : $0 }
            guard word == mark, let code = groups(of: text[(start + mark.count)...]) else { continue }
            return mark + code
        }
        return text
    }

    private static func groups(of rest: ArraySlice<UInt8>) -> [UInt8]? {
        var code: [UInt8] = []
        var at = rest.startIndex
        for _ in 0..<groups {
            let gap = rest[at...].prefix { [0x2D, 0x20, 0x09, 0x0A, 0x0D].contains($0) }
            guard (1...64).contains(gap.count) else { return nil }
            let group = rest[gap.endIndex...].prefix { isLetter($0) || (0x30...0x39).contains($0) }
            guard group.count == groupLength else { return nil }
            code.append(0x2D)
            code.append(contentsOf: group)
            at = group.endIndex
        }
        return code
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
}
