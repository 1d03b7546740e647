import ArgumentParser
import Domain
import Foundation
import Glibc
import Testing

@testable import Commands

@Suite("Errors in Azerbaijani")
struct ErrorWordsTests {
    @Test("Each row is a sentence of the sources, and both of its texts take the same arguments")
    func rows() throws {
        let literals = try SourceLiterals.ofSources(except: "ErrorWords")
        try #require(literals.templates.count > 1000)
        var seen: Set<String> = []
        for row in ErrorWords.rows {
            #expect(seen.insert(row.en).inserted, "twice: \(row.en)")
            #expect(!row.az.isEmpty && row.az != row.en, "\(row.en)")
            for mark in (1...9).map({ "%\($0)" }) {
                #expect(row.en.contains(mark) == row.az.contains(mark), "\(row.en)")
            }
            let parts = ErrorWords.parts(of: row.en)
            let weight = parts.reduce(0) { $0 + $1.count }
            let text = parts.joined(separator: "§")
            let isSaid = literals.templates.contains { template in
                template.reduce(0) { $0 + $1.count } * 2 >= weight
                    && ErrorWords.arguments(of: text, in: template) != nil
            }
            let begins = parts[0].trimmingCharacters(in: .whitespaces)
            #expect(isSaid || begins.count >= 8 && literals.whole.contains(begins), "nothing says: \(row.en)")
        }
    }

