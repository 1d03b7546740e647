import Domain
import Glibc
@testable import Vault

// Files of a host's state: not hostile, but any of them may be torn or have rotted.

private let vaultID = Digest(words: (1, 2, 3, 4))
private let digest = Digest(words: (5, 6, 7, 8))

/// A file of this process that holds `bytes`.
func withFile(_ bytes: [UInt8], _ body: (String) -> Void) {
    let path = "/dev/shm/qala-fuzz-\(getpid())"
    let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let count = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    guard count == bytes.count else { return }
    body(path)
    unlink(path)
}

private func frames(_ path: String) {
    guard let reader = TreeCacheReader(path: path, vaultID: vaultID), let decompressor = try? Decompressor() else {
        return
    }
    while let frame = reader.next() { content(frame, decompressor) }
    _ = reader.summarize()
    guard let journal = try? OldTree.journal(reader, checkpoints: 3),
        let tree = try? OldTree(base: reader, journal: journal)
    else { return }
    var steps = 0
    while tree.cursor != nil, steps < 10_000 {
        tree.advance()
        steps += 1
    }
}

private func content(_ frame: TreeFrame, _ decompressor: Decompressor) {
    guard let plain = try? frame.plain(decompressor) else { return }
    switch frame.kind {
    case .page, .tail: _ = try? PageCursor(plain)
    case .checkpoint:
        if let checkpoint = try? TreeCheckpoint(decoding: plain) { _ = checkpoint.partial?.offset }
    case .end: _ = TreeSummary(decoding: plain)
    }
}

private func checkpoint() -> TreeCheckpoint {
    TreeCheckpoint(
        number: 1,
        partial: PartialFile(
            path: Array("a/b".utf8), device: 1, inode: 2, modified: Timestamp(seconds: 3),
            changed: Timestamp(seconds: 4), size: 100,
            extents: [Extent(length: 60, chunk: digest), Extent(length: 40, chunk: nil)]))
}

let hostTargets = [
    Target(
        name: "tree-cache",
        run: { bytes in withFile(TreeCacheWriter.magic + vaultID.bytes + digest.bytes + bytes, frames) },
        seeds: {
            let path = "/dev/shm/qala-fuzz-\(getpid())"
            defer { unlink(path) }
            guard let writer = try? TreeCacheWriter(path: path, vaultID: vaultID, session: digest) else { return [] }
            _ = try? writer.append(.page, id: digest, entries: 2, plain: Array("not a page".utf8))
            _ = try? writer.append(.tail, plain: [UInt8](repeating: 1, count: 300))
            _ = try? writer.append(.checkpoint, plain: checkpoint().encode())
            _ = try? writer.append(
                .end, plain: TreeSummary(root: digest, level: 1, references: digest, nodes: [digest]).encode())
            guard (try? writer.sync()) != nil, let bytes = try? StateFile.read(path, limit: 1 << 20) else { return [] }
            return [Array(bytes.dropFirst(TreeCacheReader.headerCount))]
        }),
    // Frames carry a check value that mutations break: here their contents are reached without it.
    Target(
        name: "tree-frame",
        run: { bytes in
            guard let decompressor = try? Decompressor(), let first = bytes.first,
                let kind = TreeFrame.Kind(rawValue: first & 3 + 1)
            else {
                return
            }
            let payload = Array(bytes.dropFirst())
            let plainCount = first & 0x80 == 0 ? payload.count : payload.count * 3
            content(
                TreeFrame(kind: kind, id: digest, entries: 1, plainCount: plainCount, payload: payload), decompressor)
        },
        seeds: {
            [
                [2] + checkpoint().encode(),
                [3] + TreeSummary(root: digest, level: 1, references: digest, nodes: [digest]).encode(),
            ]
        }),
    Target(
        name: "members",
        run: { bytes in
            // With a right digest: it is there against rot, and what lies behind it must hold without.
            withFile(bytes + ObjectHasher.digest(of: bytes, suite: .blake3).bytes) { path in
                guard let file = MemberFile(path: path) else { return }
                let chunks = ChunkIndex(segments: [])
                for id in [digest, vaultID, .zero, Digest(words: (.max, .max, .max, .max))] {
                    if let (group, _) = file.find(id) { _ = file.isLive(group, chunks) }
                }
                let merged = path + ".merged"
                _ = try? MemberFile.merge([file], chunks: chunks, into: merged)
                unlink(merged)
            }
        },
        seeds: {
            let path = "/dev/shm/qala-fuzz-\(getpid())"
            defer { unlink(path) }
            let rows = [
                MemberFile.Row(id: vaultID, group: 0, index: 3), MemberFile.Row(id: digest, group: 1, index: 0),
            ]
            guard (try? MemberFile.write(path, rows: rows, groups: [digest, vaultID])) != nil,
                let bytes = try? StateFile.read(path, limit: 1 << 20)
            else { return [] }
            return [Array(bytes.dropLast(Digest.byteCount))]
        }),
]
