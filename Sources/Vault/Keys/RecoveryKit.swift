import CQREncode
package import Domain

/// What is printed, sealed in an envelope and kept in a safe: with it, one copy of the vault and the `qala` program,
/// everything can be restored.
package struct RecoveryKit: Sendable {
    package let secret: Secret
    package let vaultID: Digest
    /// The head of the log when the kit was made: a log that lacks it was cut short.
    package let logNumber: UInt64
    package let logDigest: Digest
    /// The day, as text for people.
    package let created: String
    /// Where the vault was, as text for people.
    package let vaultLocation: String

    package init(
        secret: Secret, vaultID: Digest, logNumber: UInt64, logDigest: Digest, created: String, vaultLocation: String
    ) {
        self.secret = secret
        self.vaultID = vaultID
        self.logNumber = logNumber
        self.logDigest = logDigest
        self.created = created
        self.vaultLocation = vaultLocation
    }

    /// Plain text in UTF-8, 80 columns unless the location is long; a page and a half of A4.
    package func document() throws(VaultError) -> String {
        let code = KeyText.encode(secret, vaultID: vaultID)
        let half = code.index(code.startIndex, offsetBy: min(42, code.count))
        return """
            ================================================================================
              QALA — BƏRPA DƏSTİ / RECOVERY KIT
            ================================================================================

            Anbar / Vault        \(vaultID.hex.prefix(32))
                                 \(vaultID.hex.dropFirst(32))
            Yeri / Location      \(vaultLocation)
            Tarix / Date         \(created)
            Jurnalın son qeydi / \(logNumber)
            Head of the log      \(logDigest.hex.prefix(32))
                                 \(logDigest.hex.dropFirst(32))

            AÇAR KODU / KEY CODE

                \(code[..<half])
                \(code[half...])

            \(try Self.qrCode(of: code))
            AZƏRBAYCANCA

            Bu vərəq nədir. Arxivləri açan açardır. Serverlər, verilənlər bazaları və bütün
            parollar itsə belə, bərpa üçün bu kod, anbarın bir nüsxəsi və qala proqramı
            kifayətdir.

            Necə saxlamalı. Möhürlənmiş zərfdə, seyfdə, anbardan ayrı yerdə. Bu kodu bilən
            hər kəs bütün arxivləri oxuya bilər: surətini çıxarmayın, şəklini çəkməyin,
            elektron poçtla göndərməyin. Zərf icazəsiz açılıbsa, məsul şəxsə dərhal xəbər
            verin.

            Necə bərpa etməli.
              1. Kodu (və ya QR kodunun mətnini) yalnız sizin oxuya bildiyiniz kit.key
                 faylına yazın. Böyük-kiçik hərf, boşluq və tire fərq etmir. O hərfi sıfır,
                 I və L hərfləri bir sayılır.
              2. Anbarın bir nüsxəsini qoşun və arxivlərin siyahısına baxın:
                   \(Self.listCommand)
              3. Boş qovluğa bərpa edin:
                   \(Self.restoreCommand)
              4. Bu nüsxənin jurnalında yuxarıdakı qeyd olmalıdır; bu əmr yoxlayır:
                   \(headCommand)
                 Zədə göstərilirsə, nüsxə köhnədir və ya kəsilib: başqasını götürün.
              5. Sonra kit.key faylını silin, zərfi yenidən möhürləyin və açılmasını
                 qeydiyyata alın.

            ENGLISH

            What this sheet is. A key that opens the archives. Should the servers, the
            databases and every password be lost, this code, one copy of the vault and the
            qala program suffice to restore.

            How to keep it. In a sealed envelope, in a safe, away from the vault. Whoever
            knows the code can read every archive: make no copy, take no picture, send it by
            no e-mail. If the envelope was opened without permission, tell the responsible
            person at once.

            How to restore.
              1. Write the code (or the text of the QR code) to a file kit.key that only you
                 can read. Case, spaces and dashes do not matter. The letter O reads as
                 zero, the letters I and L as one.
              2. Attach a copy of the vault and look at the list of archives:
                   \(Self.listCommand)
              3. Restore into an empty directory:
                   \(Self.restoreCommand)
              4. The log of this copy must have the record named above; this checks it:
                   \(headCommand)
                 If damage is shown, this copy is old or was cut short: take another.
              5. Afterwards delete kit.key, seal the envelope again and register that it was
                 opened.

            """
    }

    private static let listCommand = "qala archives --vault /mnt/vault --key-file kit.key"
    private var headCommand: String {
        "qala verify --vault /mnt/vault --head \(logNumber):\(logDigest.hex.prefix(16))"
    }
    private static let restoreCommand = "qala restore latest --vault /mnt/vault --key-file kit.key --to /restore"

    /// The code as a QR symbol of half blocks, black on white, with the quiet zone of four modules that scanners want.
    static func qrCode(of text: String) throws(VaultError) -> String {
        guard let symbol = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1) else {
            throw VaultError(.io, "the QR code could not be drawn", hint: "Check that memory is free.")
        }
        defer { QRcode_free(symbol) }
        let width = Int(symbol.pointee.width)
        guard width > 0, width <= 177, let modules = symbol.pointee.data else {
            throw VaultError(.io, "the QR code could not be drawn")
        }
        defer { qrWipe(modules, count: width * width) }
        let quiet = 4
        func isDark(_ x: Int, _ y: Int) -> Bool {
            (0..<width).contains(x) && (0..<width).contains(y) && modules[y * width + x] & 1 == 1
        }
        var drawing = ""
        for y in stride(from: -quiet, to: width + quiet, by: 2) {
            var line = ""
            for x in -quiet..<width + quiet {
                switch (isDark(x, y), isDark(x, y + 1)) {
                case (true, true): line += "█"
                case (true, false): line += "▀"
                case (false, true): line += "▄"
                case (false, false): line += " "
                }
            }
            while line.last == " " { line.removeLast() }
            drawing += line + "\n"
        }
        return drawing
    }

    private static func qrWipe(_ modules: UnsafeMutablePointer<UInt8>, count: Int) {
        Wipe.bytes(UnsafeMutableRawBufferPointer(start: modules, count: count))
    }
}
