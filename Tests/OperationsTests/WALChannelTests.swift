import Glibc
import Testing
import Vault
import WALClient

@Suite("The answer to a helper for WAL")
struct WALChannelTests {
    private static let request: [UInt8] = Array("may I?".utf8)
    private static let refusal: [UInt8] = Array("you may not".utf8)

    private func pair() throws -> (helper: Int32, daemon: Int32) {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        try #require(socketpair(AF_UNIX, kind, 0, &ends) == 0)
        return (ends[0], ends[1])
    }

    private func refuse(on daemon: Int32) {
        _ = send(daemon, Self.refusal, Self.refusal.count, Int32(truncatingIfNeeded: MSG_NOSIGNAL))
        close(daemon)
    }

    @Test("A refusal that came before the request could be sent is read, and no broken pipe is told")
    func early() throws {
        let (helper, daemon) = try pair()
        let channel = WALChannel(taking: helper)
        refuse(on: daemon)
        let answer = try channel.answer(to: Self.request, with: nil, limit: 100)
        #expect(answer?.bytes == Self.refusal)
    }

    @Test("A refusal by an end that closes without having read the request is read, and no reset is told")
    func unheard() throws {
        for _ in 0..<300 {
            let (helper, daemon) = try pair()
            let channel = WALChannel(taking: helper)
            let other = try WorkerThread {
                var waiting = pollfd(fd: daemon, events: Int16(POLLIN), revents: 0)
                _ = poll(&waiting, 1, 10_000)
                self.refuse(on: daemon)
            }
            defer { other.join() }
            let answer = try channel.answer(to: Self.request, with: nil, limit: 100)
            #expect(answer?.bytes == Self.refusal)
        }
    }

    @Test("An end that goes away without a word is told as that")
    func silent() throws {
        let (helper, daemon) = try pair()
        let channel = WALChannel(taking: helper)
        close(daemon)
        var told = ""
        do { _ = try channel.answer(to: Self.request, with: nil, limit: 100) } catch { told = error.message }
        #expect(told.contains("cannot be sent"), "\(told)")
    }
}
