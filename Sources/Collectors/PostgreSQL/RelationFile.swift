/// What the name of a file of the data directory says: `16384`, `16384_fsm`, `16384_init.2`, or a temporary `t3_16384`.
struct RelationFile: Equatable {
    enum Fork: String { case main, fsm, vm, `init` }

    /// The number that PostgreSQL calls the file node.
    var node: String
    var fork: Fork
    /// Which part of a relation of more than 1 GiB.
    var segment: UInt32
    var isTemporary = false

    /// Nil for a file that is no relation.
    init?(_ name: some StringProtocol) {
        var rest = Substring(name)
        if rest.first == "t", let end = rest.firstIndex(of: "_") {
            guard Self.isNumber(rest[rest.index(after: rest.startIndex)..<end]) else { return nil }
            isTemporary = true
            rest = rest[rest.index(after: end)...]
        }
        segment = 0
        if let dot = rest.firstIndex(of: ".") {
            let digits = rest[rest.index(after: dot)...]
            guard Self.isNumber(digits), let number = UInt32(digits) else { return nil }
            segment = number
            rest = rest[..<dot]
        }
        fork = .main
        if let line = rest.firstIndex(of: "_") {
            guard let found = Fork(rawValue: String(rest[rest.index(after: line)...])), found != .main else {
                return nil
            }
            fork = found
            rest = rest[..<line]
        }
        guard Self.isNumber(rest) else { return nil }
        node = String(rest)
    }

    private static func isNumber(_ text: Substring) -> Bool {
        (1...10).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    /// Whether a directory holds relations: relative to the data directory, or to the directory of a version in a tablespace.
    static func isHome(_ directory: ArraySlice<Substring>, inTablespace: Bool) -> Bool {
        let parts = Array(directory)
        if inTablespace { return parts.count == 1 && isNumber(parts[0]) }
        if parts.count == 1 { return parts[0] == "global" }
        return parts.count == 2 && parts[0] == "base" && isNumber(parts[1])
    }
}
