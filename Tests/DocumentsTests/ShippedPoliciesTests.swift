import Documents
import Domain
import Testing

@Suite("The policies that are shipped")
struct ShippedPoliciesTests {
    @Test("Each component has an example that holds together", arguments: Component.allCases)
    func holds(component: Component) throws {
        let path = Self.folder + "/\(component.rawValue).yaml"
        let policy = try PolicyDocument.read(path: path)
        #expect(policy.component == component)
        #expect(policy.name == component.rawValue)
        #expect(policy.deputy != nil && policy.legalBasis != nil)
    }

    /// `Policies` beside the folder `Tests` that this file is in.
    private static let folder: String = {
        let parts = #filePath.split(separator: "/").dropLast(3)
        return "/" + parts.joined(separator: "/") + "/Policies"
    }()
}
