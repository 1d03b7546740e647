import CLinux
import Domain
import Glibc

/// Reads extended attributes, ACLs and capabilities among them, into one buffer that is used again and again.
final class AttributeReader {
    /// Limits of the kernel: bytes of all names of a file, bytes of one value.
    private static let namesLimit = 65_536
    private static let valueLimit = 65_536

    /// Where the attributes are.
    enum Place {
        case name(UnsafePointer<CChar>, directory: Int32)
        case descriptor(Int32)
    }

    struct Failure: Error {
        var number: Int32
        var detail: String
    }

    private let usesCalls: Bool
    private let names = UnsafeMutableRawBufferPointer.allocate(byteCount: namesLimit, alignment: 16)
    private let value = UnsafeMutableRawBufferPointer.allocate(byteCount: valueLimit, alignment: 16)

    /// `usesCalls` false goes through /proc as on kernels before 6.13.
    init(usesCalls: Bool = tree_has_attribute_calls() == 1) { self.usesCalls = usesCalls }

    deinit {
        names.deallocate()
        value.deallocate()
    }

    /// The attributes, sorted by name. What could be read is in `attributes` even when the result says why the rest
    /// could not.
    func read(_ place: Place, into attributes: inout [ExtendedAttribute]) -> Failure? {
        let listed =
            switch place {
            case .name(let name, let directory):
                tree_attribute_names_at(directory, name, names.baseAddress, names.count, usesCalls ? 1 : 0)
            case .descriptor(let number): tree_attribute_names(number, names.baseAddress, names.count)
            }
        if listed == 0 { return nil }
        guard listed > 0 else {
            let number = Int32(-listed)
            return number == ENOTSUP ? nil : Failure(number: number, detail: "")
        }
        var failure: Failure?
        var total = 0
        for name in UnsafeRawBufferPointer(rebasing: names[..<listed]).split(separator: 0) {
            let key = CName(name)
            let length = key.withPointer { key in
                switch place {
                case .name(let name, let directory):
                    tree_attribute_at(directory, name, key, value.baseAddress, value.count, usesCalls ? 1 : 0)
                case .descriptor(let number): tree_attribute(number, key, value.baseAddress, value.count)
                }
            }
            if length < 0 {
                // Removed since it was listed: as if it had never been there.
                if length == -Int(ENODATA) { continue }
                failure = Failure(number: Int32(-length), detail: String(decoding: name, as: UTF8.self))
                continue
            }
            total += name.count + length
            guard total <= Entry.maximumAttributeBytes else {
                failure = Failure(number: E2BIG, detail: String(decoding: name, as: UTF8.self))
                break
            }
            attributes.append(ExtendedAttribute(name: Array(name), value: Array(value[..<length])))
        }
        attributes.sort { $0.name.lexicographicallyPrecedes($1.name) }
        return failure
    }
}

/// Names of users and groups, looked up once for each number.
struct OwnerNames {
    private var users: [UInt32: [UInt8]] = [:]
    private var groups: [UInt32: [UInt8]] = [:]
    private var lastUser: (number: UInt32, name: [UInt8])?
    private var lastGroup: (number: UInt32, name: [UInt8])?

    /// Empty when the host has no name for it; `report` hears of a look-up that failed, once for each number.
    mutating func user(_ number: UInt32, report: (Int32) -> Void) -> [UInt8] {
        if let lastUser, lastUser.number == number { return lastUser.name }
        let name = users[number] ?? Self.lookUp(report: report) { tree_user_name(number, $0, $1) }
        users[number] = name
        lastUser = (number, name)
        return name
    }

    mutating func group(_ number: UInt32, report: (Int32) -> Void) -> [UInt8] {
        if let lastGroup, lastGroup.number == number { return lastGroup.name }
        let name = groups[number] ?? Self.lookUp(report: report) { tree_group_name(number, $0, $1) }
        groups[number] = name
        lastGroup = (number, name)
        return name
    }

    private static func lookUp(
        report: (Int32) -> Void, _ call: (UnsafeMutablePointer<CChar>?, Int) -> Int
    ) -> [UInt8] {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
            let length = call(buffer.baseAddress, buffer.count)
            guard length >= 0 else {
                report(Int32(-length))
                return []
            }
            return buffer[..<length].map { UInt8(bitPattern: $0) }
        }
    }
}
