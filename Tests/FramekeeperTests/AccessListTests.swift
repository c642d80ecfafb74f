import Bus
import BusContract
import FramekeeperCore
import TestSupport
import Testing

@Suite("The access list, as mosquitto takes it")
struct AccessListTests {
    private static let passwords = Dictionary(
        uniqueKeysWithValues: AccessList.Role.allCases.map { ($0.rawValue, "password of \($0.rawValue)") })

    private func client(_ role: AccessList.Role, _ broker: MosquittoBroker, _ root: String) async throws -> RawBusClient
    {
        var settings = broker.settings(clientID: "test-\(role.rawValue)")
        settings.username = role.rawValue
        settings.password = Self.passwords[role.rawValue]
        return try await RawBusClient(
            MosquittoNetwork(settings: settings), clientID: settings.clientID, filters: ["\(root)/#"])
    }

    private static let commands = MessageRegistry.all.filter { $0.type.delivery == .command }.map { entry in
        entry.type.template.pattern.split(separator: "/").map { $0 == "+" ? "front" : String($0) }
            .joined(separator: "/")
    }
    private static let group = "groups/all/recording/set"
    private static let reply = "replies/somebody"
    /// What only a process of the node may say.
    private static let owned = ["cameras/front/recording", "cameras/front/segment", "config", "services/metrics/attic"]

    private static func allowed(_ role: AccessList.Role) -> Set<String> {
        switch role {
        case .services: Set(commands + owned + [group, reply])
        case .admin: Set(commands + [group, reply])
        case .operator: Set(commands.filter { $0.hasPrefix("cameras/") } + [group, reply])
        case .viewer: []
        }
    }

    @Test("Each user does what is his and nothing else", arguments: ["framekeeper", "home/cameras"])
    func roles(root: String) async throws {
        let access = MosquittoBroker.Access(list: AccessList(root: root).text, passwords: Self.passwords)
        let broker = try await MosquittoBroker.start(access: access)
        for role in AccessList.Role.allCases {
            let user = try await client(role, broker, root)
            for (token, topic) in (Self.commands + Self.owned + [Self.group, Self.reply]).enumerated() {
                let outcome = try await user.outcome(
                    of: Publication(topic: "\(root)/\(topic)", payload: [], delivery: .command),
                    token: UInt64(token) + 1)
                let isRefused = if case .refused = outcome { true } else { false }
                #expect(isRefused != Self.allowed(role).contains(topic), "\(role) on \(topic): \(outcome)")
            }
        }
    }

    @Test("Pictures and commands are not for everybody's eyes")
    func reading() async throws {
        let root = "framekeeper"
        let access = MosquittoBroker.Access(list: AccessList(root: root).text, passwords: Self.passwords)
        let broker = try await MosquittoBroker.start(access: access)
        let services = try await client(.services, broker, root)
        var heard: [AccessList.Role: Set<String>] = [:]
        let told = ["cameras/front/recording/set", "cameras/front/snapshot/image", Self.reply, "cameras/front/stream"]
        let users = try await [
            client(.admin, broker, root), client(.operator, broker, root), client(.viewer, broker, root),
        ]
        for topic in told {
            services.publish(Publication(topic: "\(root)/\(topic)", payload: [1], delivery: .event))
        }
        for (role, user) in zip([AccessList.Role.admin, .operator, .viewer], users) {
            // The last one is for all; the broker keeps the order.
            try await eventually("\(role) hears the stream's state") {
                user.messages.contains { $0.topic == "\(root)/cameras/front/stream" }
            }
            heard[role] = Set(user.messages.map { String($0.topic.dropFirst(root.count + 1)) })
        }
        #expect(heard[.admin] == Set(told))
        #expect(heard[.operator] == ["cameras/front/snapshot/image", Self.reply, "cameras/front/stream"])
        #expect(heard[.viewer] == ["cameras/front/stream"])
    }

    @Test("It names the configured root, and is JSON for programs")
    func command() throws {
        let fixture = try CommandFixture(
            "broker: {url: embedded, topic_root: home/cameras}\nstorage: {path: rec}\ncameras: {}\n")
        let plain = try fixture.run("acl")
        #expect(plain.exit == 0 && plain.errors.isEmpty)
        #expect(plain.output == AccessList(root: "home/cameras").text)
        let json = try fixture.run("acl", "--json")
        #expect(json.exit == 0 && json.output.contains(#""topic_root":"home/cameras""#), "\(json.output)")
    }
}
