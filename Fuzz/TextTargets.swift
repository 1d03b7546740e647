import Documents
import Domain

let textTargets = [
    Target(
        name: "policy",
        run: { bytes in _ = try? PolicyDocument.parse(bytes, file: "policy.yaml") },
        seeds: {
            [
                """
                policy: nightly
                component: files
                responsible: {name: A, position: B, email: a@b.c, phone: "1"}
                confidentiality: internal
                vault: /srv/vault
                sources:
                  - files: /etc
                    exclude: ["*.tmp", "!keep"]
                    one-file-system: true
                """
            ].map { Array($0.utf8) }
        }),
    // The patterns, a zero byte, and a path to match.
    Target(
        name: "excludes",
        run: { bytes in
            let split = bytes.firstIndex(of: 0) ?? bytes.endIndex
            guard let patterns = try? ExcludePatterns(text: bytes[..<split]) else { return }
            let path = Array(bytes[split...].dropFirst().prefix(512))
            path.withUnsafeBytes { raw in
                _ = patterns.isExcluded(relativePath: raw, isDirectory: false)
                _ = patterns.isExcluded(relativePath: raw, isDirectory: true)
            }
        },
        seeds: {
            ["*.o\n!a.o\n/build/\n**/x/**\n[a-z]?\\*\n#c\u{0}a/b/x/c.o", "a/**/b\u{0}a/x/y/b"].map { Array($0.utf8) }
        }),
]