    @Test("What varies keeps its place, a text within a text is told too, and what is not known is left alone")
    func filling() {
        let inner = "no key of this vault opens with that passphrase"
        let told = ErrorWords.azerbaijani("the catalog of this host knows none of 3 archives: \(inner)")
        #expect(
            told == "bu hostun kataloqunda 3 arxivin heç biri yoxdur: bu parol ifadəsi anbarın heç bir açarını açmır")
        #expect(ErrorWords.azerbaijani("x is not what was signed, or cannot be read")?.contains("imzalanmış") == true)
        #expect(ErrorWords.azerbaijani("3fa9 archives begin with %1")?.hasSuffix("3fa9") == true)
        #expect(ErrorWords.azerbaijani("something that nobody says") == nil)
        #expect(ErrorWords.azerbaijani("") == nil)
    }

    /// Command lines that the parser of arguments refuses, one for each sentence that it has for that.
    private static let malformed = [
        ["volume", "lost"], ["volume", "lost", "x"], ["volume", "lost", "x", "--reason"], ["nothing"], ["volume", "x"],
        ["ls", "a", "b", "c"], ["jobs", "--limit", "x"], ["jobs", "--limti", "3"], ["jobs", "--something-else"],
        ["volume", "list", "--overdue=1"], ["volume", "list", "--language", "fr"], ["audit", "prove", "x"],
        ["key", "add", "spoon"], ["register", "media", "list", "--limit", "0"],
        ["dispose", "--reason", "x"], ["register", "runs", "list", "--open"],
    ]

    @Test("What the parser of arguments says of a malformed command line is known, each of its sentences, line by line")
    func parser() throws {
        var said: [String] = []
        for line in Self.malformed {
            let error = try #require(throws: (any Error).self) { _ = try Qala.parseAsRoot(line) }
            let lines = Qala.fullMessage(for: error).split(separator: "\n").map { String($0) }
            for text in lines {
                let told = CommandLineTool.spoken(text, .azerbaijani)
                #expect(told != text, "\(line): \(text)")
                #expect(CommandLineTool.spoken(text, .english) == text)
            }
            said += lines
            let message = Qala.message(for: error)
            let told = CommandLineTool.spoken(message, .azerbaijani)
            #expect(told != message && !message.isEmpty, "\(line): \(message)")
            #expect(CommandLineTool.spoken(lines[0], .azerbaijani) == "Xəta: " + told, "\(line)")
            said.append(message)
        }
        for row in ErrorWords.parserRows {
            let parts = ErrorWords.parts(of: row.en)
            #expect(said.contains { ErrorWords.arguments(of: $0, in: parts) != nil }, "nobody says: \(row.en)")
            for mark in (1...9).map({ "%\($0)" }) { #expect(row.en.contains(mark) == row.az.contains(mark)) }
        }
        let asked = try #require(throws: (any Error).self) { _ = try Qala.parseAsRoot(["volume", "lost"]) }
        #expect(CommandLineTool.spoken(Qala.message(for: asked), .azerbaijani) == "'<id>' yazılmayıb")
    }

    @Test("The language of an error of the command line is that of its option, in either form")
    func language() {
        #expect(CommandLineTool.language(of: ["ls", "--language", "az"]) == .azerbaijani)
        #expect(CommandLineTool.language(of: ["ls", "--language=az", "x"]) == .azerbaijani)
        #expect(CommandLineTool.language(of: ["ls", "--language=en"]) == .english)
    }

    @Test(
        "A malformed command line is told in Azerbaijani with 64, as text and as JSON", .enabled(if: qalaBinary != nil))
    func malformedLine() throws {
        let world = try World(inMemory: true)
        defer { world.remove() }
        let plain = try world.qala(["volume", "lost", "3fa9"], more: ["QALA_LANGUAGE": "az"])
        #expect(plain.status == 64 && plain.output.isEmpty)
        #expect(plain.errorText.hasPrefix("Xəta: '--reason <text>' yazılmayıb\nİzah:  --reason"), "\(plain.errorText)")
        #expect(plain.errorText.contains("\nYazılışı: qala volume lost <id>"), "\(plain.errorText)")
        let json = try world.qala("jobs", "--limit", "x", "--language=az", "--json")
        #expect(json.status == 64 && json.errorText.contains("'x' qiyməti '--limit <n>' üçün yararsızdır"))
        #expect(json.errorText.contains("`qala --help` icra edin."), "\(json.errorText)")
        let help = try world.qala(["volume", "lost", "--help"], more: ["QALA_LANGUAGE": "az"])
        #expect(help.status == 0 && help.outputText.contains("USAGE: qala volume lost"), "\(help.outputText)")
    }

    @Test("Bad input of the usual commands is told in Azerbaijani, message and hint", .enabled(if: qalaBinary != nil))
    func commands() throws {
        let world = try World(inMemory: true)
        defer { world.remove() }
        try world.write("tree/a.txt", "one\n")
        func error(_ arguments: [String], _ language: String) throws -> (status: Int32, message: String, hint: String) {
            let refused = try world.qala(
                arguments + ["--json", "--language", language], more: ["QALA_SOCKET": world.path("none")])
            let body = try JSONSerialization.jsonObject(with: Data(refused.errors)) as? [String: Any]
            let error = try #require(body?["error"] as? [String: Any], "\(arguments): \(refused.errorText)")
            return (
                refused.status, try #require(error["message"] as? String), try #require(error["hint"] as? String)
            )
        }
        func check(_ lines: [[String]]) throws {
            for line in lines {
                let (english, azerbaijani) = (try error(line, "en"), try error(line, "az"))
                #expect(english.status == azerbaijani.status && english.status != 0, "\(line)")
                #expect(english.message != azerbaijani.message, "\(line): \(azerbaijani.message)")
                #expect(english.hint != azerbaijani.hint && !azerbaijani.hint.isEmpty, "\(line): \(azerbaijani.hint)")
            }
        }
        try check([["archives"], ["find", "x"], ["restore", "latest", "--to", "back"]])
        #expect(try world.qala("init", "--kit", "kit.txt").status == 0)
        try check([
            ["restore", "latest", "--to", "back"], ["dispose", "ffff", "--reason", "x", "--request", "r.json"],
        ])
        #expect(try world.qala("archive", "tree").status == 0)
        try world.write("full/file", "x")
        try check([
            ["restore", "ffffffff", "--to", "back"], ["restore", "zz", "--to", "back"],
            ["restore", "latest:none", "--to", "back"], ["restore", "1999-01-01", "--to", "back"],
            ["restore", "latest", "/nowhere", "--to", "back"], ["restore", "latest", "/a/../b", "--to", "back"],
            ["cat", "latest:/nowhere"], ["history", "/nowhere"], ["archive", "nowhere"],
            ["dispose", "--approve", "nowhere"], ["dispose", "--expired", "--reason", "x", "--request", "r.json"],
            ["hold", "release", "ffff", "--reason", "x", "--request", "r.json"],
            ["volume", "create", "disk", "--shelf", "", "--secret", "s"],
            ["volume", "create", "full", "--shelf", "B", "--secret", "s"],
            ["volume", "create", "disk", "--shelf", "B", "--secret", "s", "--reverify", "soon"],
            ["volume", "checkout", "ffff", "--to", "x"], ["volume", "pull-list", "ffffffff"],
            ["volume", "verify", "nowhere"], ["volume", "label", "ffff"],
            ["policy", "simulate", "--until", "2100-01-01"],
            ["policy", "apply", "--roll-back", "3", "--author", "a", "--reason", "x"],
            ["policy", "apply", "--request", "nowhere", "--approval", "nowhere"],
        ])
    }
}

