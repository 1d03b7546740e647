import Domain
import Vault

/// What stands on a volume for people. The lines that are indented by four spaces are the commands, the same in both
/// languages: a test runs them as they are printed.
enum VolumeTexts {
    /// Verifies the volume, then opens one archive and compares it with its sealed digests.
    static let commands: (setting: [String], verifying: [String], choosing: [String], opening: [String]) = (
        [
            "VOLUME=${VOLUME:-/mnt/volume}",
            "SECRET=${SECRET:-/mnt/safe/volume.secret}",
            "TARGET=${TARGET:-/restore}",
            "export LC_ALL=C",
        ],
        [
            "cd \"$VOLUME\"",
            "test ! -e UNFINISHED.txt",
            "openssl pkey -pubin -in volume.pub -outform DER | sha256sum",
            "openssl pkeyutl -verify -pubin -inkey volume.pub -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig",
            "sha256sum --check --strict --quiet SHA256SUMS",
            "test -s decoy.bin",
            "if sha256sum --check --status DECOY.SHA256SUMS; then false; else echo DECOY FOUND; fi",
        ],
        [
            "ls archives | sed -n 's/[.]tar[.]zst[.]enc[.]000001$//p'",
            "ARCHIVE=${ARCHIVE:-$(ls archives | sed -n 's/[.]tar[.]zst[.]enc[.]000001$//p' | head -n 1)}",
            "OPEN=\"openssl enc -d -aes-256-ctr -pbkdf2 -iter 10000 -md sha256\"",
        ],
        [
            "mkdir -p \"$TARGET\"",
            "cat archives/$ARCHIVE.tar.zst.enc.* | $OPEN -pass file:\"$SECRET\" | zstd -d -c | "
                + "tar -x -f - -C \"$TARGET\" -p --numeric-owner --xattrs --xattrs-include='*'",
            "$OPEN -pass file:\"$SECRET\" -in archives/$ARCHIVE.sha256.zst.enc | zstd -d -c | "
                + "(cd \"$TARGET\" && sha256sum --check --strict --quiet -)",
        ]
    )

    private static func block(_ lines: [String]) -> String { lines.map { "    " + $0 }.joined(separator: "\n") }

    static func readMe(_ identity: VolumeIdentity, fingerprint: String, _ language: Language) -> String {
        language == .azerbaijani
            ? azerbaijani(identity, fingerprint) : english(identity, fingerprint)
    }

    private static func english(_ identity: VolumeIdentity, _ fingerprint: String) -> String {
        """
        OFFLINE VOLUME \(identity.id)
        \(identity.title)
        Made: \(identity.created)

        This medium holds archives of a state information system. To open it you need
        this medium, its secret (a file whose first line has 64 digits; it is kept
        elsewhere) and the programs openssl 3, zstd, GNU tar and sha256sum. No other
        program and no network are needed. Nothing here writes to this medium.

        Type the indented lines into a shell, one after another, as root: only root can
        give files back to their owners. In the first three say where the medium, the
        secret and the new empty directory are.

        \(block(commands.setting))

        1. VERIFY. Do this first, and stop at the first line that fails.

        \(block(commands.verifying))

        The third line prints a fingerprint. It must be this one, and above all the one
        on the printed label, because a forger of this medium could print his own here:
        \(fingerprint)
        The fourth line says "Signature Verified Successfully". The fifth is silent when
        every file is what was written. The last one must print DECOY FOUND: decoy.bin is
        wrong on purpose, and a verification that does not notice it notices nothing.

        2. CHOOSE. The first line lists the archives; catalog/ARCHIVE.jsonl lists what is
        in each, one entry a line (grep finds names). Set ARCHIVE to the one you want.

        \(block(commands.choosing))

        3. OPEN. The second line restores everything below the target; the third is silent
        when every file is what was archived. For some files only, name their paths, as
        the catalog shows them but without the first slash, at the end of the second line,
        and add --ignore-missing to sha256sum in the third.

        \(block(commands.opening))

        If the secret is lost, qala and a key of the vault write it again:
        qala volume secret DIRECTORY --to FILE

        """
    }

