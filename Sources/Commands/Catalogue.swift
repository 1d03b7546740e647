extension Text {
    /// The texts of both languages.
    package var both: (en: String, az: String) {
        switch self {
        // What is asked, and the first answers.
        case .errorPrefix: ("error: %1", "xəta: %1")
        case .hintPrefix: ("hint: %1", "məsləhət: %1")
        case .warningPrefix: ("warning: %1", "xəbərdarlıq: %1")
        case .newPassphrase: ("New passphrase for the vault: ", "Arxiv anbarı üçün yeni parol ifadəsi: ")
        case .passphrase: ("Passphrase of the vault: ", "Arxiv anbarının parol ifadəsi: ")
        case .passphraseAgain: ("The same passphrase again: ", "Həmin parol ifadəsi bir daha: ")
        case .passphrasesDiffer: ("the two passphrases differ", "iki parol ifadəsi fərqlidir")
        case .passphraseTooShort:
            ("a passphrase needs at least %1 characters", "parol ifadəsi ən azı %1 simvol olmalıdır")
        case .passphraseEmpty: ("the passphrase is empty", "parol ifadəsi boşdur")
        case .noPassphraseSource:
            (
                "a passphrase is needed, and there is no terminal to ask for it",
                "parol ifadəsi lazımdır, soruşmaq üçün terminal isə yoxdur"
            )
        case .noPassphraseSourceHint:
            (
                "Name a file with --passphrase-file or QALA_PASSPHRASE_FILE (a path or fd:N), or a key with --key-file.",
                "--passphrase-file və ya QALA_PASSPHRASE_FILE ilə fayl (yol və ya fd:N), yaxud --key-file ilə açar göstərin."
            )
        case .noKitPlace:
            (
                "the recovery kit has nowhere to go: no --kit FILE and no terminal",
                "bərpa dəstini yazmağa yer yoxdur: nə --kit FAYL verilib, nə də terminal var"
            )
        case .noKitPlaceHint:
            (
                "Name a file with --kit; print it and keep it away from this machine.",
                "--kit ilə fayl göstərin; onu çap edib bu maşından uzaqda saxlayın."
            )
        case .openToOthers: ("others can read %1", "%1 faylını başqaları oxuya bilər")
        case .openToOthersHint: ("Run `chmod 600` on it.", "Ona `chmod 600` tətbiq edin.")
        case .fileUnreadable: ("%1 cannot be read: %2", "%1 oxuna bilmədi: %2")
        case .fileTooLong: ("%1 is longer than %2 bytes", "%1 %2 baytdan uzundur")
        case .badDescriptor: ("`%1` names no file descriptor", "`%1` fayl deskriptoru deyil")
        case .badDescriptorHint: ("Write fd: and a number, such as fd:3.", "fd: və rəqəm yazın, məsələn fd:3.")
        case .passphraseInterrupted:
            ("interrupted while asking for the passphrase", "parol ifadəsi soruşularkən dayandırıldı")
        case .initialized: ("The vault is ready.", "Arxiv anbarı hazırdır.")
        case .vaultIs: ("Vault", "Arxiv anbarı")
        case .vaultIDIs: ("Vault id", "Anbarın nömrəsi")
        case .suiteIs: ("Suite", "Alqoritm dəsti")
        case .kitWritten: ("Recovery kit", "Bərpa dəsti")
        case .kitKeep:
            (
                "Print the recovery kit, keep it in a safe place away from this machine, then remove the file.",
                "Bərpa dəstini çap edin, bu maşından uzaqda etibarlı yerdə saxlayın, sonra faylı silin."
            )
        case .writeOnlyNote:
            (
                "This host can archive but not read: restoring needs the recovery kit or another key.",
                "Bu host arxivləşdirə bilər, oxuya bilməz: bərpa üçün bərpa dəsti və ya başqa açar lazımdır."
            )
        case .kitShown:
            (
                "This is the recovery kit. It is shown once; write it down or print it now:",
                "Bu, bərpa dəstidir. Bir dəfə göstərilir; indi yazın və ya çap edin:"
            )
        case .kitShownEnd:
            ("Clear the screen when you have it on paper.", "Kağıza köçürdükdən sonra ekranı təmizləyin.")
        case .nextArchive:
            (
                "Next: `qala archive PATH` or `qala run POLICY.yaml`.",
                "Növbəti addım: `qala archive YOL` və ya `qala run SİYASƏT.yaml`."
            )
        case .stopping:
            ("stopping; once more to stop at once", "dayandırılır; dərhal dayandırmaq üçün bir daha basın")
        case .interruptedResume:
            (
                "Run the same command again: it resumes where it stopped.",
                "Həmin əmri yenidən icra edin: qaldığı yerdən davam edəcək."
            )
        case .sampleInvalid:
            (
                "`%1` is not a share: write a number above 0 and up to 100, such as 5%",
                "`%1` pay deyil: 0-dan böyük, 100-ə qədər ədəd yazın, məsələn 5%"
            )
        case .pathNeeded: ("`%1` names no path", "`%1` yol göstərmir")
        case .pathNeededHint:
            ("Write ARCHIVE:/PATH, such as latest:/etc/fstab.", "ARXİV:/YOL yazın, məsələn latest:/etc/fstab.")
        case .badArchivePath: ("`%1` does not begin with an archive", "`%1` arxivlə başlamır")
        case .badArchivePathHint:
            (
                "An archive is named by the start of its id (4 digits or more), latest, latest:POLICY or a date.",
                "Arxiv nömrəsinin əvvəli (ən azı 4 rəqəm), latest, latest:SİYASƏT və ya tarixlə göstərilir."
            )
        case .emptyPath: ("a path is empty", "yol boşdur")
        case .argumentNotUTF8: ("the argument `%1` is not UTF-8", "`%1` arqumenti UTF-8 deyil")
        case .argumentNotUTF8Hint:
            (
                "Name the directory above: what is in it is archived and restored byte for byte.",
                "Üst qovluğu göstərin: içindəkilər baytbabayt arxivləşdirilir və bərpa olunur."
            )
        case .variableNotUTF8: ("the variable %1 is not UTF-8: `%2`", "%1 dəyişəni UTF-8 deyil: `%2`")
        case .directoryNotUTF8:
            ("the name of the current directory is not UTF-8: `%1`", "cari qovluğun adı UTF-8 deyil: `%1`")
        case .placeNotUTF8Hint:
            (
                "Use a path that is UTF-8; of a directory with another name, the one above it.",
                "UTF-8 olan yol göstərin; adı belə olmayan qovluğun əvəzinə üst qovluğu."
            )
        case .targetNotDirectory: ("%1 is not a directory", "%1 qovluq deyil")
        case .targetNotDirectoryHint:
            ("Name a directory, or one that is to be made.", "Qovluq və ya yaradılacaq qovluq göstərin.")
        case .targetNeeded:
            (
                "say where to restore: either --to DIR or --in-place",
                "hara bərpa olunacağını göstərin: ya --to QOVLUQ, ya da --in-place"
            )
        case .directoryNeeded: ("%1 needs --to DIR", "%1 üçün --to QOVLUQ lazımdır")
        case .directoryNeededHint:
            (
                "DIR becomes its data directory. To have single files of it, name their paths without %1.",
                "QOVLUQ onun verilənlər qovluğu olur. Ayrı fayllar üçün onların yollarını %1 olmadan göstərin."
            )
        case .tablespaceForm:
            ("--tablespace-map %1 is not OLD=NEW", "--tablespace-map %1 KÖHNƏ=YENİ şəklində deyil")
        case .tablespaceFormHint:
            (
                "OLD is the old path or number of a tablespace, each once; it belongs to --cluster.",
                "KÖHNƏ cədvəl sahəsinin köhnə yolu və ya nömrəsidir, hər biri bir dəfə; --cluster ilə birgə verilir."
            )
        case .targetNeededHint:
            (
                "With --to, paths keep their full names below DIR.",
                "--to ilə yollar QOVLUQ altında tam adlarını saxlayır."
            )
        // What was done.
        case .policyIs: ("Policy", "Siyasət")
        case .componentIs: ("Component", "Komponent")
        case .responsibleIs: ("Responsible archivist", "Arxivləşdirilmə üzrə məsul şəxs")
        case .deputyIs: ("Deputy", "Müavin")
        case .legalBasisIs: ("Legal basis", "Hüquqi əsas")
        case .confidentialityIs: ("Confidentiality", "Məxfilik")
        case .archived: ("Archive %1 is complete in %2.", "%1 arxivi %2 ərzində tamamlandı.")
        case .archivedDry: ("Dry run: nothing was archived (%1).", "Sınaq icrası: heç nə arxivləşdirilmədi (%1).")
        case .archiveCounts: ("%1 files, %2 directories, %3 others; %4", "%1 fayl, %2 qovluq, %3 digər; %4")
        case .archiveRead: ("read: %1 files, %2; the rest was unchanged", "oxundu: %1 fayl, %2; qalanı dəyişməyib")
        case .archiveStored: ("new: %1; stored in the vault: %2", "yeni: %1; anbara yazıldı: %2")
        case .archiveResumed: ("resumed an interrupted run", "yarımçıq qalmış icra davam etdirildi")
        case .archiveExcluded: ("excluded: %1 paths", "istisna edildi: %1 yol")
        case .changedWhileRead:
            (
                "Changed while they were read (archived, perhaps a mix of two states): %1",
                "Oxunarkən dəyişənlər (arxivləşdirildi, iki vəziyyətin qarışığı ola bilər): %1"
            )
        case .couldNotArchive: ("Could not be archived: %1", "Arxivləşdirilə bilmədi: %1")
        case .partialArchive:
            ("The archive is partial: it lacks the paths above.", "Arxiv natamamdır: yuxarıdakı yollar ona düşməyib.")
        case .moreProblems: ("and %1 more", "və daha %1")
        case .noArchives:
            (
                "No archives yet: run `qala archive PATH` or `qala run POLICY.yaml`.",
                "Hələ arxiv yoxdur: `qala archive YOL` və ya `qala run SİYASƏT.yaml` icra edin."
            )
        case .noArchivesOfPolicy:
            (
                "No archives of the policy %1 yet: run `qala run` with its file.",
                "%1 siyasətinin hələ arxivi yoxdur: onun faylı ilə `qala run` icra edin."
            )
        case .archivesUnread:
            (
                "More of the archives that the catalog of this host lacks shows with a key: --passphrase-file or --key-file.",
                "Bu hostun kataloqunda olmayan arxivlər haqqında daha çoxunu görmək üçün açar verin: --passphrase-file və ya --key-file."
            )
        case .notSearched:
            (
                "%1 archives that the catalog of this host lacks were not searched: give a key once (--passphrase-file or --key-file).",
                "Bu hostun kataloqunda olmayan %1 arxivdə axtarılmadı: bir dəfə açar verin (--passphrase-file və ya --key-file)."
            )
        case .noEntries: ("Nothing is there.", "Burada heç nə yoxdur.")
        case .nothingFound: ("No name contains “%1”.", "Heç bir adda “%1” yoxdur.")
        case .nothingFoundHint:
            (
                "Only the newest version of each path was searched; --all-versions looks further.",
                "Yalnız hər yolun son versiyası axtarıldı; --all-versions hamısında axtarır."
            )
        case .noVersions: ("No archive holds %1.", "Heç bir arxivdə %1 yoxdur.")
        case .noDifferences: ("The archives do not differ.", "Arxivlər arasında fərq yoxdur.")
        case .restored: ("Restored to %1 in %2.", "%1 ünvanına %2 ərzində bərpa edildi.")
        case .restoredDry:
            ("Dry run: this is what a restore to %1 would do.", "Sınaq icrası: %1 ünvanına bərpa bunları edərdi.")
        case .restoreCounts: ("%1 files, %2 directories, %3 others; %4", "%1 fayl, %2 qovluq, %3 digər; %4")
        case .restoreVerified: ("verified after writing: %1 files", "yazıldıqdan sonra yoxlandı: %1 fayl")
        case .restoreInTheWay: ("exist already: %1", "artıq mövcuddur: %1")
        case .restoreSkipped: ("left as they were: %1", "olduğu kimi saxlanıldı: %1")
        case .ownershipNotSet:
            ("Owner or group could not be set: %1 paths.", "Sahibi və ya qrupu qoyula bilmədi: %1 yol.")
        case .ownershipHint:
            ("Restore as root to get owners back.", "Sahiblərin də bərpası üçün root kimi icra edin.")
        case .couldNotRestore: ("Could not be restored completely: %1", "Tam bərpa edilə bilmədi: %1")
        case .restoreDamaged:
            (
                "The vault holds %1 files damaged. Run `qala verify --read-data`, and restore them from another copy of the vault.",
                "Anbarda %1 fayl zədəlidir. `qala verify --read-data` icra edin, onları anbarın başqa nüsxəsindən bərpa edin."
            )
        case .verifiedDigests:
            ("Digests verified without keys in %1.", "Yoxlama cəmləri açarsız, %1 ərzində yoxlandı.")
        case .verifiedStructure: ("Structure verified in %1.", "Quruluş %1 ərzində yoxlandı.")
        case .verifiedData:
            (
                "Data verified in %1: decrypted, decompressed, identified.",
                "Məlumatlar %1 ərzində yoxlandı: deşifrə edildi, açıldı, tutuşduruldu."
            )
        case .verifiedSample:
            (
                "The structure and a sample of the data were verified in %1.",
                "Quruluş və məlumatlardan seçmə %1 ərzində yoxlandı."
            )
        case .verifyCounts:
            ("%1 archives, %2 log records, %3 packs, %4 chunks", "%1 arxiv, %2 jurnal yazısı, %3 paket, %4 parça")
        case .verifyRead: ("read: %1 chunks, %2", "oxundu: %1 parça, %2")
        case .verifySampleRead:
            (
                "read, chosen at random: %1 of %2 packs; %3 chunks, %4",
                "təsadüfi seçilib oxundu: %2 paketdən %1; %3 parça, %4"
            )
        case .noDamage: ("No damage found.", "Zədə tapılmadı.")
        case .noDamageInSample:
            (
                "No damage found; the data of the other packs was not read.",
                "Zədə tapılmadı; qalan paketlərin məlumatları oxunmayıb."
            )
        case .damageFound: ("Damage found: %1 objects.", "Zədə tapıldı: %1 obyekt.")
        case .damageAdvice:
            (
                "Do not delete anything. Copy the vault, then bring these objects back from a mirror or another copy and verify again.",
                "Heç nəyi silməyin. Anbarın nüsxəsini çıxarın, sonra bu obyektləri güzgü nüsxədən və ya başqa nüsxədən qaytarıb yenidən yoxlayın."
            )
        case .freshnessProven:
            ("The log continues what this host knew; head %1.", "Jurnal bu hostun bildiyinin davamıdır; son yazı %1.")
        case .freshnessUnproven:
            (
                "Freshness unproven: this host knew no earlier head. Compare with your records: %1.",
                "Təzəliyi sübut olunmayıb: bu host əvvəlki son yazını bilmirdi. Öz qeydlərinizlə tutuşdurun: %1."
            )
        case .stateDenied:
            (
                "Nothing is kept in the state of this host: %1.",
                "Bu hostun vəziyyət qovluğunda heç nə saxlanmır: %1."
            )
        case .treesNotRead:
            (
                "The trees of the archives were not walked: no key was given (--passphrase-file or --key-file).",
                "Arxivlərin ağacları yoxlanmadı: açar verilməyib (--passphrase-file və ya --key-file)."
            )
        // Disposal, holds, sweep.
        // The daemon.
        case .daemonIs: ("Daemon", "Xidmət")
        case .daemonIdle: ("idle", "gözləyir")
        case .daemonPaused: ("all schedules are paused", "bütün cədvəllər dayandırılıb")
        case .daemonFolderIs: ("Policies", "Siyasət sənədləri")
        case .runIs: ("Run", "İcra")
        case .runAsked: ("Run %1 of policy %2 was asked for.", "%2 siyasətinin %1 icrası növbəyə qoyuldu.")
        case .runWaiting: ("waiting: %1", "növbədə: %1")
        case .noRuns: ("There was no run yet.", "Hələ heç bir icra olmayıb.")
        case .noEvents: ("Nothing happened since the daemon started.", "Xidmət başlayandan bəri heç nə baş verməyib.")
        case .policiesNotInForce:
            (
                "The set in the folder is not in force; the one before is:",
                "Qovluqdakı sənədlər qüvvəyə minməyib, əvvəlkilər qüvvədədir:"
            )
        case .pausedAll: ("All schedules are paused.", "Bütün cədvəllər dayandırıldı.")
        case .resumedAll: ("All schedules go on.", "Bütün cədvəllər davam edir.")
        case .pausedOne: ("The schedule of %1 is paused.", "%1 siyasətinin cədvəli dayandırıldı.")
        case .resumedOne: ("The schedule of %1 goes on.", "%1 siyasətinin cədvəli davam edir.")
        case .runCancelling: ("The run %1 of policy %2 ends.", "%2 siyasətinin %1 icrası dayandırılır.")
        case .columnState: ("STATE", "VƏZİYYƏT")
        case .columnNext: ("NEXT", "NÖVBƏTİ")
        case .columnLast: ("LAST", "SONUNCU")
        case .columnFailures: ("FAILURES", "UĞURSUZLUQ")
        case .columnEnded: ("ENDED", "BİTDİ")
        case .columnRun: ("RUN", "İCRA")
        case .columnMessage: ("MESSAGE", "MƏLUMAT")
        case .pausedMark: ("paused", "dayandırılıb")
        case .hookFailed: ("warning: %1", "xəbərdarlıq: %1")
        case .reasonNeeded: ("a reason is needed", "səbəb göstərilməlidir")
        case .reasonNeededHint: ("Say it with --reason TEXT.", "Onu --reason MƏTN ilə yazın.")
        case .requestWritten: ("The request is signed: %1", "Sorğu imzalandı: %1")
        case .requestNext:
            (
                "Give that file to a second administrator, who carries it out with --approve and another key.",
                "Bu faylı ikinci inzibatçıya verin: o, --approve və başqa açarla icra edir."
            )
        case .decisionDry: ("Dry run: this would be done.", "Sınaq icrası: bunlar ediləcəkdi.")
        case .disposed:
            ("Disposed of: %1. `qala sweep` frees the space.", "Məhv edildi: %1. Yeri `qala sweep` boşaldır.")
        case .held: ("The hold %1 is in force.", "%1 hüquqi saxlaması qüvvədədir.")
        case .released: ("The hold %1 was released.", "%1 hüquqi saxlaması götürüldü.")
        case .holdIs: ("Hold", "Hüquqi saxlama")
        case .everyArchive: ("every archive", "bütün arxivlər")
        case .noHolds: ("There are no holds.", "Hüquqi saxlama yoxdur.")
        case .columnReleased: ("Released", "Götürülüb")
        case .columnDisposed: ("Disposed of", "Məhv edilib")
        case .noDisposed: ("No archive was disposed of.", "Heç bir arxiv məhv edilməyib.")
        case .swept: ("The vault was swept in %1.", "Anbar %1 ərzində təmizləndi.")
        case .sweptDry:
            ("Dry run: %1 packs (%2) would be condemned.", "Sınaq icrası: %1 paket (%2) silinməyə ayrılacaqdı.")
        case .sweptCounts:
            (
                "condemned: %1 packs, %2; removed: %3 packs, %4",
                "silinməyə ayrıldı: %1 paket, %2; silindi: %3 paket, %4"
            )
        case .sweptRevived: ("needed again: %1 packs", "yenidən lazım oldu: %1 paket")
        case .sweepWaits:
            (
                "%1 runs that have not ended hold up the removal of what is condemned:",
                "Bitməmiş %1 icra ayrılanların silinməsini gözlədir:"
            )
        case .sweepWaitsHint:
            (
                "An interrupted run ends with the next one of its source; one that will never come back, with `qala sweep --fence ID`.",
                "Yarımçıq icra öz mənbəyinin növbəti icrası ilə, geri qayıtmayacağı isə `qala sweep --fence ID` ilə bitir."
            )
        case .sweepProblems:
            ("Findings: %1; what they concern was left alone:", "Tapıntılar: %1; onlara aid olanlara toxunulmadı:")
        case .statDisposed: ("Disposed of", "Məhv edilib")
        case .policiesSound:
            (
                "%1 policies: nothing keeps them from being put into force.",
                "%1 siyasət: qüvvəyə minməsinə heç nə mane olmur."
            )
        case .policiesBlocked:
            (
                "Policies: %1. Findings that keep them from being put into force: %2.",
                "Siyasətlər: %1. Qüvvəyə minməsinə mane olan tapıntılar: %2."
            )
        case .noComingRuns: ("No policy has a schedule.", "Heç bir siyasətin cədvəli yoxdur.")
        case .columnDue: ("Due", "Vaxtı")
        case .columnStart: ("Starts", "Başlayır")
        case .keyAdded: ("Key %1 was added.", "%1 açarı əlavə edildi.")
        case .keyRemoved: ("Key %1 was removed.", "%1 açarı çıxarıldı.")
        case .keysRotated:
            (
                "The keys were rotated: archives from now on use new ones.",
                "Açarlar dəyişdirildi: bundan sonrakı arxivlər yeni açarlardan istifadə edir."
            )
        case .keyOpens: ("Key %1 opens the vault.", "%1 açarı anbarı açır.")
        case .hostEnrolled: ("This host may archive into the vault now.", "Bu host indi anbara arxivləşdirə bilər.")
        case .noKeys: ("The vault has no reading key.", "Anbarın oxuma açarı yoxdur.")
        case .indexRebuilt: ("The index was rebuilt: %1 segments.", "İndeks yenidən quruldu: %1 seqment.")
        case .catalogRebuilt: ("The catalog was rebuilt: %1 archives.", "Kataloq yenidən quruldu: %1 arxiv.")
        // Columns, marks and figures.
        case .columnID: ("ID", "NÖMRƏ")
        case .columnTime: ("TIME", "VAXT")
        case .columnPolicy: ("POLICY", "SİYASƏT")
        case .columnComponent: ("COMPONENT", "KOMPONENT")
        case .columnFiles: ("FILES", "FAYLLAR")
        case .columnSize: ("SIZE", "HƏCM")
        case .columnRoots: ("SOURCES", "MƏNBƏLƏR")
        case .columnNote: ("NOTE", "QEYD")
        case .columnMode: ("MODE", "İCAZƏ")
        case .columnOwner: ("OWNER", "SAHİB")
        case .columnModified: ("MODIFIED", "DƏYİŞMƏ VAXTI")
        case .columnPath: ("PATH", "YOL")
        case .columnArchives: ("ARCHIVES", "ARXİVLƏR")
        case .columnNewest: ("NEWEST", "SONUNCU")
        case .columnSince: ("SINCE", "BAŞLANĞIC")
        case .columnKind: ("KIND", "NÖV")
        case .columnLabel: ("LABEL", "AD")
        case .columnCreated: ("CREATED", "YARADILIB")
        case .columnObject: ("OBJECT", "OBYEKT")
        case .columnReason: ("REASON", "SƏBƏB")
        case .columnBefore: ("BEFORE", "ƏVVƏL")
        case .columnAfter: ("AFTER", "SONRA")
        case .partialMark: ("partial", "natamam")
        case .administratorMark: ("administrator", "inzibatçı")
        case .statArchives: ("Archives", "Arxivlər")
        case .statRecords: ("Log records", "Jurnal yazıları")
        case .statSessions: ("Sessions", "Seanslar")
        case .statPacks: ("Packs", "Paketlər")
        case .statChunks: ("Chunks", "Parçalar")
        case .statSegments: ("Index segments", "İndeks seqmentləri")
        case .statReaders: ("Reading keys", "Oxuma açarları")
        case .statWriters: ("Writing hosts", "Yazan hostlar")
        case .statPlain: ("Archived data", "Arxivləşdirilmiş məlumat")
        case .statHead: ("Head of the log", "Jurnalın son yazısı")
        case .progressFiles: ("%1 files", "%1 fayl")
        case .progressRatio: ("dedup %1×", "dedup %1×")
        case .progressRemaining: ("%1 left", "%1 qalıb")
        case .progressPreparing: ("working", "işləyir")
        }
    }
}
