package import Domain
package import Operations

extension Rendering {
    static func say(_ language: Language, _ en: String, _ az: String) -> String {
        language == .azerbaijani ? az : en
    }

    package static func volumeCreated(_ made: VolumeCreated, _ language: Language) -> [String] {
        let facts = [
            (say(language, "Volume", "Daşıyıcı"), made.volume.id),
            (say(language, "Directory", "Qovluq"), made.directory),
            (say(language, "Shelf", "Rəf yeri"), made.volume.shelf ?? ""),
            (say(language, "Key fingerprint", "Açarın izi"), made.volume.fingerprint),
            (say(language, "Secret", "Sirr"), made.secretPath),
            (say(language, "Verify by", "Növbəti yoxlama"), Printable.localTime(made.volume.verifyBy)),
        ]
        return [say(language, "The volume is ready.", "Oflayn daşıyıcı hazırdır.")]
            + Table.facts(facts).map { "  " + $0 }
            + [
                say(
                    language, "Keep the secret away from the volume. Next: `qala volume write`.",
                    "Sirri daşıyıcıdan ayrı saxlayın. Növbəti addım: `qala volume write`."),
                say(
                    language, "Print the label: `qala volume label \(made.volume.id)`.",
                    "Etiketi çap edin: `qala volume label \(made.volume.id)`."),
            ]
    }

    package static func volumeWritten(_ report: VolumeWritten, _ language: Language) -> [String] {
        var lines = report.written.map { holding -> String in
            let id = Printable.shortID(holding.archive)
            let plain = Readable.size(holding.bytes, language)
            if report.dryRun {
                return say(
                    language, "Archive \(id) would be written: \(plain).", "\(id) arxivi yazılardı: \(plain).")
            }
            let sealed = Readable.size(holding.sealedBytes, language)
            return say(
                language, "Archive \(id) is on the volume: \(plain), sealed \(sealed), parts \(holding.parts).",
                "\(id) arxivi daşıyıcıya yazıldı: \(plain), şifrələnmiş \(sealed), hissələr \(holding.parts).")
        }
        let sockets = report.written.reduce(0) { $0 + $1.listedOnly }
        if sockets > 0 {
            let count = Readable.count(sockets)
            lines.append(
                say(
                    language, "Sockets, which no tar archive holds, stand in the catalog only: \(count).",
                    "Tar arxivinə yazıla bilməyən soketlər yalnız kataloqdadır: \(count)."))
        }
        for id in report.skipped {
            let short = Printable.shortID(id)
            lines.append(
                say(language, "Archive \(short) lay there already.", "\(short) arxivi artıq daşıyıcıdadır."))
        }
        if report.dryRun {
            lines.append(say(language, "Dry run: nothing was written.", "Sınaq icrası: heç nə yazılmadı."))
        }
        return lines
    }

    package static func volumeVerified(_ report: VolumeVerified, _ language: Language) -> [String] {
        let files = Readable.count(report.files)
        let size = Readable.size(report.bytes, language)
        let time = Readable.duration(report.seconds, language)
        let id = Printable.text(report.volume)
        var lines = [
            say(
                language, "Volume \(id) was verified in \(time): \(files) files, \(size).",
                "\(id) daşıyıcısı \(time) ərzində yoxlandı: \(files) fayl, \(size).")
        ]
        if let opened = report.archivesOpened {
            lines.append(
                say(language, "  archives opened and compared: \(opened)", "  açılıb tutuşdurulan arxivlər: \(opened)"))
        }
        if report.decoyFound {
            lines.append(
                say(language, "  the decoy was found bad, as it must", "  yem fayl, lazım olduğu kimi, səhv çıxdı"))
        }
        if !report.keyProven {
            lines.append(
                say(
                    language, "Nothing proves who signed. Compare with the label: \(report.fingerprint)",
                    "Kimin imzaladığı sübut olunmayıb. Etiketlə tutuşdurun: \(report.fingerprint)"))
        }
        if let due = report.verifyBy {
            let day = Printable.localTime(due)
            lines.append(say(language, "  to be verified again by \(day)", "  növbəti yoxlama: \(day)"))
        }
        if report.findings.isEmpty { return lines + [Text.noDamage(language)] }
        var table = Table([(Text.columnObject(language), .left), (Text.columnReason(language), .left)])
        for finding in report.findings { table.add([finding.file, finding.reason]) }
        return lines + [Text.damageFound(language, [Readable.count(report.findings.count)])]
            + table.lines.map { "  " + $0 }
    }

