// A command line that is malformed: what we say of it, and what the parser of arguments says.
extension ErrorWords {
    // MARK: Options that do not go together

    static let usageRows: [(en: String, az: String)] = [
        ("Run `qala --help`.", "`qala --help` icra edin."),
        ("--before-period goes with archives by name.", "--before-period adı yazılan arxivlərlə birlikdə verilir."),
        ("--capacity is 1048576 bytes or more.", "--capacity ən azı 1048576 bayt olmalıdır."),
        (
            "--checkpoint-seconds is a number from 0.001 to 3600.",
            "--checkpoint-seconds 0.001-dən 3600-ə qədər ədəddir."
        ),
        ("--count is a number from 1 to 1000.", "--count 1-dən 1000-ə qədər ədəddir."),
        ("--draft writes YAML; it does not go with --json.", "--draft YAML yazır; --json ilə birlikdə verilmir."),
        (
            "--dry-run ends no session; leave out --fence.",
            "--dry-run heç bir seansı bitirmir; --fence yazmayın."
        ),
        ("--dry-run goes with --approve.", "--dry-run --approve ilə birlikdə verilir."),
        (
            "--dry-run goes with --repair; without it nothing is changed.",
            "--dry-run --repair ilə birlikdə verilir; onsuz heç nə dəyişmir."
        ),
        ("--exclude is empty; write a pattern.", "--exclude boşdur; şablon yazın."),
        (
            "--json goes with --to; --format json writes the rows.",
            "--json --to ilə birlikdə verilir; sətirləri --format json yazır."
        ),
        ("--last is a number from 1 to %1.", "--last 1-dən %1-ə qədər ədəddir."),
        ("--limit is a number from 1 to %1.", "--limit 1-dən %1-ə qədər ədəddir."),
        ("--limit must be 1 or more.", "--limit 1 və ya daha çox olmalıdır."),
        (
            "--new-passphrase-file belongs to `key add passphrase`.",
            "--new-passphrase-file yalnız `key add passphrase` ilə verilir."
        ),
        (
            "--open goes with the registers problems, holds and media.",
            "--open yalnız problems, holds və media reyestrləri ilə verilir."
        ),
        (
            "--policy goes with --expired or --online-copies.",
            "--policy --expired və ya --online-copies ilə birlikdə verilir."
        ),
        (
            "--policy goes with the registers problems, runs, media, moved and policy-changes.",
            "--policy yalnız problems, runs, media, moved və policy-changes reyestrləri ilə verilir."
        ),
        ("--policy names a policy.", "--policy siyasətin adını göstərir."),
        (
            "--since is a date such as 2026-11-22 or a time such as 2026-11-22T15:00.",
            "--since 2026-11-22 kimi tarix və ya 2026-11-22T15:00 kimi vaxtdır."
        ),
        ("--trust goes with --pack.", "--trust --pack ilə birlikdə verilir."),
        ("--until is a number from --from on.", "--until --from-dan kiçik olmayan ədəddir."),
        (
            "--without-keys cannot read data; leave out --read-data and --sample.",
            "--without-keys məlumatı oxuya bilməz; --read-data və --sample yazmayın."
        ),
        ("A key file needs --to FILE.", "Açar faylı üçün --to FAYL lazımdır."),
        (
            "A passphrase is not written to a file; leave out --to.",
            "Parol ifadəsi fayla yazılmır; --to yazmayın."
        ),
        (
            "Give --signing-key FILE and --to FILE, or look with --dry-run.",
            "--signing-key FAYL və --to FAYL yazın, yaxud --dry-run ilə baxın."
        ),
        (
            "Give --signing-key FILE, or look with --approve FILE --dry-run.",
            "--signing-key FAYL yazın, yaxud --approve FAYL --dry-run ilə baxın."
        ),
        ("Give --signing-key FILE.", "--signing-key FAYL yazın."),
        (
            "Name a folder, or --roll-back N, or --request FILE with --approval FILE.",
            "Qovluq, --roll-back N və ya --request FAYL ilə birlikdə --approval FAYL yazın."
        ),
        ("Name a row by its number or id.", "Sətri nömrəsi və ya adı ilə göstərin."),
        (
            "Name archives, or --policy NAME, or --all.",
            "Arxivləri, --policy AD və ya --all göstərin."
        ),
        (
            "Name archives, or give --expired, or --online-copies.",
            "Arxivləri göstərin, --expired və ya --online-copies yazın."
        ),
        ("Say what the request is about.", "Sorğunun nə haqqında olduğunu yazın."),
        (
            "Say who wants it and why: --author PERSON --reason TEXT.",
            "Kimin və nə üçün istədiyini yazın: --author ŞƏXS --reason MƏTN."
        ),
        ("Say why with --reason TEXT.", "Səbəbini --reason MƏTN ilə yazın."),
        ("TEXT is empty.", "MƏTN boşdur."),
        (
            "The policy document is text or --html; leave out --json.",
            "Siyasət sənədi mətn və ya --html olur; --json yazmayın."
        ),
        (
            "Two persons are needed: one gives --request FILE, the other --approve FILE.",
            "İki şəxs lazımdır: biri --request FAYL, digəri --approve FAYL yazır."
        ),
        (
            "With --approval everything stands in the request: give --request and nothing else.",
            "--approval ilə hər şey sorğuda yazılıb: --request yazın, başqa heç nə yazmayın."
        ),
        (
            "With --approve everything stands in the request; give no --reason and no --time.",
            "--approve ilə hər şey sorğuda yazılıb; --reason və --time yazmayın."
        ),
        (
            "With --approve everything stands in the request; give nothing else.",
            "--approve ilə hər şey sorğuda yazılıb; başqa heç nə yazmayın."
        ),
        (
            "`%1` is no name of a policy; a file permits no removal.",
            "`%1` siyasətin adı deyil; fayl silməyə icazə vermir."
        ),
        ("`qala jobs` lists the ids of runs.", "İcraların adlarını `qala jobs` göstərir."),
        (
            "`%1` is no record: write its number, a colon, and 16 to 64 digits of its digest.",
            "`%1` qeyd deyil: nömrəsini, iki nöqtə və izinin 16–64 rəqəmini yazın."
        ),
    ]

