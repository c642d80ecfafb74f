internal import ArgumentParser
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import ServiceKit

struct ACLCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "acl", abstract: "Print an access list for mosquitto, and how to set its passwords.",
        discussion: """
            Example: framekeeper acl > /etc/mosquitto/framekeeper.acl

            Four users: framekeeper for the processes, admin, operator, viewer. The topic root is the configured one.
            """)

    @OptionGroup var options: CommandOptions

    private struct Document: Encodable {
        var topicRoot: String
        var users: [String]
        var acl: String
    }

    func perform() async throws(CommandFailure) -> ServiceExit {
        let root = try options.configuration().broker.topicRoot
        let text = AccessList(root: root).text
        let terminal = Terminal()
        if options.json {
            try terminal.print(
                json: Document(topicRoot: root, users: AccessList.Role.allCases.map(\.rawValue), acl: text))
        } else {
            terminal.print(String(text.dropLast()))
        }
        return .done
    }
}
