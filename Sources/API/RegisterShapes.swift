package import Operations

extension ControlPath {
    package static let remark = "/v1/registers/problems/remark"
}

/// What a person has to say about a problem.
package struct RemarkAsked: Codable, Sendable {
    package var problem: Int
    package var text: String

    package init(problem: Int, text: String) {
        self.problem = problem
        self.text = text
    }
}

package struct RegisterRowReply: Codable, Sendable {
    package var register: RegisterName
    package var row: RegisterRow

    package init(register: RegisterName, row: RegisterRow) {
        self.register = register
        self.row = row
    }
}
