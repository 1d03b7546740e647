import WALClient

// What comes over the socket for WAL: anybody on the host may send it.

let walTargets = [
    Target(
        name: "wal-request",
        run: { bytes in
            guard let request = WALRequest(bytes) else { return }
            expect(request.bytes == bytes, "a request has one form")
        },
        seeds: {
            WALRequest.Verb.allCases.flatMap { verb in
                ["", "main"].compactMap {
                    WALRequest(verb, source: $0, file: "000000010000000000000003", systemID: 7).bytes
                }
            }
        }),
    Target(
        name: "wal-reply",
        run: { bytes in
            guard let reply = WALReply(bytes) else { return }
            let again = WALReply(reply.bytes)
            expect(again?.status == reply.status && again?.size == reply.size, "a reply keeps what it says")
        },
        seeds: { [WALReply(.done, size: 16 << 20).bytes, WALReply(.absent, "not there").bytes] }),
]
