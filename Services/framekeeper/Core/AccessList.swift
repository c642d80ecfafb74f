internal import BusContract

/// What `framekeeper acl` prints: who may publish and read which topics, as mosquitto's `acl_file` has it
/// (mosquitto.conf(5), "acl_file"). Pure; every topic comes from `MessageRegistry`, so that a new message is neither
/// forgotten nor free for all.
package struct AccessList: Hashable, Sendable {
    /// What a person or a program is allowed to do.
    package enum Role: String, CaseIterable, Sendable {
        /// The processes of all nodes.
        case services = "framekeeper"
        /// Whoever runs the fleet: every command, the configuration's too.
        case admin
        /// Home automation and sensors: the commands of the cameras.
        case `operator`
        /// Who looks and changes nothing.
        case viewer

        var sentence: String {
            switch self {
            case .services: "The processes of all nodes: broker.username in framekeeper.yml."
            case .admin: "People who run the fleet: every command, the configuration's too."
            case .operator: "Home automation, sensors, scripts: the commands of the cameras and groups."
            case .viewer: "Dashboards: states, events and measurements; no pictures, no commands."
            }
        }
    }

    /// Without a slash at either end.
    package let root: String

    package init(root: String) { self.root = root }

    /// The whole file. Its head says what else the broker needs.
    package var text: String {
        let sections = Role.allCases.map { role in
            (["# \(role.sentence)", "user \(role.rawValue)"] + lines(for: role)).joined(separator: "\n")
        }
        return ([head] + sections).joined(separator: "\n\n") + "\n"
    }

    private var head: String {
        let passwords = Role.allCases.enumerated().map { index, role in
            "#   mosquitto_passwd \(index == 0 ? "-c " : "")/etc/mosquitto/framekeeper.passwd \(role.rawValue)"
        }
        return """
            # Who may do what below \(root)/. Save it where mosquitto can read it, give each user a password, and
            # name both files in mosquitto.conf. Users that you do not need may be left out.
            #
            \(passwords.joined(separator: "\n"))
            #
            #   allow_anonymous false
            #   password_file /etc/mosquitto/framekeeper.passwd
            #   acl_file /etc/mosquitto/framekeeper.acl
            """
    }

    private func lines(for role: Role) -> [String] {
        switch role {
        case .services: [line("readwrite", "#")]
        case .admin:
            [line("read", "#")] + commands(of: { _ in true }).map { line("write", $0) }
                + [line("readwrite", Self.replies)]
        case .operator:
            told(withPictures: true).map { line("read", $0) }
                + commands(of: { $0.hasPrefix("cameras/") || $0.hasPrefix("groups/") }).map { line("write", $0) }
                + [line("readwrite", Self.replies)]
        case .viewer: told(withPictures: false).map { line("read", $0) }
        }
    }

    /// Answers, where the asker names a topic below the root.
    private static let replies = "replies/#"

    private func line(_ access: String, _ topic: String) -> String { "topic \(access) \(root)/\(topic)" }

    /// Commands as topics with wildcards, those to groups of cameras beside those to one.
    private func commands(of isWanted: (String) -> Bool) -> [String] {
        let single = MessageRegistry.all.filter { $0.type.delivery == .command }.map { $0.type.template.pattern }
        let groups = single.filter { $0.hasPrefix("cameras/") }.map { "groups/" + $0.dropFirst("cameras/".count) }
        return (single + groups).filter(isWanted)
    }

    private func told(withPictures: Bool) -> [String] {
        MessageRegistry.all.filter { $0.type.delivery != .command && (withPictures || $0.type.format != .bytes) }
            .map { $0.type.template.pattern }
    }
}
