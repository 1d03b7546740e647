import Domain

extension ReconcileKind {
    /// What was found, about `subject`; `detail` says more where there is more.
    func what(_ subject: String, _ detail: String, _ language: Language) -> String {
        let both = what(subject, detail)
        return language == .azerbaijani ? both.az : both.en
    }

    func next(_ language: Language) -> String { language == .azerbaijani ? advice.az : advice.en }

    private func what(_ id: String, _ detail: String) -> (en: String, az: String) {
        switch self {
        case .archiveMissing:
            ("archive \(id) is in the log of no vault", "\(id) arxivi heç bir anbarın jurnalında yoxdur")
        case .archiveWithoutRun:
            (
                "archive \(id) of policy \(detail) is in the vault, and no run tells of it",
                "\(detail) siyasətinin \(id) arxivi anbardadır, lakin heç bir icra ondan xəbər vermir"
            )
        case .archiveTwice:
            ("archive \(id) belongs to several runs: \(detail)", "\(id) arxivi bir neçə icraya aiddir: \(detail)")
        case .vaultReplaced:
            (
                "vault \(id) held archives, and another vault is at its place",
                "\(id) anbarında arxivlər var idi, indi onun yerində başqa anbardır"
            )
        case .runNotRegistered:
            ("run \(id) is over and not in the register", "\(id) icrası bitib, lakin reyestrdə yoxdur")
        case .runContradicts:
            ("run \(id) ended differently: \(detail)", "\(id) icrasının sonu fərqli göstərilir: \(detail)")
        case .runUnreadable: ("the record of a run cannot be read: \(id)", "icra qeydi oxunmur: \(id)")
        case .registerDamaged: ("a register is damaged: \(detail)", "reyestr zədələnib: \(detail)")
        case .holdMissing:
            ("hold \(id) was placed and is not in the log", "\(id) qadağası qoyulub, lakin jurnalda yoxdur")
        case .holdContradicts:
            ("hold \(id) was released and is in force", "\(id) qadağası götürülüb, lakin qüvvədədir")
        case .disposalMissing:
            ("archive \(id) was disposed of and is not a stub", "\(id) arxivi məhv edilib, lakin jurnalda belə deyil")
        case .volumeArchiveMissing:
            (
                "volume \(detail) holds archive \(id), which no log names",
                "\(detail) daşıyıcısındakı \(id) arxivi jurnalda yoxdur"
            )
        case .departedVolumeMissing:
            (
                "volume \(id) keeps archives that left the vault, and is not in the register of volumes",
                "\(id) daşıyıcısı anbardan çıxmış arxivləri saxlayır, lakin daşıyıcılar reyestrində yoxdur"
            )
        case .departedArchiveMissing:
            (
                "archive \(id) left the vault for volumes, and no registered volume holds it",
                "\(id) arxivi anbardan daşıyıcılara keçib, lakin reyestrdəki heç bir daşıyıcıda yoxdur"
            )
        case .departedArchiveLost:
            (
                "archive \(id) left the vault for volumes, and only lost ones hold it: \(detail)",
                "\(id) arxivi anbardan daşıyıcılara keçib, o isə yalnız itirilmiş daşıyıcıdadır: \(detail)"
            )
        case .volumeDamaged: ("the register of volumes: \(detail)", "daşıyıcılar reyestri: \(detail)")
        case .segmentArchiveMissing:
            (
                "log segments \(detail) lie in archive \(id), which no log names",
                "\(detail) loq seqmentləri \(id) arxivindədir, o isə jurnalda yoxdur"
            )
        case .segmentMissing:
            (
                "log segment \(id) is neither in the spool nor in an archive",
                "\(id) loq seqmenti nə növbədə, nə də arxivdədir"
            )
        case .ledgerDamaged: ("the ledger of log segments: \(detail)", "loq seqmentlərinin dəftəri: \(detail)")
        case .policiesDamaged: (detail, "tətbiq edilmiş siyasətlərin reyestri zədələnib: \(detail)")
        case .policyMissing:
            ("\(id) of the policies came into force and is gone", "siyasətlərin qüvvəyə minmiş versiyası yoxdur: \(id)")
        case .policyContradicts:
            (
                "\(id) of the policies is not the one that came into force",
                "siyasətlərin versiyası qüvvəyə minəndən fərqlidir: \(id)"
            )
        case .auditDamaged: ("the audit log cannot be read: \(detail)", "audit jurnalı oxunmur: \(detail)")
        case .problemOutOfForce:
            (
                "problem \(id) is open, and \(detail) is not in force any more",
                "\(id) nömrəli problem açıqdır, \(detail) isə artıq qüvvədə deyil"
            )
        case .archiveByHand:
            (
                "archive \(id) was made by hand; no record tells by whom",
                "\(id) arxivi əl ilə yaradılıb, kim yaratdığı qeyd olunmayıb"
            )
        case .archiveOfNoPolicy:
            (
                "archive \(id) is of policy \(detail), which is not in force, and no run tells of it",
                "\(id) arxivi qüvvədə olmayan \(detail) siyasətinindir, heç bir icra ondan xəbər vermir"
            )
        case .runNotEnded: ("run \(id) has not ended: \(detail)", "\(id) icrası bitməyib: \(detail)")
        case .volumeHoldsDisposed:
            (
                "volume \(detail) holds archive \(id), which was disposed of",
                "\(detail) daşıyıcısında məhv edilmiş \(id) arxivi var"
            )
        case .volumeOfOtherVault:
            (
                "volume \(detail) holds archives of a vault that is not here: \(id)",
                "\(detail) daşıyıcısında başqa anbarın arxivləri var: \(id)"
            )
        }
    }

