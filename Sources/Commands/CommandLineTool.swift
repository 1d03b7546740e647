import API
import ArgumentParser
import Domain
import Glibc
import Operations
import Synchronization

// The `qala` command.
//
// 1. A command decodes its arguments, calls one operation and encodes the result; it decides nothing itself.
// 2. Standard output carries the result and nothing else; progress, warnings and errors go to standard error.
// 3. The exit status comes from the one table in `API`; it is 0 only when everything asked for was done.
// 4. No secret comes from an argument, and none is shown except a recovery kit on the terminal.
// 5. Text of unknown origin reaches a terminal only with its control characters made visible.

package enum CommandLineTool {
    /// Runs the command line of the process and ends it.
    package static func main() -> Never {
        Interrupts.watch(ProcessState.interrupt) {
            let chosen = ProcessState.speaksAzerbaijani.load(ordering: .relaxed) ? Language.azerbaijani : .english
            let notice = "\n" + Text.stopping(chosen) + "\n"
            _ = Array(notice.utf8).withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
        }
        let arguments = Array(CommandLine.arguments.dropFirst())
        if let status = WALGroup.status(of: arguments) { exit(status) }
        // Before anything is parsed: what follows sees text only.
        if let refusal = RawText.refusal(language(of: arguments)) { exit(report(refusal, arguments)) }
        exit(run(arguments))
    }

    /// As the options would say once they were parsed.
    static func language(of arguments: [String]) -> Language {
        let asked = arguments.indices.compactMap { at in
            let parts = arguments[at].split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.first == "--language" else { return String?.none }
            return parts.count > 1 ? parts[1] : arguments.dropFirst(at + 1).first
        }.first
        return asked.flatMap(Language.init(rawValue:)) ?? Language.chosen(by: SystemText.environment)
    }

    static func wantsJSON(_ arguments: [String]) -> Bool {
        arguments.prefix(while: { $0 != "--" }).contains("--json")
    }

    static func run(_ arguments: [String]) -> Int32 {
        do {
            var command = try Qala.parseAsRoot(arguments)
            CurrentAct.set(command)
            try command.run()
            return ExitStatus.done.rawValue
        } catch let code as ExitCode {
            return code.rawValue
        } catch is BrokenPipe {
            Interrupts.endByBrokenPipe()
        } catch let error as any Failure {
            // Of what works without a session, such as the manual; a malformed command line is no failure of ours.
            return report(error, arguments)
        } catch {
            return answer(error, arguments)
        }
    }

    /// Tells an error that no session told; returns the status, which is that of its kind unless `other` is given.
    static func report(_ error: any Failure, _ arguments: [String], _ other: Int32? = nil) -> Int32 {
        let status = other ?? ExitStatus(error.kind).rawValue
        let output = Output(descriptor: 2)
        let language = Self.language(of: arguments)
        do {
            if wantsJSON(arguments) {
                let body = ErrorBody(kind: error.kind, status: status, message: error.message, hint: error.hint)
                try output.bytes(try JSONText.encode(body))
                try output.line("")
            } else {
                let lines = Session.lines(kind: error.kind, message: error.message, hint: error.hint, language)
                for line in lines { try output.line(line) }
            }
            try output.flush()
        } catch {
            // Standard error is gone too: the status is what remains to be told.
        }
        return status
    }

    /// Help and generated scripts go to standard output; a malformed command line is an error of usage.
    private static func answer(_ error: any Error, _ arguments: [String]) -> Int32 {
        let isAnswer = Qala.exitCode(for: error).isSuccess
        let language = isAnswer ? .english : Self.language(of: arguments)
        let text = spoken(Qala.fullMessage(for: error), language)
        let output = Output(descriptor: isAnswer ? 1 : 2)
        do {
            if !isAnswer, wantsJSON(arguments) {
                let message = spoken(Qala.message(for: error), language)
                let body = ErrorBody(kind: .usage, message: message, hint: spoken("Run `qala --help`.", language))
                try output.bytes(try JSONText.encode(body))
                try output.line("")
            } else {
                try output.line(text)
            }
            try output.flush()
        } catch is BrokenPipe {
            Interrupts.endByBrokenPipe()
        } catch let error as any Failure where isAnswer {
            return report(error, arguments)
        } catch {
            return ExitStatus.failed.rawValue
        }
        return isAnswer ? ExitStatus.done.rawValue : ExitStatus.usage.rawValue
    }
}

extension CommandLineTool {
    /// What the parser says, line by line in the language of the person, as far as it is known in it.
    static func spoken(_ text: String, _ language: Language) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { Session.spoken(String($0), language) }.joined(separator: "\n")
    }
}

/// What belongs to the process and not to a value.
enum ProcessState {
    static let interrupt = InterruptFlag()
    /// A question stands on the terminal: progress must not write over it.
    static let isAsking = Atomic<Bool>(false)
    /// The language of the command that runs, for what is said beside it.
    static let speaksAzerbaijani = Atomic<Bool>(Language.chosen(by: SystemText.environment) == .azerbaijani)
}

/// The root of the command line.
struct Qala: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "qala",
        abstract: "Archives files so that it can be proven that they come back.",
        discussion: """
            Faylları elə arxivləşdirir ki, bərpa oluna bilməsi sübut edilsin.

            Environment: QALA_VAULT (the vault), QALA_STATE (this host's state),
            QALA_PASSPHRASE_FILE (a path or fd:N), QALA_KEY_FILE (a key file or recovery
            kit), QALA_LANGUAGE (az or en).

            Exit status: 0 done, 1 failed, 3 partial, 10 no vault, 11 in use, 12 wrong
            key, 13 damage found, 14 not found, 64 usage, 69 daemon down, 75 try again,
            77 denied, 78 bad policy, 130 interrupted.

            Examples:
              qala init --kit kit.txt
              qala archive /etc
              qala restore latest /etc/fstab --to back
            """,
        version: Version.text,
        subcommands: [
            Init.self, Archive.self, Run.self, Archives.self, Ls.self, Cat.self, Find.self, History.self, Diff.self,
            Restore.self, Verify.self, Tiers.self, ClockGroup.self, Move.self, Dispose.self, HoldGroup.self, Sweep.self,
            PolicyGroup.self,
            Status.self,
            Jobs.self, Cancel.self, Pause.self, Resume.self, Logs.self, AlarmGroup.self, RegisterGroup.self,
            Reconcile.self, SourceGroup.self, LogSegmentGroup.self, WALGroup.self, AuditGroup.self, VolumeGroup.self,
            Key.self,
            VaultGroup.self,
            Manual.self,
        ])
}
