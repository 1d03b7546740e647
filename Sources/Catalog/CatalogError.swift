package import Domain

/// Why the catalog could not do what it was asked. It is a cache: what it lacks is rebuilt from the vault.
package struct CatalogError: Failure {
    package enum Code: String, Sendable { case io, noSpace, damaged, invalidInput }

    package var code: Code
    package var message: String
    package var hint: String

    package init(_ code: Code, _ message: String, hint: String = "") {
        self.code = code
        self.message = message
        self.hint = hint
    }

    package var isOutOfSpace: Bool { code == .noSpace }
    package var kind: FailureKind { code == .invalidInput ? .usage : .failed }
}
