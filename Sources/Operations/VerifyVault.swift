import Catalog
import Domain
import Synchronization
import Vault

/// Checks a vault; damage is in the report, not thrown.
package enum VerifyVault {
    package struct Request {
        /// Opens, decompresses and identifies every chunk.
        package var readData: Bool
        /// Share of the packs to read, in percent, but one at least; all when nil.
        package var samplePercent: Double?
        /// Compares digests only, for which no key is needed.
        package var withoutKeys: Bool
        /// A record that the log must have, as a recovery kit names it.
        package var head: KnownHead?

        package init(readData: Bool, samplePercent: Double?, withoutKeys: Bool, head: KnownHead? = nil) {
            self.readData = readData
            self.samplePercent = samplePercent
            self.withoutKeys = withoutKeys
            self.head = head
        }
    }

    package static func run(_ request: Request, at workplace: Workplace) throws -> VerifyReport {
        let started = MonotonicTime.now()
        if let percent = request.samplePercent, !(0...100).contains(percent) {
            throw OperationError(.usage, "a sample is a share from 0 to 100 percent", hint: "Write --sample 10%.")
        }
        var report = VerifyReport()
        let open: OpenVault
        do {
            open = try OpenVault(workplace)
        } catch let error as VaultError where error.kind == .damaged {
            // The log itself is damaged: that is the finding.
            report.depth = depth(request)
            report.opened = false
            report.damage = [DamageRow(object: "log", reason: error.message)]
            report.advice = error.hint.isEmpty ? nil : error.hint
            report.seconds = MonotonicTime.now() - started
            return report
        }
        let vault = open.vault
        let scrubber = Scrubber(vault)
        let interrupt = workplace.interrupt
        let progress = workplace.progress
        scrubber.shouldStop = { interrupt.isSet }
        scrubber.onBytes = { progress.bytes.add($0, ordering: .relaxed) }
        let result = try check(request, open, scrubber, &report)
        report.depth = depth(request)
        report.archives = vault.log.archives.count
        report.records = Int(vault.log.count)
        report.packs = result.packs
        report.chunks = result.chunks
        report.chunksRead = result.chunksRead
        report.bytesRead = result.bytesRead
        report.head = "\(vault.log.count - 1) \(vault.log.head.hex)"
        report.freshnessProven = vault.freshnessProven
        report.damage = result.damage.map { DamageRow(object: $0.object, reason: $0.reason) }
        if let head = request.head {
            if let missing = head.whatIsMissing(in: vault.log) {
                report.damage.insert(DamageRow(object: "log", reason: missing), at: 0)
            } else {
                report.freshnessProven = true
            }
        }
        if report.depth == "data" { VerifiedMarks.keep(vault, isWhole: report.damage.isEmpty) }
        report.seconds = MonotonicTime.now() - started
        return report
    }

    private static func check(
        _ request: Request, _ open: OpenVault, _ scrubber: Scrubber, _ report: inout VerifyReport
    ) throws -> ScrubResult {
        let sample = (request.samplePercent ?? 100) / 100
        if request.withoutKeys { return try scrubber.checkDigests(sample: sample) }
        var found: ScrubResult
        if isSample(request) {
            let checked = try checkSample(sample, scrubber, try open.reader())
            found = checked.found
            report.packsRead = checked.packsRead
        } else if request.readData {
            found = try scrubber.checkData(try open.reader())
        } else {
            found = try scrubber.checkStructure()
        }
        // With a key the trees are walked too; without one the structure is what can be seen.
        if request.readData || open.hasKeyAtHand {
            found.damage += try TreeCheck(open, try open.reader()).damage()
            report.treesRead = true
        }
        return found
    }

    private static func isSample(_ request: Request) -> Bool {
        request.readData && !request.withoutKeys && request.samplePercent.map { $0 < 100 } ?? false
    }

    private static func depth(_ request: Request) -> String {
        if isSample(request) { return "sample" }
        return request.withoutKeys ? "digests" : request.readData ? "data" : "structure"
    }

    /// The structure of everything, and the data of a share of the packs. Of a small vault chance may choose no pack at
    /// all: then it is asked again, because a check that read nothing proves nothing.
    private static func checkSample(
        _ share: Double, _ scrubber: Scrubber, _ reader: VaultReader
    ) throws -> (found: ScrubResult, packsRead: Int) {
        func packs(in result: ScrubResult) -> Set<String> {
            Set(result.damage.map(\.object).filter { $0.hasPrefix("packs/") })
        }
        var whole = try scrubber.checkStructure()
        // Those with damage are packs too; the check counts the others.
        let broken = packs(in: whole)
        whole.packs += broken.count
        guard whole.packs > 0 else { return (whole, 0) }
        let raised = max(share, min(1, 1 / Double(whole.packs)))
        var part = ScrubResult()
        var attempts = 0
        // Bounded for the case that a sweep takes all packs away meanwhile.
        while attempts < 100, part.packs == 0, packs(in: part).isEmpty {
            part = try scrubber.checkData(reader, sample: raised)
            attempts += 1
        }
        (whole.chunksRead, whole.bytesRead) = (part.chunksRead, part.bytesRead)
        let known = Set(whole.damage.map(\.object))
        whole.damage += part.damage.filter { !known.contains($0.object) }
        return (whole, part.packs + packs(in: part).intersection(broken).count)
    }
}

