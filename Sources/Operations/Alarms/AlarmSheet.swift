import Documents
import Domain

/// What a document of alarms says, for who checks it.
package struct AlarmSheet: Codable, Sendable {
    package struct Channel: Codable, Sendable {
        package var name: String
        package var kind: String
        package var least: String
    }

    package var channels: [Channel]
    package var deadManSeconds: Int64?

    /// Fails with every error of the document.
    package static func read(_ path: String) throws -> AlarmSheet {
        guard let settings = try AlarmsDocument.read(path: path) else {
            throw OperationError(.notFound, "there is no file \(path)", hint: "docs/alarms.md shows one.")
        }
        let channels = settings.channels.map { channel in
            let kind: AlarmChannel.Kind =
                switch channel.means {
                case .email: .email
                case .webhook: .webhook
                case .ntfy: .ntfy
                case .command: .command
                }
            return Channel(name: channel.name, kind: kind.rawValue, least: channel.least.rawValue)
        }
        return AlarmSheet(channels: channels, deadManSeconds: settings.deadMan?.every)
    }
}