    // MARK: The parser of arguments

    /// The lines of swift-argument-parser. They stand in no source of ours: a test makes it say each of them.
    static let parserRows: [(en: String, az: String)] = [
        ("Error: %1", "Xəta: %1"),
        ("Help:  %1", "İzah:  %1"),
        ("Usage: %1", "Yazılışı: %1"),
        ("  See '%1' for more information.", "  Ətraflı məlumat: '%1'."),
        ("Missing expected argument '%1'", "'%1' yazılmayıb"),
        ("Missing value for '%1'", "'%1' üçün qiymət yazılmayıb"),
        ("Unknown option '%1'", "naməlum seçim: '%1'"),
        ("Unknown option '%1'. Did you mean '%2'?", "naməlum seçim: '%1'. Bəlkə '%2'?"),
        ("Unexpected argument '%1'", "artıq arqument: '%1'"),
        ("%1 unexpected arguments: '%2'", "%1 artıq arqument: '%2'"),
        (
            "The option '%1' does not take any value, but '%2' was specified.",
            "'%1' seçiminin qiyməti olmur, lakin '%2' yazılıb."
        ),
        ("The value '%1' is invalid for '%2'", "'%1' qiyməti '%2' üçün yararsızdır"),
        (
            "The value '%1' is invalid for '%2'. Please provide one of '%3' and '%4'.",
            "'%1' qiyməti '%2' üçün yararsızdır. Birini yazın: '%3' və ya '%4'."
        ),
        (
            "The value '%1' is invalid for '%2'. Please provide one of %3 or '%4'.",
            "'%1' qiyməti '%2' üçün yararsızdır. Birini yazın: %3 və ya '%4'."
        ),
    ]
}
