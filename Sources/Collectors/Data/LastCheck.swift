import Domain
import Glibc

/// When a source was last checked in full and found good: a file in the host state. Without it the check is due.
struct LastCheck {
    private let folder: String
    private let path: String

    /// `place` is what the source reads: another one of the same name has a file of its own.
    init(of name: String, _ place: String, in folder: String) {
        // FNV-1a.
        let number = place.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3
        }
        self.folder = folder
        path = "\(folder)/\(name)-\(String(number, radix: 16)).checked"
    }

    /// A time that lies ahead proves nothing.
    func isDue(every period: Period, at now: Timestamp) -> Bool {
        guard let seconds else { return true }
        return seconds > now.seconds || now.seconds - seconds >= period.seconds
    }

    private var seconds: Int64? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 32)
        let count = read(file, &buffer, buffer.count)
        return count > 0 ? Int64(String(decoding: buffer[..<count], as: UTF8.self)) : nil
    }

    /// Where it cannot be kept, the next run checks again.
    func keep(_ time: Timestamp) {
        guard (try? StagingFolder.make(folder)) != nil else { return }
        try? StagingFolder.write("\(time.seconds)", to: path)
    }

    func forget() { unlink(path) }
}