/// What stands in quotes in the sources, with what is filled in cut out.
private struct SourceLiterals {
    /// The parts between what is filled in.
    private(set) var templates: [[String]] = []
    private(set) var whole: Set<String> = []

    static func ofSources(except name: String) throws -> SourceLiterals {
        var found = SourceLiterals()
        let root = Repository.root.appending(path: "Sources")
        let files = try #require(FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
        for case let file as URL in files where file.pathExtension == "swift" {
            if file.lastPathComponent.hasPrefix(name) { continue }
            found.read(Array(try String(contentsOf: file, encoding: .utf8).utf8))
        }
        return found
    }

    private mutating func read(_ text: [UInt8]) {
        var at = 0
        while at < text.count {
            // A comment may hold one quote.
            if text[at...].starts(with: "//".utf8) {
                at = text[at...].firstIndex(of: 0x0A) ?? text.count
            } else if text[at] == 0x22 {
                at = take(text, at + 1)
            } else {
                at += 1
            }
        }
    }

    /// Reads the literal whose text begins at `start`, and those that are added to it; returns where it went on.
    private mutating func take(_ text: [UInt8], _ start: Int) -> Int {
        var parts: [[UInt8]] = [[]]
        var at = start
        while at < text.count, text[at] != 0x0A {
            let byte = text[at]
            if byte == 0x5C, at + 1 < text.count, text[at + 1] == 0x28 {
                at = Self.afterParentheses(text, at + 2)
                parts.append([])
            } else if byte == 0x5C, at + 1 < text.count {
                parts[parts.count - 1].append(text[at + 1])
                at += 2
            } else if byte != 0x22 {
                parts[parts.count - 1].append(byte)
                at += 1
            } else {
                at += 1
                guard let next = Self.afterPlus(text, at) else { break }
                at = next
                guard next < text.count, text[next] == 0x22 else {
                    parts.append([])
                    break
                }
                at += 1
            }
        }
        let template = parts.map { String(decoding: $0, as: UTF8.self) }
        templates.append(template)
        if template.count == 1 { whole.insert(template[0]) }
        return at
    }

    private static func afterParentheses(_ text: [UInt8], _ start: Int) -> Int {
        var (depth, at) = (1, start)
        while at < text.count, depth > 0 {
            if text[at] == 0x28 { depth += 1 }
            if text[at] == 0x29 { depth -= 1 }
            at += 1
        }
        return at
    }

    /// Behind `+` and spaces; nil where nothing is added.
    private static func afterPlus(_ text: [UInt8], _ start: Int) -> Int? {
        func skip(_ from: Int) -> Int { text[from...].firstIndex { $0 != 0x20 && $0 != 0x0A } ?? text.count }
        let plus = skip(start)
        guard plus < text.count, text[plus] == 0x2B else { return nil }
        return skip(plus + 1)
    }
}
