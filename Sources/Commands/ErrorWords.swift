/// Errors of the operations, which are in English, in Azerbaijani: one row for a message or a hint.
///
/// `%1`, `%2` … stand for what varies, and come in this order in the English text; it may itself be a text of the table. A
/// sentence that has no row stays in English, behind the kind of the error. A test holds that each row is a sentence of the
/// sources. Official terms follow the glossary of the regulation.
enum ErrorWords {
    /// Nil where the table has no such sentence.
    static func azerbaijani(_ text: String) -> String? {
        for row in known {
            guard let found = arguments(of: text, in: row.parts) else { continue }
            return Text.filled(row.az, found.map { azerbaijani($0) ?? $0 })
        }
        return nil
    }

    /// Those that say most first: what varies in one may be what another says.
    private static let known = (rows + parserRows).map { (parts: parts(of: $0.en), az: $0.az) }
        .sorted { a, b in a.parts.reduce(0) { $0 + $1.count } > b.parts.reduce(0) { $0 + $1.count } }

    /// The literal parts of a template, one more than it has marks.
    static func parts(of template: String) -> [String] {
        var parts = [""]
        var rest = template[...]
        while let mark = rest.firstIndex(of: "%") {
            parts[parts.count - 1] += rest[..<mark]
            let next = rest.index(after: mark)
            if next < rest.endIndex, rest[next].isWholeNumber {
                parts.append("")
                rest = rest[rest.index(after: next)...]
            } else {
                parts[parts.count - 1] += "%"
                rest = rest[next...]
            }
        }
        parts[parts.count - 1] += rest
        return parts
    }

