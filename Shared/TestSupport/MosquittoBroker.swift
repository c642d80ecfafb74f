package import Bus
internal import Domain
internal import Glibc
internal import Synchronization

/// A real mosquitto in a folder of its own, on a unix socket and on a free loopback port. Dies with this object.
package final class MosquittoBroker: Sendable {
    package let folder: String
    package let port: Int
    package var socketPath: String { folder + "/mqtt.sock" }
    package var endpoint: BrokerEndpoint { .unixSocket(path: socketPath) }
    package var tcpEndpoint: BrokerEndpoint { .tcp(host: "127.0.0.1", port: port, tls: nil) }
    private let process: Mutex<ChildProcess?>

    /// Who may connect and do what: the text of mosquitto's `acl_file`, and passwords by user.
    package struct Access: Sendable {
        package var list: String
        package var passwords: [String: String]
        package init(list: String, passwords: [String: String]) {
            self.list = list
            self.passwords = passwords
        }
    }

    /// - Parameters:
    ///   - isPersistent: retained messages and sessions survive `stop`; a `kill` as they were with the last `save`.
    ///   - access: nil: anyone may do anything.
    package static func start(isPersistent: Bool = false, access: Access? = nil) async throws -> MosquittoBroker {
        for _ in 1..<startsMax {
            let broker = try MosquittoBroker(isPersistent: isPersistent, access: access)
            if access != nil { try await broker.hashPasswords() }
            // Another test may have taken the free port meanwhile; then mosquitto ends at once.
            if try await broker.launch() { return broker }
        }
        throw ChildProcess.StartFailed(description: "mosquitto does not start")
    }

    private static let startsMax = 5

    private init(isPersistent: Bool, access: Access?) throws {
        var template = Array("/tmp/framekeeper-broker-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw ChildProcess.StartFailed(description: "mkdtemp") }
        folder = String(cString: made)
        port = try Self.freePort()
        process = Mutex(nil)
        var lines = [
            "user \(getuid() == 0 ? "root" : "mosquitto")", "allow_anonymous \(access == nil)", "set_tcp_nodelay true",
            "persistence \(isPersistent)", "persistence_location \(folder)/", "max_queued_messages 20000",
            "listener 0 \(folder)/mqtt.sock", "listener \(port) 127.0.0.1",
        ]
        if let access {
            lines += ["password_file \(folder)/passwords", "acl_file \(folder)/acl"]
            try Self.write(access.list, to: folder + "/acl")
            let passwords = access.passwords.map { "\($0.key):\($0.value)\n" }
            try Self.write(passwords.joined(), to: folder + "/passwords")
        }
        try Self.write(lines.joined(separator: "\n") + "\n", to: folder + "/mosquitto.conf")
    }

    /// mosquitto reads no others.
    private func hashPasswords() async throws {
        let child = try ChildProcess(["mosquitto_passwd", "-U", folder + "/passwords"])
        let status = try await eventually("the passwords are hashed") { child.exitStatus() }
        guard status == 0 else { throw ChildProcess.StartFailed(description: "mosquitto_passwd ended with \(status)") }
    }

    deinit {
        process.withLock { $0 = nil }
        for name in ["mqtt.sock", "mosquitto.conf", "mosquitto.log", "mosquitto.db", "acl", "passwords"] {
            unlink(folder + "/" + name)
        }
        rmdir(folder)
    }

    /// - Returns: false if mosquitto ended instead of listening.
    private func launch() async throws -> Bool {
        // An old socket would answer the readiness check's question wrongly.
        unlink(socketPath)
        let child = try ChildProcess(
            ["mosquitto", "-c", folder + "/mosquitto.conf"], output: folder + "/mosquitto.log")
        process.withLock { $0 = child }
        return try await eventually("mosquitto listens on \(socketPath)") {
            Self.canConnect(to: socketPath) ? true : child.exitStatus().map { _ in false }
        }
    }

    /// In order: sends wills, writes what is persistent.
    package func stop() async throws {
        guard let child = process.withLock({ $0 }) else { return }
        child.signal(SIGTERM)
        try await eventually("mosquitto ends") { child.exitStatus() != nil }
        process.withLock { $0 = nil }
    }

    package func kill() { process.withLock { $0 = nil } }

    /// Writes down what is persistent, as it does by itself every half hour.
    package func save() async throws {
        let memory = folder + "/mosquitto.db"
        unlink(memory)
        process.withLock { $0?.signal(SIGUSR1) }
        // It comes into its place whole, by one rename.
        try await eventually("mosquitto has written \(memory)") { access(memory, F_OK) == 0 }
    }

    /// SIGSTOP: connections stay, nothing answers.
    package func pause() { process.withLock { $0?.signal(SIGSTOP) } }
    package func resume() { process.withLock { $0?.signal(SIGCONT) } }

    /// Starts again after `stop` or `kill`, with what was persistent unless `isForgetting`.
    package func start(isForgetting: Bool = true) async throws {
        if isForgetting { unlink(folder + "/mosquitto.db") }
        guard try await launch() else { throw ChildProcess.StartFailed(description: "mosquitto does not start again") }
    }

    package func settings(
        clientID: String, root: String = "framekeeper", keepAlive: Duration = BusSettings.keepAliveDefault,
        sessionExpirySeconds: UInt32 = 0
    ) -> BusSettings {
        BusSettings(
            endpoint: endpoint, topicRoot: root, clientID: clientID, keepAlive: keepAlive,
            sessionExpirySeconds: sessionExpirySeconds,
            reconnect: Backoff(first: .milliseconds(20), most: .milliseconds(200)))
    }

    // MARK: Sockets and files

    /// Below the ports that the kernel gives to outgoing connections (`ip_local_port_range`), any of which may be in
    /// use by the time the listener wants it.
    private static let portRange = 15_000...30_000
    private static let portAttemptsMax = 100
    /// Ports of tests that may not listen there yet.
    private static let portsGiven = Mutex<Set<Int>>([])

    /// A loopback port that was free a moment ago, and that nobody else in this process gets.
    package static func freePort() throws -> Int {
        for _ in 0..<portAttemptsMax {
            let port = Int.random(in: portRange)
            guard portsGiven.withLock({ $0.insert(port).inserted }) else { continue }
            if try isFree(port) { return port }
        }
        throw ChildProcess.StartFailed(description: "no free port")
    }

    private static func isFree(_ port: Int) throws -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw ChildProcess.StartFailed(description: "socket") }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bound in
                bind(descriptor, bound, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    private static func canConnect(to path: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }

    private static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0 else { throw ChildProcess.StartFailed(description: "cannot write \(path)") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw ChildProcess.StartFailed(description: "cannot write \(path)")
        }
    }
}
