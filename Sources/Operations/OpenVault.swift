import Catalog
import Domain
import FoundationEssentials
import Vault

/// A vault opened for one operation, with the ways in which operations look at it.
final class OpenVault {
    let workplace: Workplace
    let vault: Vault
    private var unlocked: UnlockedReader?
    private var opened: VaultReader?
    private var loaded: NameCatalog?

    init(_ workplace: Workplace) throws {
        self.workplace = workplace
        try workplace.checkVaultIsNoFile()
        let store = try LocalStore(path: workplace.vaultPath)
        vault = try Vault(store: store, stateBase: workplace.statePath)
        workplace.witness.saw(vault: vault.vaultID.hex, at: workplace.vaultPath)
        if let denial = vault.host.denial { workplace.progress.noteDenial(denial.message) }
    }

    /// One that was opened before, and read on.
    convenience init(again workplace: Workplace, _ vault: Vault) {
        self.init(workplace, vault)
        workplace.witness.saw(vault: vault.vaultID.hex, at: workplace.vaultPath)
    }

    init(_ workplace: Workplace, _ vault: Vault) {
        self.workplace = workplace
        self.vault = vault
    }

    /// The reading key, asked for once.
    func unlock() throws -> UnlockedReader {
        if let unlocked { return unlocked }
        let found = try opening()
        unlocked = found
        return found
    }

    private func opening() throws -> UnlockedReader {
        switch workplace.unlocking {
        case .passphrase(let ask):
            // Nobody is asked for what cannot open anything.
            guard opensByPassphrase else {
                throw OperationError(
                    .wrongKey, "no key of this vault is opened by a passphrase",
                    hint: "Give a key file or the recovery kit with --key-file.")
            }
            var phrase = try ask()
            defer { Wipe.array(&phrase) }
            return try vault.unlock(passphrase: phrase)
        case .code(let ask):
            var code = try ask()
            defer { Wipe.array(&code) }
            return try vault.unlock(code: code)
        case .none:
            throw OperationError(
                .wrongKey, "a key is needed to read archives",
                hint:
                    "Give the passphrase with --passphrase-file or QALA_PASSPHRASE_FILE, or a key file or recovery kit with --key-file."
            )
        }
    }

    func reader() throws -> VaultReader {
        if let opened { return opened }
        let made = VaultReader(vault: vault, unlocked: try unlock())
        opened = made
        return made
    }

    private var opensByPassphrase: Bool { vault.log.keySet.readers.contains { $0.kind == .passphrase } }

    /// Whether a key was given that may open this vault, so that reading asks nobody.
    var hasKeyAtHand: Bool {
        switch workplace.unlocking {
        case .none: false
        case .code: true
        case .passphrase: unlocked != nil || !workplace.asksForKey && opensByPassphrase
        }
    }

    func catalog() throws -> NameCatalog {
        if let loaded { return loaded }
        StateLeftovers.remove(from: vault.host.directory)
        var made = try NameCatalog(directory: vault.host.catalogDirectory)
        if try settle(made) { made = try NameCatalog(directory: vault.host.catalogDirectory) }
        made.hidden = Set(vault.log.disposed.keys)
        loaded = made
        return made
    }

    /// Gives what a process left that died around its commit its place, or takes it away; whether anything changed.
    private func settle(_ catalog: NameCatalog) throws -> Bool {
        var isChanged = false
        for id in catalog.pending {
            if let archive = vault.log.archives.last(where: { $0.id == id }) {
                try catalog.complete(id, number: archive.number, time: archive.time)
                isChanged = true
            } else if vault.log.sessions[id]?.ending != .running {
                catalog.drop(id)
            }
        }
        return isChanged
    }

    /// The catalog of names, with every archive of the log in it where a key is at hand to read what is missing. Without
    /// one, what this host made itself can be searched; `missing` says how many archives cannot. Where that would be all,
    /// a key is asked for.
    func searchableCatalog() throws -> (catalog: NameCatalog, missing: Int) {
        let known = Set(try catalog().archives.map(\.id))
        let missing = vault.log.archives.filter { !known.contains($0.id) }
        if missing.isEmpty || !hasKeyAtHand && missing.count < vault.log.archives.count {
            return (try catalog(), missing.count)
        }
        do { _ = try reader() } catch let error as any Failure where !hasKeyAtHand && error.kind != .interrupted {
            throw OperationError(
                error.kind, "the catalog of this host knows none of \(missing.count) archives: \(error.message)",
                hint: "Give a key (--passphrase-file or --key-file) once, so that it can be rebuilt from the vault.")
        }
        _ = try CatalogBuilder.add(missing, to: self)
        loaded = nil
        return (try catalog(), 0)
    }

    /// What each archive says of itself: from the catalog where it is there, else from the vault when a key is at hand,
    /// or when `all` are needed.
    func headers(
        of archives: [ArchiveRecord]? = nil, all: Bool = false
    ) throws -> [(archive: ArchiveRecord, header: ArchiveHeader?)] {
        var known: [Digest: [UInt8]] = [:]
        for archive in try catalog().archives { known[archive.id] = archive.header }
        var list: [(archive: ArchiveRecord, header: ArchiveHeader?)] = []
        for archive in archives ?? vault.log.archives {
            if let json = known[archive.id],
                let header = try? JSONDecoder().decode(ArchiveHeader.self, from: Data(json))
            {
                list.append((archive, header))
            } else {
                list.append((archive, all || hasKeyAtHand ? try reader().header(of: archive) : nil))
            }
        }
        return list
    }