    package static func sliceRow(_ row: SliceRow, _ language: Language) -> String {
        let target = row.target.map { " -> " + Printable.text($0) } ?? ""
        let size = Readable.size(Int(clamping: row.size), language)
        return Printable.shortID(row.archive) + "  " + Printable.localTime(row.modified) + "  " + size + "  "
            + Printable.text(row.path) + target
    }

    package static func volumes(_ rows: [VolumeRow], _ language: Language) -> [String] {
        guard !rows.isEmpty else { return [say(language, "There are no such volumes.", "Belə daşıyıcı yoxdur.")] }
        var table = Table([
            (Text.columnID(language), .left), (say(language, "TITLE", "AD"), .left),
            (say(language, "SHELF", "RƏF"), .left), (say(language, "OUT", "KİMDƏDİR"), .left),
            (say(language, "ARCHIVES", "ARXİVLƏR"), .right), (say(language, "VERIFY BY", "YOXLAMA"), .left),
            (Text.columnNote(language), .left),
        ])
        for row in rows {
            let volume = row.volume
            table.add([
                volume.id, volume.title, volume.shelf ?? "", volume.holder ?? "",
                Readable.count(volume.archives.count), volume.isGone ? "" : String(volume.verifyBy.prefix(10)),
                [.found, .lost, .destroyed].contains(row.state)
                    ? volumeState(row.state, language) : row.overdue ? say(language, "overdue", "vaxtı keçib") : "",
            ])
        }
        return table.lines
    }

    package static func volumeMoved(_ record: VolumeRecord, _ language: Language) -> [String] {
        if let holder = record.holder {
            let who = Printable.text(holder)
            return [say(language, "Volume \(record.id) is out: \(who).", "\(record.id) daşıyıcısı götürüldü: \(who).")]
        }
        let shelf = Printable.text(record.shelf ?? "")
        return [
            say(language, "Volume \(record.id) lies on shelf \(shelf).", "\(record.id) daşıyıcısı rəfdədir: \(shelf).")
        ]
    }

    static func gone(_ how: VolumeRecord.Gone.How, _ language: Language) -> String {
        switch how {
        case .destroyed: say(language, "destroyed", "məhv edilmişdir")
        case .lost: say(language, "lost", "itirilmişdir")
        }
    }

    package static func volumeGone(_ report: VolumeGone, _ language: Language) -> [String] {
        let id = report.id
        let how = gone(report.gone.how, language)
        var lines = [
            say(
                language, "Volume \(id) is recorded as \(how): it keeps nothing from now on.",
                "\(id) daşıyıcısı qeydiyyatdadır: \(how); bundan sonra heç nəyi saxlamır.")
        ]
        if report.dryRun {
            lines = [
                say(
                    language, "Dry run: volume \(id) would be recorded as \(how).",
                    "Sınaq icrası: \(id) daşıyıcısı belə qeyd edilərdi: \(how).")
            ]
        }
        if !report.nowhere.isEmpty {
            let count = Readable.count(report.nowhere.count)
            lines.append(
                say(
                    language, "LOST WITH IT: archives that are still to be kept and that nothing holds now: \(count)",
                    "ONUNLA BİRLİKDƏ İTİB: hələ saxlanılmalı olan, indi isə heç yerdə olmayan arxivlər: \(count)"))
            for holding in report.nowhere.prefix(20) {
                let time = Printable.localTime(holding.time)
                lines.append(
                    "  \(Printable.shortID(holding.archive))  \(time)  \(Printable.text(holding.policy ?? ""))")
            }
            if report.nowhere.count > 20 { lines.append("  …") }
            lines.append(
                say(
                    language, "Look for the volume. If it is found: `qala volume checkin \(id) --shelf TEXT`.",
                    "Daşıyıcını axtarın. Tapılsa: `qala volume checkin \(id) --shelf TEXT`."))
        }
        lines += damage(report, language)
        if let unknown = report.unknown {
            let why = Printable.text(Session.spoken(unknown, language))
            lines.append(
                say(
                    language, "It is not known of all archives whether something else holds them: \(why)",
                    "Bütün arxivlərin başqa yerdə olub-olmadığı məlum deyil: \(why)"))
        }
        return lines
    }