    private static func azerbaijani(_ identity: VolumeIdentity, _ fingerprint: String) -> String {
        """
        OFLAYN DAŞIYICI \(identity.id)
        \(identity.title)
        Hazırlanıb: \(identity.created)

        Bu daşıyıcıda dövlət informasiya sisteminin arxivləri saxlanılır. Onu açmaq üçün
        daşıyıcının özü, onun sirri (birinci sətrində 64 rəqəm olan fayl; başqa yerdə
        saxlanılır) və openssl 3, zstd, GNU tar, sha256sum proqramları lazımdır. Başqa
        proqram və şəbəkə lazım deyil. Aşağıdakı əmrlər daşıyıcıya heç nə yazmır.

        Sağa çəkilmiş sətirləri bir-bir, root kimi icra edin: faylları sahiblərinə yalnız
        root qaytara bilər. İlk üç sətirdə daşıyıcının, sirrin və yeni boş qovluğun yerini
        göstərin.

        \(block(commands.setting))

        1. YOXLAMA. Əvvəlcə bunu edin və səhv verən ilk sətirdə dayanın.

        \(block(commands.verifying))

        Üçüncü sətir açarın izini göstərir. O, aşağıdakı ilə, ən əsası isə çap olunmuş
        etiketdəki ilə eyni olmalıdır, çünki daşıyıcını saxtalaşdıran buraya öz izini yaza
        bilər:
        \(fingerprint)
        Dördüncü sətir "Signature Verified Successfully" yazır. Bütün fayllar yazıldığı
        kimidirsə, beşinci sətir heç nə yazmır. Sonuncu sətir DECOY FOUND yazmalıdır:
        decoy.bin qəsdən səhvdir və onu görməyən yoxlama heç nəyi görmür.

        2. SEÇİM. Birinci sətir arxivləri sadalayır; hər birinin tərkibi
        catalog/ARXİV.jsonl faylındadır, hər sətirdə bir ad (grep ilə axtarmaq olar).
        ARCHIVE dəyişəninə istədiyiniz arxivi yazın.

        \(block(commands.choosing))

        3. AÇILMA. İkinci sətir hər şeyi hədəf qovluğa bərpa edir; bütün fayllar
        arxivləşdirildiyi kimidirsə, üçüncü sətir heç nə yazmır. Yalnız bəzi faylları bərpa
        etmək üçün onların yollarını kataloqdakı kimi, amma ilk kəsr xətti olmadan ikinci
        sətrin sonuna yazın, üçüncü sətirdə sha256sum əmrinə --ignore-missing əlavə edin.

        \(block(commands.opening))

        Sirr itibsə, qala proqramı və anbarın açarı onu yenidən yazır:
        qala volume secret QOVLUQ --to FAYL

        """
    }

    static let unfinished = """
        Bu daşıyıcıya yazı başa çatmayıb: `qala volume write` əmrini təkrar edin.
        A write to this volume was not finished: run `qala volume write` again.

        """

    /// For printing; without what changes while the volume lies on its shelf, unless the register says it.
    static func label(_ identity: VolumeIdentity, fingerprint: String, more: [String]) throws -> String {
        let halves = [String(fingerprint.prefix(32)), String(fingerprint.dropFirst(32))]
        let code = try LabelCode.drawing(of: "QALA-VOLUME:\(identity.id):\(fingerprint)")
        let facts = [
            "QALA  OFLAYN DAŞIYICI / OFFLINE VOLUME",
            "",
            "Nömrə / Id             \(identity.id)",
            "Ad / Title             \(identity.title)",
            "Tarix / Date           \(identity.created.prefix(10))",
            "Açarın izi /           \(halves[0])",
            "Key fingerprint        \(halves[1])",
        ]
        return (facts + more + ["", code]).joined(separator: "\n") + "\n"
    }
}
