import API
import ArgumentParser
import Domain
import Operations

struct VaultGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vault",
        abstract: "What is stored, and the repair of what can be made anew.",
        discussion: """
            Nələrin saxlanıldığı; yenidən qurula bilənlərin təmiri.

            Examples:
              qala vault stats
              qala vault rebuild-catalog
            """,
        subcommands: [VaultStatsCommand.self, RebuildIndex.self, RebuildCatalog.self])
}

struct VaultStatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Show what the vault holds.",
        discussion: """
            Anbarda nələr olduğunu göstərir.

            Examples:
              qala vault stats
              qala vault stats --json
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let workplace = try session.workplace()
            let stats = try MaintainVault.stats(at: workplace)
            try session.answer(stats) { Rendering.stats(stats, vault: workplace.vaultPath, session.language) }
            return .done
        }
    }
}

struct RebuildIndex: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild-index",
        abstract: "Make the index anew from the packs.",
        discussion: """
            İndeksi paketlərdən yenidən qurur.

            Examples:
              qala vault rebuild-index
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let count = try session.showingProgress { try MaintainVault.rebuildIndex(at: session.workplace()) }
            try session.answer(RebuiltReply(rebuilt: ["segments": count])) {
                [Text.indexRebuilt(session.language, [Readable.count(count)])]
            }
            return .done
        }
    }
}

struct RebuildCatalog: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild-catalog",
        abstract: "Make the catalog anew from the archives.",
        discussion: """
            Kataloqu arxivlərdən yenidən qurur.

            Examples:
              qala vault rebuild-catalog
            """)

    @OptionGroup var common: CommonOptions

    func run() throws {
        try common.perform { session in
            let count = try session.showingProgress { try MaintainVault.rebuildCatalog(at: session.workplace()) }
            try session.answer(RebuiltReply(rebuilt: ["archives": count])) {
                [Text.catalogRebuilt(session.language, [Readable.count(count)])]
            }
            return .done
        }
    }
}
