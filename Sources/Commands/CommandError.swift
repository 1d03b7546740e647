package import Domain

/// Why the command line itself could not go on. The words are already in the language of the person.
package struct CommandError: Failure {
    package var kind: FailureKind
    package var message: String
    package var hint: String

    package init(_ kind: FailureKind, _ message: String, hint: String = "") {
        self.kind = kind
        self.message = message
        self.hint = hint
    }
}

/// The reader of our output went away, as `head` does; not an error of the operation.
struct BrokenPipe: Error {}