    private var advice: (en: String, az: String) {
        switch self {
        case .archiveMissing, .holdMissing, .holdContradicts, .disposalMissing, .volumeArchiveMissing,
            .segmentArchiveMissing:
            (
                "Delete nothing. The log may have been cut or exchanged: `qala verify`, and compare it with the mirror.",
                "Heç nə silməyin. Jurnal kəsilmiş və ya dəyişdirilmiş ola bilər: `qala verify`, sonra güzgü nüsxə ilə müqayisə edin."
            )
        case .vaultReplaced:
            (
                "Find it, or its mirror, and run this with `--vault` at its new place; delete nothing.",
                "Onu və ya güzgü nüsxəsini tapın və bu əmri `--vault` ilə yeni yeri göstərərək icra edin; heç nə silməyin."
            )
        case .departedVolumeMissing, .departedArchiveMissing:
            (
                "Destroy no volume. Find it, and bring its files below STATE/volumes back from an archive of the state directory.",
                "Heç bir daşıyıcını məhv etməyin. Onu tapın və STATE/volumes qovluğundakı fayllarını vəziyyət qovluğunun arxivindən bərpa edin."
            )
        case .departedArchiveLost:
            (
                "Look for the volume; `qala volume checkin` registers that it was found. When nothing keeps the archive any more, `qala volume destroy` closes it.",
                "Daşıyıcını axtarın; tapılanda `qala volume checkin` bunu qeyd edir. Arxiv daha saxlanılmırsa, `qala volume destroy` onu bağlayır."
            )
        case .archiveWithoutRun:
            (
                "`qala audit show --operation archive` tells who was at work; `qala reconcile --repair` registers it.",
                "`qala audit show --operation archive` kimin işlədiyini göstərir; `qala reconcile --repair` onu reyestrə yazır."
            )
        case .archiveTwice, .runContradicts:
            (
                "Compare `qala register runs show` with `qala audit show --operation archive`.",
                "`qala register runs show` ilə `qala audit show --operation archive` nəticələrini müqayisə edin."
            )
        case .runNotRegistered, .runNotEnded:
            ("A start of the daemon settles it.", "Xidmət başlayanda bunu özü tamamlayır.")
        case .runUnreadable, .registerDamaged, .volumeDamaged, .ledgerDamaged, .policiesDamaged, .policyMissing,
            .policyContradicts:
            (
                "Do not change the files; compare them with an archive of the state directory.",
                "Faylları dəyişməyin; onları vəziyyət qovluğunun arxivi ilə müqayisə edin."
            )
        case .segmentMissing:
            (
                "`qala log-segments verify` says more; restore the segment from an archive.",
                "`qala log-segments verify` ətraflı göstərir; seqmenti arxivdən bərpa edin."
            )
        case .auditDamaged: ("`qala audit verify` says where.", "`qala audit verify` harada olduğunu göstərir.")
        case .problemOutOfForce:
            (
                "It stays open until the policy is back and passes; say why with `qala register problems remark`.",
                "Siyasət qayıdıb uğurla icra olunanadək açıq qalır; səbəbi `qala register problems remark` ilə yazın."
            )
        case .archiveByHand, .archiveOfNoPolicy: ("Nothing needs to be done.", "Heç nə etmək lazım deyil.")
        case .volumeHoldsDisposed:
            (
                "Destroy the volume, or write what is still kept to another one.",
                "Daşıyıcını məhv edin və ya hələ saxlanılanları başqasına yazın."
            )
        case .volumeOfOtherVault:
            ("Run this with the vault that it belongs to.", "Bu əmri həmin anbarla icra edin.")
        }
    }
}