    /// What stands for the marks; nil where the text is another one.
    static func arguments(of text: String, in parts: [String]) -> [String]? {
        guard let last = parts.last, parts.count > 1 else { return parts == [text] ? [] : nil }
        guard text.hasPrefix(parts[0]) else { return nil }
        var rest = text.dropFirst(parts[0].count)
        var found: [String] = []
        for part in parts[1..<(parts.count - 1)] {
            // Two that vary, side by side: the second has all of it.
            if part.isEmpty {
                found.append("")
                continue
            }
            guard let range = rest.firstRange(of: part) else { return nil }
            found.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        guard rest.hasSuffix(last) else { return nil }
        return found + [String(rest.dropLast(last.count))]
    }

    static let rows: [(en: String, az: String)] =
        vaultRows + archiveRows + restoreRows + decisionRows + volumeRows + policyRows + usageRows

    // MARK: The vault and its keys

    private static let vaultRows: [(en: String, az: String)] = [
        ("there is no vault at %1", "%1 ünvanında arxiv anbarı yoxdur"),
        (
            "Make one with `qala init`, or name another with --vault or QALA_VAULT.",
            "`qala init` ilə anbar yaradın və ya --vault, yaxud QALA_VAULT ilə başqasını göstərin."
        ),
        ("there is no directory %1", "%1 qovluğu yoxdur"),
        (
            "Check the path, and that its file system is mounted.",
            "Yolu və fayl sisteminin qoşulu olduğunu yoxlayın."
        ),
        ("%1 is not a directory", "%1 qovluq deyil"),
        ("A vault is a directory; name it with --vault.", "Anbar qovluqdur; onu --vault ilə göstərin."),
        ("no key of this vault is opened by a passphrase", "bu anbarın heç bir açarı parol ifadəsi ilə açılmır"),
        (
            "Give a key file or the recovery kit with --key-file.",
            "--key-file ilə açar faylı və ya bərpa dəsti göstərin."
        ),
        ("a key is needed to read archives", "arxivlərdən məlumatların oxunması üçün açar lazımdır"),
        (
            "Give the passphrase with --passphrase-file or QALA_PASSPHRASE_FILE, or a key file or recovery kit with --key-file.",
            "--passphrase-file və ya QALA_PASSPHRASE_FILE ilə parol ifadəsi, yaxud --key-file ilə açar faylı və ya bərpa dəsti göstərin."
        ),
        ("no key of this vault opens with that passphrase", "bu parol ifadəsi anbarın heç bir açarını açmır"),
        (
            "Check the keyboard layout and Caps Lock, or use a key file or the recovery kit.",
            "Klaviatura dilini və Caps Lock düyməsini yoxlayın və ya açar faylından, yaxud bərpa dəstindən istifadə edin."
        ),
        ("that key opens nothing in this vault", "bu açar anbarda heç nəyi açmır"),
        (
            "It may have been removed since, or belong to another vault; `qala key list` shows the valid ones.",
            "O, sonradan silinmiş və ya başqa anbarın ola bilər; qüvvədə olanları `qala key list` göstərir."
        ),
        (
            "the catalog of this host knows none of %1 archives: %2",
            "bu hostun kataloqunda %1 arxivin heç biri yoxdur: %2"
        ),
        (
            "Give a key (--passphrase-file or --key-file) once, so that it can be rebuilt from the vault.",
            "Bir dəfə açar verin (--passphrase-file və ya --key-file): kataloq anbardan yenidən qurulacaq."
        ),
        ("there is no key %1", "%1 açarı yoxdur"),
        (
            "Give 4 digits of its id at least; `qala key list` shows them.",
            "Nömrəsinin ən azı 4 rəqəmini yazın; siyahı: `qala key list`."
        ),
        ("there is no hash suite %1", "%1 adlı alqoritm dəsti yoxdur"),
        ("Use blake3 or hmac-sha256.", "blake3 və ya hmac-sha256 yazın."),
        ("interrupted", "dayandırıldı"),
        ("Give more digits.", "Daha çox rəqəm yazın."),
        ("Give more digits of the id.", "Nömrənin daha çox rəqəmini yazın."),
        ("Check the path.", "Yolu yoxlayın."),
    ]

    // MARK: Archives and what is in them

    private static let archiveRows: [(en: String, az: String)] = [
        ("the vault has no archives yet", "anbarda hələ arxiv yoxdur"),
        ("Make one with `qala archive PATH`.", "`qala archive YOL` ilə arxiv yaradın."),
        ("there is no archive of policy %1", "%1 siyasətinin arxivi yoxdur"),
        ("there is no archive from %1 or before", "%1 tarixinə qədər heç bir arxiv yoxdur"),
        ("there is no archive %1", "%1 arxivi yoxdur"),
        ("`qala archives` lists them.", "Siyahı: `qala archives`."),
        (
            "It was disposed of already, or never was: `qala archives` lists what there is.",
            "O, artıq məhv edilib və ya heç olmayıb: olanları `qala archives` göstərir."
        ),
        ("archive %1 was disposed of by record %2", "%1 arxivi jurnalın %2 nömrəli qeydi ilə məhv edilib"),
        (
            "`qala archives --disposed` tells when; a copy elsewhere may still hold it.",
            "Nə vaxt olduğunu `qala archives --disposed` göstərir; başqa nüsxədə hələ qala bilər."
        ),
        ("\"%1\" names no archive", "\"%1\" heç bir arxivi göstərmir"),
        (
            "Give 4 digits of its id at least, `latest`, `latest:POLICY`, or a date that the calendar has.",
            "Nömrəsinin ən azı 4 rəqəmini, `latest`, `latest:SİYASƏT` və ya təqvimdə olan tarix yazın."
        ),
        ("Give 4 digits of its id at least.", "Nömrəsinin ən azı 4 rəqəmini yazın."),
        ("%1 archives begin with %2", "%2 ilə başlayan arxivlərin sayı: %1"),
        ("%1 contains `..`", "%1 yolunda `..` var"),
        ("Write the path without `..`.", "Yolu `..` olmadan yazın."),
        ("%1 is not in archive %2", "%1 yolu %2 arxivində yoxdur"),
        ("%1 is a %2, not a file", "%1 fayl deyil (%2)"),
        ("`qala ls` lists a directory.", "Qovluğu `qala ls` göstərir."),
        ("`qala find` searches names in all archives.", "`qala find` adları bütün arxivlərdə axtarır."),
        ("`qala find` searches parts of names.", "`qala find` adların hissələrini axtarır."),
        (
            "no archive that could be searched holds %1 (%2 need a key)",
            "axtarıla bilən arxivlərdə %1 yoxdur (%2 arxiv üçün açar lazımdır)"
        ),
        (
            "no archive that could be searched holds %1; %2 are on volumes that the register does not know: %3",
            "axtarıla bilən arxivlərdə %1 yoxdur; %2 arxiv reyestrdə olmayan daşıyıcılardadır: %3"
        ),
        (
            "Bring STATE/volumes back from a copy; `qala reconcile` tells what is missing.",
            "STATE/volumes qovluğunu nüsxədən qaytarın; nəyin çatmadığını `qala reconcile` göstərir."
        ),
        ("no archive holds %1", "heç bir arxivdə %1 yoxdur"),
        ("there is nothing to archive", "arxivləşdiriləcək heç nə yoxdur"),
        ("Name a path.", "Yol göstərin."),
        ("a path is empty", "yol boşdur"),
        ("the sources overlap at %1 by way of a link", "mənbələr %1 yerində istinad vasitəsilə üst-üstə düşür"),
        ("Name the place that the link leads to.", "İstinadın apardığı yeri göstərin."),
        ("the source %1 lies inside another with other options", "%1 mənbəyi başqa seçimləri olan mənbənin içindədir"),
        (
            "Give both the same options, or exclude it from the outer one and name its own policy.",
            "Hər ikisinə eyni seçimləri verin və ya onu birincidən çıxarıb ayrıca siyasətə yazın."
        ),
        (
            "no source of the policy %1 could be archived: %2",
            "%1 siyasətinin heç bir mənbəyi arxivləşdirilə bilmədi: %2"
        ),
        (
            "Mend the source and run the policy again; the archives made before are as they were.",
            "Mənbəni düzəldin və siyasəti yenidən icra edin; əvvəlki arxivlər olduğu kimi qalır."
        ),
        ("cannot examine the source %1: %2", "%1 mənbəyi haqqında məlumat alına bilmədi: %2"),
        ("cannot open %1: %2", "%1 açıla bilmədi: %2"),
        ("cannot examine %1: %2", "%1 haqqında məlumat alına bilmədi: %2"),
        ("cannot read %1: %2", "%1 oxuna bilmədi: %2"),
    ]

    // MARK: Restoring

    private static let restoreRows: [(en: String, az: String)] = [
        ("cannot make the target %1: %2", "%1 bərpa yeri yaradıla bilmədi: %2"),
        ("a restore needs one target", "bərpa üçün bir yer göstərilməlidir"),
        (
            "Give --to DIR, or --in-place for the original places.",
            "--to QOVLUQ və ya ilkin yerlər üçün --in-place yazın."
        ),
        ("/%1 exists already in the target", "/%1 bərpa yerində artıq var"),
        (
            "Nothing was written. Restore into an empty directory, or say what to do with --conflict skip, overwrite or keep-both.",
            "Heç nə yazılmadı. Boş qovluğa bərpa edin və ya nə edilməli olduğunu --conflict skip, overwrite, yaxud keep-both ilə göstərin."
        ),
        (
            "Run it again with --conflict skip or overwrite, or into a new directory.",
            "--conflict skip və ya overwrite ilə, yaxud yeni qovluğa yenidən icra edin."
        ),
        (
            "`qala ls` lists what is; `qala find` searches names in all archives.",
            "Nə olduğunu `qala ls` göstərir; `qala find` adları bütün arxivlərdə axtarır."
        ),
        ("%1 is not empty", "%1 boş deyil"),
        (
            "Nothing was written. Restore into a directory that is empty or does not exist.",
            "Heç nə yazılmadı. Boş və ya hələ olmayan qovluğa bərpa edin."
        ),
        ("Nothing was written. Name a new or empty directory.", "Heç nə yazılmadı. Yeni və ya boş qovluq göstərin."),
        ("archive %1 holds no source `%2: %3`", "%1 arxivində `%2: %3` mənbəyi yoxdur"),
        ("`qala archives` lists the archives.", "Arxivlərin siyahısı: `qala archives`."),
        ("It holds %1.", "İçindəkilər: %1."),
        ("`%1: %2` is not whole in archive %3", "`%1: %2` %3 arxivində tam deyil"),
        (
            "Take an archive before it. Single files of it can be restored by their paths.",
            "Ondan əvvəlki arxivi götürün. Ayrı-ayrı fayllar yolları ilə bərpa oluna bilər."
        ),
        (
            "archive %1 (%2) is not in the vault any more; it is on volume %3, which the register does not know",
            "%1 arxivi (%2) artıq anbarda deyil; o, reyestrdə olmayan daşıyıcıdadır: %3"
        ),
        (
            "archive %1 (%2) is not in the vault any more; it is on volume %3",
            "%1 arxivi (%2) artıq anbarda deyil; o, daşıyıcıdadır: %3"
        ),
        (
            "Bring STATE/volumes back from a copy. The volume opens without it: `qala volume restore DIR %1 --to TARGET --secret FILE --fingerprint DIGITS`, with the digits on its label.",
            "STATE/volumes qovluğunu nüsxədən qaytarın. Daşıyıcı onsuz da açılır: `qala volume restore QOVLUQ %1 --to YER --secret FAYL --fingerprint RƏQƏMLƏR`; rəqəmlər etiketdədir."
        ),
        (
            "Fetch one (`qala volume pull-list %1`, `qala volume checkout`), mount it, and restore with `qala volume restore DIR %2 --to TARGET --secret FILE`; `qala volume checkin` registers where it goes then.",
            "Daşıyıcını gətirin (`qala volume pull-list %1`, `qala volume checkout`), qoşun və `qala volume restore QOVLUQ %2 --to YER --secret FAYL` ilə bərpa edin; sonra hara qoyulduğunu `qala volume checkin` qeyd edir."
        ),
    ]
}
