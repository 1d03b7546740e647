// What two persons decide, volumes, and policies.
extension ErrorWords {
    // MARK: Disposal, holds and two persons

    static let decisionRows: [(en: String, az: String)] = [
        ("a reason is needed", "səbəb göstərilməlidir"),
        ("Say it with --reason.", "Onu --reason ilə yazın."),
        ("%1 is no request: %2", "%1 sorğu deyil: %2"),
        ("Ask for the request file again.", "Sorğu faylını yenidən istəyin."),
        ("%1 cannot be read", "%1 oxunmur"),
        ("Name the file that the first person made.", "Birinci şəxsin yaratdığı faylı göstərin."),
        ("%1 asks for something else", "%1 başqa şey üçün sorğudur"),
        ("Use `qala dispose --approve`.", "`qala dispose --approve` yazın."),
        ("Use `qala hold release --approve`.", "`qala hold release --approve` yazın."),
        ("there is no hold %1", "%1 hüquqi saxlaması yoxdur"),
        (
            "Give 4 digits of its id at least; `qala hold list` shows them.",
            "Nömrəsinin ən azı 4 rəqəmini yazın; siyahı: `qala hold list`."
        ),
        ("%1 holds begin with %2", "%2 ilə başlayan hüquqi saxlamaların sayı: %1"),
        ("no archive has expired under %1 of the policies", "siyasətlərə görə müddəti bitmiş arxiv yoxdur (%1)"),
        (
            "`qala tiers` tells why each is kept, and until when.",
            "Hər birinin niyə və nə vaxtadək saxlanıldığını `qala tiers` göstərir."
        ),
        (
            "no archive may leave the vault under %1 of the policies",
            "siyasətlərə görə anbardan çıxa bilən arxiv yoxdur (%1)"
        ),
        (
            "`qala tiers` tells what is due for each, and until when it is kept online. A volume that is gone, checked out or overdue lets nothing leave.",
            "Hər biri üçün nə edilməli olduğunu və nə vaxtadək onlayn saxlanıldığını `qala tiers` göstərir. Yox olmuş, verilmiş və ya yoxlama vaxtı keçmiş daşıyıcı heç nəyi buraxmır."
        ),
        (
            "archive %1 is of policy %2, which is in force: %3",
            "%1 arxivi qüvvədə olan %2 siyasətinindir: %3"
        ),
        (
            "`qala tiers` tells until when. With --before-period two persons decide it all the same.",
            "Nə vaxtadək olduğunu `qala tiers` göstərir. --before-period ilə iki şəxs yenə də qərar verə bilər."
        ),
        (
            "vault time is not trusted: the clock jumped, or this host was off for long",
            "anbar vaxtı etibarlı deyil: saat sıçrayıb və ya host uzun müddət söndürülü olub"
        ),
        ("there is no policy %1, and no archive of it", "%1 adlı siyasət və ya onun arxivi yoxdur"),
        ("`qala policy show` names the policies.", "Siyasətləri `qala policy show` göstərir."),
        ("`%1` is no date", "`%1` tarix deyil"),
        ("Write YYYY-MM-DD, a day that the calendar has.", "Təqvimdə olan günü İİİİ-AA-GG şəklində yazın."),
    ]

    // MARK: Volumes

