import API
import ArgumentParser
import Domain
import Operations

struct AuditGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Show, verify and hand out the audit log of this host.",
        discussion: """
            Bu hostun audit jurnalını göstərir, yoxlayır və təqdim edir.

            Examples:
              qala audit show --last 20
              qala audit verify
            """,
        subcommands: [
            AuditShow.self, AuditVerify.self, AuditProve.self, AuditCheckpointCommand.self, AuditExport.self,
            AuditKeyCommand.self,
        ])
}

struct AuditShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "List the entries of the audit log, oldest first.",
        discussion: """
            Audit jurnalının qeydlərinin siyahısı, köhnədən yeniyə.

            PREFIX is the beginning of an operation: archive, archive.read, key. TEXT is a
            part of the actor: a name, user:1000/, service:qalad. DATE is a day or a time
            as in `qala ls`, from its first second on.

            Whose account may not read the state of this host is answered by the daemon
            (--socket), by their role; --last then reaches to 1000.

            Examples:
              qala audit show --last 20
              qala audit show --operation archive.restore --since 2026-11-01
              qala audit show --actor root --json
            """)

    @Option(help: ArgumentHelp("From this number on; numbers count from 0.", valueName: "n"))
    var from: UInt64?

    @Option(help: ArgumentHelp("Only the newest so many of those that match.", valueName: "n"))
    var last: Int?

    @Option(help: ArgumentHelp("Only operations that begin so.", valueName: "prefix"))
    var operation: String?

    @Option(help: ArgumentHelp("Only actors with this in their name.", valueName: "text"))
    var actor: String?

    @Option(help: ArgumentHelp("Only from this day or time on.", valueName: "date"))
    var since: String?

    @OptionGroup var socket: SocketOption
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let last, !(1...ShowAuditLog.Request.mostLast).contains(last) {
            throw ValidationError("--last is a number from 1 to \(ShowAuditLog.Request.mostLast).")
        }
    }

    func run() throws {
        try common.perform { session in
            let request = ShowAuditLog.Request(
                from: from, last: last, operation: operation, actor: actor, since: since)
            let client = try socket.reader(session)
            let count = try session.stream(under: "entries") { each in
                guard let client else { return try ShowAuditLog.run(request, at: session.workplace(), each: each) }
                try Self.ask(client, request, each)
            } line: { (row: AuditRow) in
                Rendering.auditRow(row)
            }
            if count == 0, !session.isJSON { try session.out.line(AuditWords.nothing(session.language)) }
            return .done
        }
    }

    /// Page by page, as the daemon gives them.
    private static func ask(
        _ client: ControlClient, _ request: ShowAuditLog.Request, _ each: (AuditRow) throws -> Void
    ) throws {
        // A day is one of this person's zone, not the daemon's.
        let since = request.since.map { RegisterFilter.instant($0) ?? $0 }
        var next = request.from.map { "\($0)" }
        repeat {
            let query = ControlPath.query([
                ("from", next), ("last", request.last.map { "\($0)" }), ("operation", request.operation),
                ("actor", request.actor), ("since", since),
            ])
            let page = try client.get(ControlPath.audit + query, as: AuditPage.self)
            for row in page.entries { try each(row) }
            next = page.next.map { "\($0)" }
        } while next != nil
    }
}

struct AuditVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify that no entry was altered, dropped or moved.",
        discussion: """
            Heç bir qeydin dəyişdirilmədiyini, silinmədiyini, yerinin dəyişmədiyini yoxlayır.

            The whole log is read. What is wrong is listed entry by entry, and the exit
            status is then 13. With --checkpoint the log must also contain what that
            checkpoint, kept elsewhere, has signed. With --pack a pack is verified
            instead, for which neither the log nor its host is needed.

            Examples:
              qala audit verify
              qala audit verify --checkpoint /media/usb/checkpoint.txt
              qala audit verify --pack audit.pack --trust "$KEY"
            """)

    @Option(
        help: ArgumentHelp("A checkpoint that was kept elsewhere.", valueName: "file"), completion: .file())
    var checkpoint: String?

    @Option(help: ArgumentHelp("Verify this pack instead of the log.", valueName: "file"), completion: .file())
    var pack: String?

    @Option(help: ArgumentHelp("With --pack: the key, as the host's `qala audit key` told it.", valueName: "keytext"))
    var trust: String?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if pack == nil, trust != nil { throw ValidationError("--trust goes with --pack.") }
    }

    func run() throws {
        try common.perform { session in
            let known = try checkpoint.map(session.absolute)
            if let pack {
                let report = try VerifyAuditLog.pack(
                    try session.absolute(pack), key: trust, since: known, interrupt: ProcessState.interrupt)
                try session.answer(report) { Rendering.auditPack(report, session.language) }
                return .done
            }
            let report = try VerifyAuditLog.run(comparedWith: known, session.language, at: session.workplace())
            session.tell("entries", "\(report.entries)")
            session.tell("findings", "\(report.findings.count + report.omitted)")
            try session.answer(report) { Rendering.auditCheck(report, session.language) }
            return report.findings.isEmpty ? .done : .damaged
        }
    }
}