/// A record of the log that somebody wrote down: its number, and its digest or the first 16 digits of it at least.
package struct KnownHead: Sendable, Equatable {
    package var number: UInt64
    package var digits: String

    /// Reads `NUMBER:DIGEST`.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = UInt64(parts[0]), (16...64).contains(parts[1].count),
            parts[1].allSatisfy({ $0.isASCII && $0.isHexDigit })
        else { return nil }
        self.number = number
        digits = parts[1].lowercased()
    }

    /// Why the log does not continue from this record; nil when it does.
    func whatIsMissing(in log: VaultLog) -> String? {
        guard number < log.count else {
            return "it ends at record \(log.count - 1), before record \(number): it is old or was cut short"
        }
        guard log.chain[Int(number)].hex.hasPrefix(digits) else {
            return "record \(number) has another digest: this is another history"
        }
        return nil
    }
}

/// Walks the tree of every archive: each page is read once, and each chunk it refers to must be in an index.
private struct TreeCheck {
    let open: OpenVault
    let reader: VaultReader

    init(_ open: OpenVault, _ reader: VaultReader) {
        self.open = open
        self.reader = reader
    }

    func damage() throws -> [Damage] {
        var damage: [Damage] = []
        var pages: [Digest: Page] = [:]
        var chunks: Set<Digest> = []
        for archive in open.vault.log.archives {
            let name = "archive \(archive.id.hex.prefix(12))"
            do {
                _ = try reader.header(of: archive)
                let tree = try ArchiveReader(reader, archive)
                var entries: UInt64 = 0
                var last: PageEnd?
                try tree.forEachPageReference { reference in
                    if open.workplace.interrupt.isSet { throw OperationError(.interrupted, "interrupted") }
                    let page = try pages[reference.id] ?? read(reference, of: tree, archive, &chunks)
                    pages[reference.id] = page
                    // A page that archives share was read once, but where it stands is each one's own.
                    guard page.first == reference.firstPath, page.entries == reference.entries,
                        last?.mayPrecede(page.first) ?? true
                    else { throw VaultError.damaged("its pages are out of order") }
                    last = page.last
                    entries &+= page.entries
                    return true
                }
                guard entries == archive.commit.entries else {
                    throw VaultError.damaged("its tree has \(entries) entries instead of \(archive.commit.entries)")
                }
            } catch let error as VaultError {
                damage.append(Damage(object: name, reason: error.message))
            }
        }
        return damage
    }

    /// What is remembered of a page that was read: enough to check its place in the next archive.
    private struct Page {
        var first: [UInt8]
        var last: PageEnd
        var entries: UInt64
    }

    private func read(
        _ reference: ArchiveReader.PageReference, of tree: ArchiveReader, _ archive: ArchiveRecord,
        _ chunks: inout Set<Digest>
    ) throws -> Page {
        let page = try tree.page(reference)
        for chunk in page.chunks where chunks.insert(chunk).inserted {
            try reader.checkPresence(of: chunk, in: archive)
        }
        while try page.next() {}
        return Page(first: reference.firstPath, last: PageEnd(page), entries: reference.entries)
    }
}

/// Repairs caches and tells what a vault holds.
package enum MaintainVault {
    package static func stats(at workplace: Workplace) throws -> VaultStats {
        let vault = try OpenVault(workplace).vault
        var stats = VaultStats()
        stats.vaultID = vault.vaultID.hex
        stats.archives = vault.log.archives.count
        stats.records = Int(vault.log.count)
        stats.sessions = vault.log.sessions.count
        let packs = try vault.storedPacks()
        for pack in packs { stats.packBytes = stats.packBytes.addingClamped(pack.length) }
        for archive in vault.log.archives {
            stats.plainBytes = stats.plainBytes.addingClamped(archive.commit.bytes)
        }
        stats.packs = packs.count
        let (chunks, segments) = try vault.countChunks()
        stats.chunks = chunks
        stats.segments = segments
        stats.readers = vault.log.keySet.readers.count
        stats.writers = vault.log.keySet.writers.count
        stats.head = "\(vault.log.count - 1) \(vault.log.head.hex)"
        return stats
    }

    /// Writes index segments that are missing or damaged again, byte for byte; returns how many.
    package static func rebuildIndex(at workplace: Workplace) throws -> Int {
        try OpenVault(workplace).vault.repairIndex()
    }

    /// Makes the catalog of names anew from the trees of all archives; needs a key.
    package static func rebuildCatalog(at workplace: Workplace) throws -> Int {
        let open = try OpenVault(workplace)
        _ = try open.reader()
        try NameCatalog.clear(open.vault.host.catalogDirectory)
        return try CatalogBuilder.add(open.vault.log.archives, to: open)
    }
}
