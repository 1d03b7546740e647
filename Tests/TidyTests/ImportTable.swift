/// Who may import whom: the floors of the house. A target that is not in the table is a finding, so that every new
/// one is decided upon here.
enum ImportTable {
    private static let system: Set = ["Glibc", "Synchronization"]
    private static let foundation: Set = ["Foundation", "FoundationEssentials"]

    /// For each target, all modules it may import.
    static let allowed: [String: Set<String>] = [
        // F0 sees no clock and does no I/O.
        "Domain": [],
        // What PostgreSQL starts for every segment: small, and with nothing of Foundation.
        "WALClient": ["Glibc"],
        // F1 does without Foundation; `Documents` parses text for people and may use it.
        // The vault has JSON in two places (genesis, archive headers), for which the essentials suffice.
        "Vault": system.union([
            "Domain", "CZstd", "COpenSSL", "CLinux", "CBlake3", "CQREncode", "Crypto", "FoundationEssentials",
        ]),
        "Catalog": system.union(["Domain", "CLinux", "CZstd"]),
        "Collectors": system.union(["Domain", "CLinux"]),
        "Documents": system.union(foundation).union(["Domain", "Yams"]),
        // F2
        "Operations": system.union(foundation)
            .union(["Domain", "WALClient", "Vault", "Catalog", "Collectors", "Documents", "CLinux"]),
        // F3
        "API": system.union(foundation).union(["Domain", "Operations"]),
        // F4
        "Commands": system.union(foundation).union([
            "Domain", "WALClient", "Operations", "API", "Documents", "CLinux", "ArgumentParser",
        ]),
        "Server": system.union(foundation).union([
            "Domain", "Operations", "API", "Hummingbird", "HummingbirdCore", "HTTPTypes", "Logging", "NIOCore",
            "ServiceLifecycle",
            "UnixSignals",
        ]),
        // F5
        "qala": ["Commands"],
        "qala-wal": ["WALClient", "Glibc"],
        "qalad": ["Operations", "API", "Server", "ArgumentParser", "Glibc"],
        // For tests alone.
        "TestSupport": system.union(foundation).union(["Domain", "Vault", "CLinux", "Testing"]),
    ]

    /// System libraries and C code: module maps, shims, no Swift.
    static let cTargets: Set = ["CZstd", "COpenSSL", "CQREncode", "CLinux", "CBlake3"]

    /// Targets whose every function is synchronous.
    static let synchronous: Set = ["Domain", "Vault"]

    static func check(_ file: SourceFile) -> [Finding] {
        guard file.path.hasPrefix("Sources/"), let target = file.target else { return [] }
        if cTargets.contains(target) {
            return [file.finding(1, "Swift in \(target): a C target holds a module map and shims only")]
        }
        guard let mayImport = allowed[target] else {
            return [file.finding(1, "the target \(target) is not in the import table")]
        }
        return imports(in: file.codeLines).filter { !mayImport.contains($0.module) }
            .map { file.finding($0.line, "\(target) must not import \($0.module)") }
    }

    /// Every import of a source, whatever attributes, access level and kind of declaration stand with it.
    static func imports(in codeLines: [Substring]) -> [(line: Int, module: String)] {
        let kinds: Set = ["typealias", "struct", "class", "enum", "protocol", "let", "var", "func"]
        return Rules.numbered(codeLines).flatMap { number, line in
            line.split(separator: ";").compactMap { statement -> (line: Int, module: String)? in
                var words = statement.split(whereSeparator: \.isWhitespace)
                while let first = words.first, first != "import" {
                    let isModifier =
                        first.hasPrefix("@")
                        || ["package", "public", "internal", "private", "fileprivate"].contains(first)
                    guard isModifier else { return nil }
                    words.removeFirst()
                }
                words = Array(words.dropFirst())
                if let kind = words.first, kinds.contains(String(kind)) { words.removeFirst() }
                guard let name = words.first else { return nil }
                return (number, String(name.prefix { $0 != "." }))
            }
        }
    }
}