struct AuditProve: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prove",
        abstract: "Write the proof that an entry is in the audit log.",
        discussion: """
            Qeydin audit jurnalında olduğunun sübutunu yazır.

            One JSON object: the entry, its audit path in the Merkle tree, and the signed
            checkpoint that it leads to. Whoever has the key of the log checks it by the
            format's document, without this program.

            Examples:
              qala audit prove 1024 > proof.json
            """)

    @Argument(help: ArgumentHelp("Number of the entry.", valueName: "n"))
    var number: UInt64

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let proof = try TakeFromAuditLog.proof(number, at: session.workplace())
            // A proof is for programs, with or without --json.
            try session.out.bytes(try JSONText.encode(proof))
            try session.out.line("")
            return .done
        }
    }
}

struct AuditCheckpointCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint",
        abstract: "Write the newest signed checkpoint of the audit log.",
        discussion: """
            Audit jurnalının ən yeni imzalanmış nəzarət nöqtəsini yazır.

            A few hundred bytes that later tell whether anything before was changed. Keep
            it at another place. Beside a daemon it is the one that the daemon signed
            last, a few minutes ago at most.

            Examples:
              qala audit checkpoint > /media/usb/checkpoint.txt
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try TakeFromAuditLog.checkpoint(at: session.workplace())
            if session.isJSON {
                try session.answer(report) { [] }
            } else {
                try session.out.bytes(Array(report.note.utf8))
            }
            return .done
        }
    }
}

struct AuditExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a pack of entries that an auditor checks elsewhere.",
        discussion: """
            Auditorun başqa yerdə yoxlaya biləcəyi qeydlər paketini yazır.

            Without --from the pack begins at the first entry, or where the checkpoint of
            the pack before ended; without --until it goes as far as the newest
            checkpoint. scripts/audit-check verifies it without Qala.

            Examples:
              qala audit export --to audit.pack
              qala audit export --to november.pack --since-checkpoint october.txt
              qala audit export --to some.pack --from 1000 --until 1999
            """)

    @Option(help: ArgumentHelp("Write the pack to this file, replacing it.", valueName: "file"), completion: .file())
    var to: String

    @Option(help: ArgumentHelp("Number of the first entry.", valueName: "n"))
    var from: UInt64?

    @Option(help: ArgumentHelp("Number of the last entry.", valueName: "n"))
    var until: UInt64?

    @Option(
        help: ArgumentHelp(
            "A checkpoint that the receiver has: the pack proves that the log only grew since.", valueName: "file"),
        completion: .file())
    var sinceCheckpoint: String?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let from, let until, until < from { throw ValidationError("--until is a number from --from on.") }
    }

    func run() throws {
        try common.perform { session in
            let report = try TakeFromAuditLog.pack(
                to: try session.absolute(to), from: from, until: until,
                since: try sinceCheckpoint.map(session.absolute), at: session.workplace())
            session.tell("first", "\(report.first)")
            session.tell("entries", "\(report.count)")
            try session.answer(report) { [AuditWords.exported(session.language, report)] }
            return .done
        }
    }
}

struct AuditKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Show the name of the audit log and the key that signs it.",
        discussion: """
            Audit jurnalının adını və onu imzalayan açarı göstərir.

            The key is public: give it to those who will check packs. With --renew a new
            signing key takes the place of one that is lost; the old one counts for what
            it signed, and the change is an entry. No daemon may run meanwhile.

            Examples:
              qala audit key
              qala audit key --json
              qala audit key --renew
            """)

    @Flag(help: "Go on with a new key.")
    var renew = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let report = try TakeFromAuditLog.key(renewing: renew, at: session.workplace())
            try session.answer(report) { Rendering.auditKey(report, session.language) }
            return .done
        }
    }
}

// MARK: What is recorded

extension AuditShow: AuditedCommand {
    var act: CommandAct? {
        CommandAct(
            .read, "audit.show", "",
            [
                from.map { ActDetail("from", "\($0)") }, last.map { ActDetail("last", "\($0)") },
                operation.map { ActDetail("operation", $0) }, actor.map { ActDetail("actor", $0) },
                since.map { ActDetail("since", $0) },
            ])
    }
}

extension AuditVerify: AuditedCommand {
    /// A pack is checked without anything of this host.
    var act: CommandAct? { pack == nil ? CommandAct(.read, "audit.verify") : nil }
}

extension AuditProve: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "audit.prove", "\(number)") }
}

extension AuditCheckpointCommand: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "audit.checkpoint") }
}

extension AuditExport: AuditedCommand {
    var act: CommandAct? { CommandAct(.read, "audit.export", to) }
}

extension AuditKeyCommand: AuditedCommand {
    /// A new key is an entry that it makes itself.
    var act: CommandAct? { renew ? nil : CommandAct(.read, "audit.key") }
}
