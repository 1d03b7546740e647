/// The QR symbol of a printed label: what it says is no secret.
package enum LabelCode {
    /// Half blocks, black on white, with the quiet zone that scanners want.
    package static func drawing(of text: String) throws(VaultError) -> String {
        try RecoveryKit.qrCode(of: text)
    }
}
