/// Why a calendar expression, or a time window, could not be understood.
package struct CalendarError: Failure, Equatable {
    /// UTF-8 bytes before the place in question.
    package var offset: Int
    /// What is wrong there: lower case, no full stop.
    package var reason: String
    /// What to write instead.
    package var hint: String

    package var kind: FailureKind { .badPolicy }
    package var message: String { "calendar expression, column \(offset + 1): \(reason)" }

    package init(at offset: Int, _ reason: String, hint: String) {
        self.offset = offset
        self.reason = reason
        self.hint = hint
    }
}
