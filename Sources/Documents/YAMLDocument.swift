import Domain
import Yams

// Reads YAML of unknown origin into nodes with marks, within bounds.
//
// 1. At most `maximumBytes` are parsed; a text that is not UTF-8 is refused.
// 2. Aliases may repeat what an anchor holds, but so few of them are accepted that a chain of them cannot multiply
//    the document noticeably; the walk over the nodes counts every visit and ends at `maximumNodes`.
// 3. Scalars stay texts: whether `yes` is a boolean or a name is for the key to say, not for the parser.

enum YAMLDocument {
    static let maximumBytes = 1 << 20
    static let maximumAliases = 16
    static let maximumNodes = 65_536
    static let maximumDepth = 32

    /// The root of the only document in `bytes`.
    static func root(of bytes: [UInt8]) throws(DocumentProblem.Refusal) -> Node {
        guard bytes.count <= maximumBytes else { throw .init(1, 1, .tooLarge(limit: maximumBytes)) }
        guard var text = String(validating: bytes, as: UTF8.self) else { throw .init(1, 1, .notUTF8) }
        try checkMarks(bytes)
        // The parser keeps a pointer into the text: short texts would live in a register instead.
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let end = (line: lines.count, column: (lines.last?.unicodeScalars.count ?? 0) + 1)
        if text.utf8.count < 64 { text += String(repeating: "\n", count: 64) }
        text.makeContiguousUTF8()
        let root: Node?
        do {
            root = try compose(yaml: text, .basic, .default, .utf8)
        } catch {
            var refusal = refusal(error)
            // Lines that were added here are not the document's.
            if refusal.problem.line > end.line {
                refusal.problem.line = end.line
                refusal.problem.column = end.column
            }
            throw refusal
        }
        guard let root else { throw .init(1, 1, .empty) }
        var count = 0
        try checkSize(of: root, depth: 0, count: &count)
        return root
    }

    /// Counts what may be aliases, and the depth of flow collections, before the parser sees either: it recurses, and
    /// it hashes keys with all they hold. Quoted text is counted too; the limits leave room for that.
    private static func checkMarks(_ bytes: [UInt8]) throws(DocumentProblem.Refusal) {
        var line = 1
        var column = 1
        var aliases = 0
        var brackets = 0
        var before: UInt8 = 0x0A
        for (at, byte) in bytes.enumerated() {
            if byte == 0x2A, opensToken(before), at + 1 < bytes.count, isAnchorByte(bytes[at + 1]) {
                aliases += 1
                if aliases > maximumAliases { throw .init(line, column, .tooManyAliases(limit: maximumAliases)) }
            }
            if byte == 0x5B || byte == 0x7B { brackets += 1 }
            if byte == 0x5D || byte == 0x7D { brackets = max(0, brackets - 1) }
            if brackets > 4 * maximumDepth { throw .init(line, column, .tooDeep(limit: maximumDepth)) }
            if byte == 0x0A {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
            before = byte
        }
    }

    private static func opensToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x09, 0x0A, 0x0D, 0x20, 0x2C, 0x3A, 0x5B, 0x7B: true
        default: false
        }
    }

    private static func isAnchorByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D: true
        default: false
        }
    }

    private static func checkSize(of node: Node, depth: Int, count: inout Int) throws(DocumentProblem.Refusal) {
        count += 1
        let mark = node.mark
        guard count <= maximumNodes else {
            throw .init(mark?.line ?? 1, mark?.column ?? 1, .tooManyNodes(limit: maximumNodes))
        }
        guard depth <= maximumDepth else {
            throw .init(mark?.line ?? 1, mark?.column ?? 1, .tooDeep(limit: maximumDepth))
        }
        switch node {
        case .scalar, .alias: break
        case .sequence(let items):
            for item in items { try checkSize(of: item, depth: depth + 1, count: &count) }
        case .mapping(let pairs):
            for (key, value) in pairs {
                try checkSize(of: key, depth: depth + 1, count: &count)
                try checkSize(of: value, depth: depth + 1, count: &count)
            }
        }
    }

    private static func refusal(_ error: any Error) -> DocumentProblem.Refusal {
        guard let error = error as? YamlError else { return .init(1, 1, .syntax("\(error)")) }
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let where_ = context.map { " (\($0.text), line \($0.mark.line))" } ?? ""
            return .init(mark.line, mark.column, .syntax(problem + where_))
        case .duplicatedKeysInMapping(let duplicates, let context):
            return .init(context.mark.line, context.mark.column, .duplicateKey(duplicates.first ?? ""))
        case .reader(let problem, _, _, _):
            return .init(1, 1, .syntax(problem))
        case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            return .init(1, 1, .syntax("\(error)"))
        }
    }
}

extension DocumentProblem {
    /// A problem that makes further reading pointless.
    struct Refusal: Error {
        var problem: DocumentProblem

        init(_ line: Int, _ column: Int, _ reason: Reason) {
            problem = DocumentProblem(line: line, column: column, reason)
        }
    }
}