    /// Finds an archive by what an operator types: an id's first digits (4 at least), `latest`, `latest:POLICY`, or a time
    /// (the newest archive made at or before it).
    ///
    /// Where the vault does not hold it and a volume does, the error says which, and what to do.
    func archive(_ text: String) throws -> ArchiveRecord {
        let found: ArchiveRecord
        do { found = try named(text) } catch let error as any Failure where error.kind == .notFound {
            // The register of volumes is asked to be helpful; damage of it is told where it matters.
            guard let offline = try? offlineArchives(), let meant = Self.meant(text, in: offline) else { throw error }
            throw meant.absence(text)
        }
        workplace.witness.saw(archive: found.id.hex)
        return found
    }

    /// See ``archive(_:)``; of several that an id could mean none.
    private static func meant(_ text: String, in archives: [OfflineArchive]) -> OfflineArchive? {
        if text == "latest" { return archives.first }
        if text.hasPrefix("latest:") {
            let policy = text.dropFirst("latest:".count)
            return archives.first { $0.policy == String(policy) }
        }
        if let time = TimeText.parse(text) {
            return archives.first { TimeText.parse($0.time).map { $0 <= time } ?? false }
        }
        let found = archives.filter { text.utf8.count >= 4 && $0.id.hasPrefix(text.lowercased()) }
        return found.count == 1 ? found.first : nil
    }

    private func named(_ text: String) throws -> ArchiveRecord {
        let archives = vault.log.archives
        guard let newest = archives.last else {
            throw OperationError(.notFound, "the vault has no archives yet", hint: "Make one with `qala archive PATH`.")
        }
        if text == "latest" { return newest }
        if text.hasPrefix("latest:") {
            let policy = text.dropFirst("latest:".count)
            guard let found = try headers(all: true).last(where: { $0.header?.policy == String(policy) }) else {
                throw OperationError(
                    .notFound, "there is no archive of policy \(policy)", hint: "`qala archives` lists them.")
            }
            return found.archive
        }
        if let time = TimeText.parse(text) {
            guard let found = archives.last(where: { Int64(clamping: $0.time) <= time }) else {
                throw OperationError(
                    .notFound, "there is no archive from \(text) or before", hint: "`qala archives` lists them.")
            }
            return found
        }
        guard text.count >= 4, text.allSatisfy(\.isHexDigit) else {
            throw OperationError(
                .usage, "\"\(text)\" names no archive",
                hint: "Give 4 digits of its id at least, `latest`, `latest:POLICY`, or a date that the calendar has.")
        }
        return try vault.archive(idPrefix: text)
    }
}

/// Paths as operators write them, and as trees store them.
enum StoredPath {
    /// `/etc/ssh` → `etc/ssh`; the root is empty.
    static func parse(_ text: String) throws -> [UInt8] {
        var parts: [[UInt8]] = []
        for part in Array(text.utf8).split(separator: 0x2F) {
            if part.elementsEqual([0x2E]) { continue }
            guard !part.elementsEqual([0x2E, 0x2E]) else {
                throw OperationError(.usage, "\(text) contains `..`", hint: "Write the path without `..`.")
            }
            parts.append(Array(part))
        }
        return Array(parts.joined(separator: [0x2F]))
    }
}

/// Puts archives into the catalog of names from their trees in the vault.
enum CatalogBuilder {
    static func add(_ archives: [ArchiveRecord], to open: OpenVault) throws -> Int {
        let reader = try open.reader()
        let directory = open.vault.host.catalogDirectory
        var known = try NameCatalog(directory: directory)
        for archive in archives {
            if open.workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
            let tree = try ArchiveReader(reader, archive)
            let writer = try NameCatalog.Writer(directory: directory, id: archive.id)
            var missing: Set<Digest> = []
            try tree.forEachPageReference { page in
                if !known.contains(page: page.id) { missing.insert(page.id) }
                return true
            }
            if missing.isEmpty {
                try tree.forEachPageReference { page in
                    writer.addKnown(page.id)
                    return true
                }
            } else {
                try tree.forEachPage { id, page in
                    if missing.contains(id) { try writer.add(id, names(page)) } else { writer.addKnown(id) }
                    return true
                }
            }
            try writer.commit(
                number: archive.number, time: archive.time, header: try encode(reader.header(of: archive)))
            known = try NameCatalog(directory: directory)
        }
        return archives.count
    }

    static func encode(_ header: ArchiveHeader) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return [UInt8](try encoder.encode(header))
    }

    static func names(_ page: PageCursor) throws -> [UInt8] {
        var block = NameBlockBuilder()
        while try page.next() {
            block.append(path: page.path, kind: page.kind, size: page.size, modified: page.modified)
        }
        return block.bytes
    }
}