    private static func damage(_ report: VolumeGone, _ language: Language) -> [String] {
        guard !report.damage.isEmpty else { return [] }
        return [
            say(
                language, "DAMAGED in the register of the volume, and left as it is:",
                "DAŞIYICININ REYESTRİNDƏ ZƏDƏLƏNİB və olduğu kimi saxlanılıb:")
        ]
            + report.damage.map { finding in
                "  \(Printable.text(finding.file)): \(Printable.text(Session.spoken(finding.reason, language)))"
            } + [
                say(
                    language, "Bring it back from a copy, then record the loss again: the copy may not tell of it.",
                    "Onu nüsxədən qaytarın, sonra itkini yenidən qeyd edin: nüsxədə o, olmaya bilər.")
            ]
    }

    package static func pullList(_ report: PullReport, _ language: Language) -> [String] {
        var table = Table([
            (say(language, "VOLUME", "DAŞIYICI"), .left), (say(language, "TITLE", "AD"), .left),
            (say(language, "SHELF", "RƏF"), .left), (say(language, "OUT", "KİMDƏDİR"), .left),
            (Text.columnPath(language), .left),
        ])
        for row in report.pull {
            table.add([row.volume, row.title, row.shelf ?? "", row.holder ?? "", row.paths.joined(separator: " ")])
        }
        let missing = report.missing.map { path -> String in
            let shown = Printable.text(path)
            return say(language, "On no volume: \(shown)", "Heç bir daşıyıcıda yoxdur: \(shown)")
        }
        return (report.pull.isEmpty ? [] : table.lines) + missing
    }

    package static func volumeSecret(_ id: String, _ path: String, _ language: Language) -> [String] {
        let place = Printable.text(path)
        return [
            say(
                language, "The secret of volume \(id) was written to \(place).",
                "\(id) daşıyıcısının sirri yazıldı: \(place).")
        ]
    }

    // MARK: What is found on volumes only

    static func offlineTitle(_ language: Language) -> String {
        say(language, "ON VOLUME ONLY", "YALNIZ DAŞIYICIDA")
    }

    /// `3fa91c0277be4d10 (B-12)`
    static func offlinePlaces(_ places: [FoundRow.VolumePlace]) -> String {
        places.map { place in
            place.volume + ((place.shelf ?? place.holder).map { " (\($0))" } ?? "")
        }.joined(separator: ", ")
    }

    /// What follows for whoever wants the first of them.
    static func offlineAdvice(_ rows: [FoundRow], _ language: Language) -> [String] {
        guard let first = rows.first(where: { $0.volumes != nil }) else { return [] }
        let id = Printable.shortID(first.archive)
        return [
            say(
                language,
                "What is on a volume only: fetch it (`qala volume pull-list \(id)`), mount it, and restore with",
                "Yalnız daşıyıcıda olanlar: daşıyıcını gətirin (`qala volume pull-list \(id)`), qoşun və bərpa edin:"),
            "  qala volume restore DIR \(id) PATH --to TARGET --secret FILE",
        ]
    }
}
