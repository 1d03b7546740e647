@testable import Catalog
import Domain

let catalogTargets = [
    Target(
        name: "name-block",
        run: { bytes in
            bytes.withUnsafeBytes { raw in
                var reader = NameBlockReader(raw)
                var builder = NameBlockBuilder()
                while reader.next() {
                    builder.append(
                        path: reader.path, kind: reader.kind, size: reader.size, modified: reader.modified)
                }
                guard !reader.isDamaged else { return }
                var again = 0
                builder.bytes.withUnsafeBytes {
                    var reader = NameBlockReader($0)
                    while reader.next() { again += 1 }
                    expect(!reader.isDamaged, "a block that was read can be written and read")
                }
            }
        },
        seeds: {
            var builder = NameBlockBuilder()
            for path in ["a", "a/b", "a/c/d", "e"] {
                builder.append(
                    path: Array(path.utf8), kind: .file, size: 300, modified: Timestamp(seconds: -5, nanoseconds: 9))
            }
            return [builder.bytes]
        })
]
