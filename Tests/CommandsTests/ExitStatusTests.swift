import API
import ArgumentParser
import Domain
import Foundation
import Operations
import Testing

@testable import Commands

@Suite("Exit statuses and JSON")
struct ExitStatusTests {
    @Test("Every kind of failure has a status of its own, and none is success or partial")
    func kinds() {
        let all = FailureKind.allCases.map { ExitStatus($0) }
        #expect(Set(all).count == FailureKind.allCases.count)
        #expect(!all.contains(.done) && !all.contains(.partial))
        for status in all { #expect(status.http >= 400) }
    }

    @Test("The table in the documents is the table in the code")
    func table() throws {
        let text = try String(contentsOf: Repository.root.appending(path: "docs/commands.md"), encoding: .utf8)
        let rows = text.split(separator: "\n").filter { $0.wholeMatch(of: #/\| \d+ \|.*\|/#) != nil }.map(String.init)
        #expect(rows == ExitStatus.allCases.map { "| \($0.rawValue) | \($0.name) | \($0.meaning) |" })
    }

    @Test("The help names every status")
    func help() {
        let help = Qala.helpMessage(columns: 4000).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        for status in ExitStatus.allCases { #expect(help.contains("\(status.rawValue) \(status.name)")) }
    }

    @Test("An error is one JSON object of a fixed shape")
    func errorBody() throws {
        let bytes = try JSONText.encode(ErrorBody(kind: .wrongKey, message: "m/n", hint: "h"))
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == #"{"error":{"code":12,"hint":"h","kind":"wrongKey","message":"m/n"}}"#)
    }

    @Test("A report says beside its fields whether it is partial")
    func partial() throws {
        var report = ArchiveReport()
        report.problemCount = 1
        let bytes = try JSONText.encode(PartialReport(report, partial: report.isPartial))
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.contains(#""partial":true"#) && text.contains(#""problemCount":1"#))
        let empty = try JSONText.encode(ArchivesReply(.init(archives: [])))
        #expect(String(decoding: empty, as: UTF8.self) == #"{"archives":[],"offline":[]}"#)
    }

    @Test(
        "Every command is documented, and the help of each, and of each group, has an example and an Azerbaijani line")
    func documented() throws {
        let text = try String(contentsOf: Repository.root.appending(path: "docs/commands.md"), encoding: .utf8)
        for name in Self.leaves(Qala.self, ["qala"]) {
            #expect(text.contains("`\(name)"), "docs/commands.md lacks \(name)")
        }
        for command in Self.commands(Qala.self) {
            #expect(command.configuration.discussion.contains("Examples:\n  qala "), "\(command)")
            #expect(command.configuration.discussion.unicodeScalars.contains { $0.value > 0x7F }, "\(command)")
        }
    }

    @Test("Every example of the help is a command line that the parser takes, and that of a group is of the group")
    func examples() throws {
        for command in Self.commands(Qala.self) {
            let lines = command.configuration.discussion.split(separator: "\n").filter { $0.hasPrefix("  qala ") }
            for line in lines {
                let words = Self.words(String(line))
                #expect(throws: Never.self, "\(line)") { _ = try Qala.parseAsRoot(Array(words.dropFirst())) }
            }
            guard !command.configuration.subcommands.isEmpty, let name = command.configuration.commandName else {
                continue
            }
            #expect(name == "qala" || lines.allSatisfy { $0.contains(" \(name)") }, "\(command)")
        }
    }

    /// As a shell divides them, up to where the output goes somewhere else.
    private static func words(_ line: String) -> [String] {
        var (words, word, quote) = ([String](), String?.none, Character?.none)
        for character in line {
            if character == quote {
                quote = nil
            } else if quote == nil, character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if quote == nil, character == " " {
                if let word { words.append(word) }
                word = nil
            } else if quote == nil, character == "|" || character == ">" {
                return words
            } else {
                word = (word ?? "") + String(character)
            }
        }
        return words + (word.map { [$0] } ?? [])
    }

    @Test("The manual page is that of this command line")
    func manual() throws {
        let page = try String(contentsOf: Repository.root.appending(path: "docs/man/qala.1"), encoding: .utf8)
        #expect(page == (try ManualPage.text()), "run `qala manual > docs/man/qala.1`")
    }

    private static func commands(_ command: any ParsableCommand.Type) -> [any ParsableCommand.Type] {
        [command] + command.configuration.subcommands.flatMap { commands($0) }
    }

    private static func leaves(_ command: any ParsableCommand.Type, _ path: [String]) -> [String] {
        let children = command.configuration.subcommands
        if children.isEmpty { return [path.joined(separator: " ")] }
        return children.flatMap { child in
            leaves(child, path + [child.configuration.commandName ?? "\(child)".lowercased()])
        }
    }
}
