package import Domain
import Glibc

/// The output of a program as one file, `@command/NAME/FILE`.
///
/// It counts only when the program ended with 0 within its time and gave at least the bytes that the policy demands: a
/// program that prints half and ends well must not pass for a dump.
package final class CommandCollector: DataCollector {
    private let source: CommandSource
    private let started: Timestamp
    private let isInterrupted: () -> Bool
    private var given = 0
    private var content: CommandOutput?
    package let problems = ProblemLog()

    package init(_ source: CommandSource, started: Timestamp, isInterrupted: @escaping () -> Bool) {
        self.source = source
        self.started = started
        self.isInterrupted = isInterrupted
    }

    package func next() throws -> DataItem? {
        defer { given += 1 }
        let root = DataSource.command(source).root
        switch given {
        case 0: return .entry(.made(root, kind: .directory, modified: started), content: nil)
        case 1:
            let output = CommandOutput(source, isInterrupted)
            content = output
            return .entry(.made("\(root)/\(source.file)", modified: started), content: output)
        default: return nil
        }
    }

    package func close() { content?.close() }

    package var facts: SourceFacts {
        var facts = SourceFacts(kind: DataSource.Kind.command.rawValue, name: source.name)
        facts.isWhole = content?.isWhole ?? false
        if let count = content?.count { facts.facts["bytes"] = "\(count)" }
        facts.facts["program"] = source.command.first
        return facts
    }
}

/// The output of the program, which starts when the first of it is asked for.
private final class CommandOutput: DataContent {
    private let source: CommandSource
    private let isInterrupted: () -> Bool
    private var program: RunningProgram?
    private(set) var count: UInt64 = 0
    private(set) var isWhole = false

    init(_ source: CommandSource, _ isInterrupted: @escaping () -> Bool) {
        self.source = source
        self.isInterrupted = isInterrupted
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws -> Int {
        guard !isWhole else { return 0 }
        let running =
            try program
            ?? RunningProgram(
                source.command, timeout: Double(source.timeout.seconds), timeoutText: source.timeout.text(in: .english),
                isInterrupted: isInterrupted)
        program = running
        let read = try running.read(into: buffer)
        count += UInt64(read)
        guard read < buffer.count else { return read }
        guard count >= UInt64(source.minimumBytes) else {
            throw CollectorError(
                .invalidInput,
                "\(source.command.first ?? "") gave \(count) bytes, and at least \(source.minimumBytes) are demanded",
                hint: "See what the program printed; `minimum-size` says what is demanded.")
        }
        isWhole = true
        return read
    }

    func close() { program?.close() }
}
