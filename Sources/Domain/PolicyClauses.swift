/// A clause of the regulation that is the reason for a demand on policies.
///
/// Data of one edition: a later edition may number its clauses otherwise.
package struct Clause: Sendable, Equatable {
    /// The decision whose clauses these are.
    package static let edition = "190102500003, 11.01.2019"

    /// As the regulation writes it, such as `5.2.1`.
    package var number: String

    package init(_ number: String) { self.number = number }

    package static let backupStrategy = Clause("2.12")
    package static let sites = Clause("3.3.1")
    package static let standbyCopy = Clause("3.5")
    package static let logRetention = Clause("3.7")
    package static let recoveryPlan = Clause("3.16.2")
    package static let recoveryTime = Clause("3.18.4")
    package static let policyDocument = Clause("5.1")
    package static let formatsAndPeriods = Clause("5.2.1")
    package static let archiveSecurity = Clause("5.2.4")
    package static let otherDuties = Clause("5.2.5")
    package static let automation = Clause("5.3")
    package static let responsiblePerson = Clause("5.4")

    /// The clause that demands a policy for a component.
    package static func demanding(_ component: Component) -> Clause {
        switch component {
        case .database: Clause("5.1.1")
        case .media: Clause("5.1.2")
        case .config: Clause("5.1.3")
        case .software: Clause("5.1.4")
        case .accessData: Clause("5.1.5")
        case .documentation: Clause("5.1.6")
        case .problemRegister: Clause("5.1.7")
        case .log: .logRetention
        }
    }

    /// The clause that demands a period for what a component leaves behind.
    package static func demandingRetention(of component: Component) -> Clause {
        component == .log ? .logRetention : .formatsAndPeriods
    }

    /// `clause 5.2.1`, `bənd 5.2.1`.
    package func text(in language: Language) -> String {
        switch language {
        case .english: "clause \(number)"
        case .azerbaijani: "bənd \(number)"
        }
    }
}