    static let volumeRows: [(en: String, az: String)] = [
        ("there is no volume %1", "%1 daşıyıcısı yoxdur"),
        (
            "Give 4 digits of its id at least; `qala volume list` shows them.",
            "Nömrəsinin ən azı 4 rəqəmini yazın; siyahı: `qala volume list`."
        ),
        ("%1 volumes begin with %2", "%2 ilə başlayan daşıyıcıların sayı: %1"),
        ("another process works on volume %1", "%1 daşıyıcısı üzərində başqa proses işləyir"),
        ("Wait until it has ended, and repeat.", "Onun bitməsini gözləyin və təkrar edin."),
        ("no volume holds archive %1", "%1 arxivi heç bir daşıyıcıda yoxdur"),
        ("`qala volume list` shows what is on volumes.", "Daşıyıcılarda nə olduğunu `qala volume list` göstərir."),
        ("no volume holds these paths of archive %1: %2", "%1 arxivinin bu yolları heç bir daşıyıcıda yoxdur: %2"),
        (
            "`qala volume inventory` lists what is on a volume.",
            "Daşıyıcıda nə olduğunu `qala volume inventory` göstərir."
        ),
        ("the volume does not hold archive %1", "daşıyıcıda %1 arxivi yoxdur"),
        (
            "`qala volume pull-list %1` names the volumes that do.",
            "Hansı daşıyıcılarda olduğunu `qala volume pull-list %1` göstərir."
        ),
        ("volume %1 is out already: %2 has it", "%1 daşıyıcısı artıq verilib: kimdədir – %2"),
        ("Check it in first.", "Əvvəlcə onun qaytarılmasını qeyd edin."),
        ("%1 holds no volume", "%1 yerində daşıyıcı yoxdur"),
        ("Name the directory where the volume is mounted.", "Daşıyıcının qoşulduğu qovluğu göstərin."),
        ("Name the secret file of the volume with --secret.", "Daşıyıcının sirr faylını --secret ilə göstərin."),
        ("%1 is not the secret of volume %2", "%1 %2 daşıyıcısının sirri deyil"),
        (
            "The second line of a secret file names its volume; with a key of the vault `qala volume secret` writes it again.",
            "Sirr faylının ikinci sətri daşıyıcını göstərir; anbarın açarı ilə `qala volume secret` onu yenidən yazır."
        ),
        ("a part is too small", "hissə çox kiçikdir"),
        ("Give --part-size 65536 or more.", "--part-size 65536 və ya daha çox yazın."),
        ("the record of volume %1 is not what was written", "%1 daşıyıcısının qeydi yazıldığı kimi deyil"),
        ("the register has no record of volume %1", "reyestrdə %1 daşıyıcısının qeydi yoxdur"),
        (
            "the custody log of volume %1 was changed before %2",
            "%1 daşıyıcısının saxlanma jurnalı %2 tarixli sətirdən əvvəl dəyişdirilib"
        ),
        ("Bring %1 back from a copy.", "%1 faylını nüsxədən qaytarın."),
        (
            "Compare %1 with a copy, and find out who changed it.",
            "%1 faylını nüsxə ilə müqayisə edin və onu kimin dəyişdirdiyini aydınlaşdırın."
        ),
        (
            "the record, which names the archives on the volume, is damaged or missing",
            "daşıyıcıdakı arxivləri göstərən qeyd zədələnib və ya yoxdur"
        ),
        (
            "%1 archives are of another vault; name it with --vault",
            "%1 arxiv başqa anbarındır; onu --vault ilə göstərin"
        ),
        ("this host's register has no volume %1", "bu hostun reyestrində %1 daşıyıcısı yoxdur"),
        (
            "Write on the host that made the volume, or make a new one.",
            "Daşıyıcını hazırlayan hostda yazın və ya yenisini hazırlayın."
        ),
        ("the volume is full", "daşıyıcı dolub"),
        (
            "Use another volume for the archives that it does not list.",
            "Orada olmayan arxivlər üçün başqa daşıyıcı götürün."
        ),
        ("A volume is made on an empty medium or directory.", "Daşıyıcı boş qurğuda və ya boş qovluqda hazırlanır."),
        ("a volume is verified again after some time", "daşıyıcı bir müddətdən sonra yenidən yoxlanılmalıdır"),
        ("Give --reverify, such as \"1 year\".", "--reverify yazın, məsələn \"1 il\"."),
        (
            "the %1 is empty, too long or has control characters",
            "mətn (%1) boşdur, çox uzundur və ya idarəedici simvolları var"
        ),
        ("Write one line of at most 200 bytes.", "Ən çoxu 200 baytlıq bir sətir yazın."),
        ("%1 lies on the volume", "%1 daşıyıcının üzərindədir"),
        (
            "Name a place on another medium, which is kept elsewhere.",
            "Başqa yerdə saxlanılan başqa qurğuda yer göstərin."
        ),
        ("\"%1\" is no fingerprint", "\"%1\" açarın barmaq izi deyil"),
        ("Give its first 16 digits at least, as on the label.", "Etiketdəki kimi ən azı ilk 16 rəqəmini yazın."),
        (
            "nothing proves who signed volume %1: this host does not know it",
            "%1 daşıyıcısını kimin imzaladığı sübut olunmur: bu host onu tanımır"
        ),
        ("Give the fingerprint on its label with --fingerprint.", "Etiketdəki barmaq izini --fingerprint ilə yazın."),
        (
            "the key of volume %1 is not the one with this fingerprint",
            "%1 daşıyıcısının açarı bu barmaq izinə uyğun deyil"
        ),
        (
            "It is another volume than the label says, or a forged one: use another copy.",
            "Bu, etiketdə göstərilən daşıyıcı deyil və ya saxtadır: başqa nüsxədən istifadə edin."
        ),
        ("%1 is not what was signed, or cannot be read", "%1 imzalanmış fayl deyil və ya oxunmur"),
        (
            "Nothing was opened. Use another volume with this archive: `qala volume pull-list %1`.",
            "Heç nə açılmadı. Bu arxivin olduğu başqa daşıyıcıdan istifadə edin: `qala volume pull-list %1`."
        ),
        ("Use another copy of the volume.", "Daşıyıcının başqa nüsxəsindən istifadə edin."),
        ("Verify the volume.", "Daşıyıcını yoxlayın."),
        ("cannot make %1: %2", "%1 yaradıla bilmədi: %2"),
        ("cannot write %1: %2", "%1 yazıla bilmədi: %2"),
        ("Name a new file in a directory that you may write.", "Yaza bildiyiniz qovluqda yeni fayl göstərin."),
        ("Check the medium.", "Qurğunu yoxlayın."),
    ]

