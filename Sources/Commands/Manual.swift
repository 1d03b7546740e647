import API
import ArgumentParser
import FoundationEssentials

/// `qala manual`: the manual page, made from the same definitions that parse the command line.
struct Manual: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the manual page (roff) to standard output.",
        discussion: """
            Təlimat səhifəsini (roff) çıxışa yazır.

            Examples:
              qala manual | man -l -
            """)

    func run() throws {
        let out = Output(descriptor: 1)
        try out.bytes(Array(try ManualPage.text().utf8))
        try out.flush()
    }
}

/// The manual page as roff text.
package enum ManualPage {
    /// The parts of the parser's description of itself that the page shows.
    private struct Description: Decodable {
        struct Command: Decodable {
            var commandName: String
            var abstract: String?
            var discussion: String?
            var shouldDisplay: Bool?
            var subcommands: [Command]?
            var arguments: [Argument]?
        }

        struct Argument: Decodable {
            struct Name: Decodable {
                var kind: String
                var name: String
            }

            var kind: String
            var shouldDisplay: Bool?
            var isOptional: Bool?
            var isRepeating: Bool?
            var names: [Name]?
            var valueName: String?
            var abstract: String?
        }

        var command: Command
    }

    /// Options that stand once, in their own section, and not in each command's.
    private static let common: Set<String> = [
        "vault", "state", "passphrase-file", "key-file", "json", "quiet", "language", "help", "version",
    ]

    package static func text() throws -> String {
        let description = try JSONDecoder().decode(Description.self, from: Data(Qala._dumpHelp().utf8))
        let root = description.command
        var lines = [
            "'\\\" -*- coding: utf-8 -*-", ".\\\" Made by `qala manual`; a test holds it to the command line.",
            ".TH QALA 1 \"\" \"qala \(Version.text)\" \"Qala manual\"",
            ".SH NAME", "qala \\- \(roff(root.abstract ?? ""))",
            ".SH SYNOPSIS", ".B qala", "\\fICOMMAND\\fR [\\fIOPTIONS\\fR]",
            ".SH DESCRIPTION",
        ]
        lines += paragraphs(root.discussion)
        lines.append(".SH COMMON OPTIONS")
        let sample = root.subcommands?.first { $0.commandName == "archives" }
        for argument in sample?.arguments ?? [] where isCommon(argument) { lines += option(argument) }
        lines.append(".SH COMMANDS")
        for command in root.subcommands ?? [] where command.shouldDisplay ?? true {
            lines += section(command, parents: ["qala"])
        }
        lines.append(".SH EXIT STATUS")
        for status in ExitStatus.allCases {
            lines += [".TP", ".B \(status.rawValue)", "\(roff(status.name)): \(roff(status.meaning))"]
        }
        lines += [
            ".SH SHELL COMPLETION",
            roff("qala --generate-completion-script bash > /etc/bash_completion.d/qala (also zsh and fish)."),
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    private static func section(_ command: Description.Command, parents: [String]) -> [String] {
        if command.commandName == "help" { return [] }
        let names = parents + [command.commandName]
        if let children = command.subcommands, !children.isEmpty {
            return children.flatMap { section($0, parents: names) }
        }
        let own = (command.arguments ?? []).filter { !isCommon($0) && $0.shouldDisplay ?? true }
        let operands = own.filter { $0.kind == "positional" }.map(operand)
        var lines = [".SS \(roff((names + operands).joined(separator: " ")))", roff(command.abstract ?? "")]
        lines += paragraphs(command.discussion).isEmpty ? [] : [".PP"] + paragraphs(command.discussion)
        for argument in own { lines += option(argument) }
        return lines
    }

    private static func operand(_ argument: Description.Argument) -> String {
        let name = (argument.valueName ?? "").uppercased() + (argument.isRepeating ?? false ? "..." : "")
        return argument.isOptional ?? false ? "[\(name)]" : name
    }

    private static func isCommon(_ argument: Description.Argument) -> Bool {
        (argument.names ?? []).contains { $0.kind == "long" && common.contains($0.name) }
    }

    private static func option(_ argument: Description.Argument) -> [String] {
        let names = (argument.names ?? []).map { ($0.kind == "short" ? "-" : "--") + $0.name }
        let value = argument.kind == "option" ? " " + (argument.valueName ?? "value").uppercased() : ""
        let title = names.isEmpty ? operand(argument) : names.joined(separator: ", ") + value
        return [".TP", ".B \(roff(title))", roff(argument.abstract ?? "")]
    }

    /// Blank lines divide paragraphs; lines that are indented stay as they are.
    private static func paragraphs(_ text: String?) -> [String] {
        guard let text else { return [] }
        var lines: [String] = []
        var isExample = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let isIndented = line.hasPrefix("  ")
            if isIndented != isExample { lines.append(isIndented ? ".nf" : ".fi") }
            isExample = isIndented
            lines.append(line.isEmpty ? ".PP" : roff(String(line)))
        }
        if isExample { lines.append(".fi") }
        return lines
    }

    /// Keeps roff from reading text as requests or escapes.
    private static func roff(_ text: String) -> String {
        let escaped = text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
        return escaped.hasPrefix(".") || escaped.hasPrefix("'") ? "\\&" + escaped : escaped
    }
}
