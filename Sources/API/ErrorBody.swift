package import Domain

/// The shape of every error for programs: `{"error":{"kind","code","message","hint"}}`.
package struct ErrorBody: Codable, Sendable, Equatable {
    package struct Detail: Codable, Sendable, Equatable {
        /// A ``FailureKind``, as its raw value.
        package var kind: String
        /// The exit status of the command that met it.
        package var code: Int32
        package var message: String
        package var hint: String
    }

    package var error: Detail

    /// `status` is that of the command where it is not the one of the kind.
    package init(kind: FailureKind, status: Int32? = nil, message: String, hint: String) {
        error = Detail(kind: kind.rawValue, code: status ?? ExitStatus(kind).rawValue, message: message, hint: hint)
    }
}