    // MARK: Policies

    static let policyRows: [(en: String, az: String)] = [
        (
            "a change of the policies needs an author and a reason",
            "siyasətlərin dəyişdirilməsi üçün müəllif və səbəb lazımdır"
        ),
        (
            "Give an id of people.yaml with --author, and at most 4096 bytes of text with --reason.",
            "--author ilə people.yaml sənədindəki adı, --reason ilə ən çoxu 4096 baytlıq mətn yazın."
        ),
        ("%1 is not in the people.yaml that is in force", "%1 qüvvədə olan people.yaml sənədində yoxdur"),
        (
            "Give the id of a person of the register with --author.",
            "--author ilə reyestrdəki şəxsin adını yazın."
        ),
        ("%1 is not in office on %2", "%1 %2 tarixində vəzifədə deyil"),
        ("Let a person in office ask for the change.", "Dəyişikliyi vəzifədə olan şəxs istəməlidir."),
        (
            "%1 has the account %2, and the account %3 asks",
            "%1 adlı şəxsin hesabı %2-dir, sorğunu isə %3 hesabı verir"
        ),
        ("the author signs the request", "sorğunu müəllif imzalamalıdır"),
        (
            "Give the author's own key with --signing-key FILE.",
            "Müəllifin öz açarını --signing-key FAYL ilə göstərin."
        ),
        ("a person approves twice", "bir şəxs iki dəfə təsdiq edir"),
        ("Give each approval once.", "Hər təsdiqi bir dəfə göstərin."),
        ("a second person must approve this change: %1", "bu dəyişikliyi ikinci şəxs təsdiq etməlidir: %1"),
        (
            "Write the request with --request FILE and let another person run `qala policy approve FILE`.",
            "--request FAYL ilə sorğu yazın, başqa şəxs isə `qala policy approve FAYL` icra etsin."
        ),
        ("no policies were applied on this host", "bu hostda heç bir siyasət tətbiq edilməyib"),
        (
            "Put a folder into force with `qala policy apply FOLDER`, or name the folder.",
            "`qala policy apply QOVLUQ` ilə siyasətləri qüvvəyə mindirin və ya qovluğu göstərin."
        ),
        ("another command puts policies into force", "siyasətləri başqa əmr qüvvəyə mindirir"),
        ("Run this one again when it has ended.", "O bitəndə bu əmri yenidən icra edin."),
        (
            "the policies in force are others than the change was made for: version %1 is in force now",
            "dəyişiklik başqa siyasətlər üçün hazırlanıb: indi %1 nömrəli versiya qüvvədədir"
        ),
        (
            "See `qala policy plan`, and ask for the change anew.",
            "`qala policy plan` ilə baxın və dəyişikliyi yenidən istəyin."
        ),
        ("there is no request %1", "%1 sorğu faylı yoxdur"),
        ("there is no approval %1", "%1 təsdiq faylı yoxdur"),
        ("there is no signing key %1", "%1 imza açarı faylı yoxdur"),
        ("%1 is no approval: %2", "%1 təsdiq deyil: %2"),
        ("Ask for the file again.", "Faylı yenidən istəyin."),
        (
            "Name the file that the other person, or `qala policy`, wrote.",
            "Başqa şəxsin və ya `qala policy` əmrinin yazdığı faylı göstərin."
        ),
        ("others can read %1", "%1 faylını başqaları oxuya bilər"),
        ("Run `chmod 600` on it.", "Ona `chmod 600` tətbiq edin."),
        (
            "this request was carried out already, as version %1 of the policies",
            "bu sorğu artıq icra olunub: siyasətlərin %1 nömrəli versiyası"
        ),
        (
            "Ask anew with `qala policy apply`; another person must approve it anew.",
            "`qala policy apply` ilə yenidən istəyin; başqa şəxs onu yenidən təsdiq etməlidir."
        ),
        ("there is no version %1 of the policies", "siyasətlərin %1 nömrəli versiyası yoxdur"),
        ("`qala policy history` lists them.", "Siyahı: `qala policy history`."),
    ]
}
