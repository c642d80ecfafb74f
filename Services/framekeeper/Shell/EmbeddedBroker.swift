internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import ServiceKit

/// The broker that `up` starts when `broker.url` is `embedded`: finds mosquitto, writes its configuration, and looks
/// whether its port is free, so that the person hears of it in words. Running it is the supervisor's job.
struct EmbeddedBroker: Sendable {
    let executable: String
    let configurationFile: String
    let paths: EmbeddedBrokerPaths
    let host: String
    let port: Int

    /// Messages that wait for a slow or absent client; beyond it the broker drops the newest.
    private static let queuedMessagesMax = 10_000
    private static let queuedBytesMax = 64 << 20
    private static let inflightMax = 100
    /// A snapshot in full resolution fits.
    private static let messageBytesMax = 16 << 20

    /// Nil unless the configuration asks for an embedded broker.
    static func prepare(
        _ configuration: ClusterConfiguration, environment: [String: String]
    ) throws(CodedError) -> EmbeddedBroker? {
        guard case .embedded(let host, let port) = configuration.broker.url else { return nil }
        guard let executable = find("mosquitto", environment) else {
            throw CodedError(
                .notReady,
                "broker.url is embedded and mosquitto is not installed: run apt install mosquitto, or name a broker "
                    + "with broker.url: mqtt://HOST")
        }
        // A path is written to the end of its line, spaces and all; what ends a line would begin another setting.
        guard !configuration.stateDir.utf8.contains(where: { $0 < 0x20 }) else {
            throw CodedError(
                .invalidArgument, "state_dir holds a control character, which the broker's configuration cannot hold")
        }
        try checkPort(host, port)
        let paths = EmbeddedBrokerPaths(stateDir: configuration.stateDir)
        try AtomicFile.createFolder(paths.folder + "/data", mode: 0o700)
        try createPrivateFolder(paths.socketFolder)
        unlink(paths.socket)
        let passwords = try writePasswords(configuration.broker, paths, environment)
        let file = paths.folder + "/mosquitto.conf"
        let text = text(paths: paths, host: host, port: port, passwords: passwords)
        try AtomicFile.write(Array(text.utf8), to: file)
        return EmbeddedBroker(
            executable: executable, configurationFile: file, paths: paths, host: host, port: port)
    }

    /// What mosquitto says of every connection over a socket that is not TCP, and of being started as root.
    static let mutedLines = ["Unable to set TCP_NODELAY", "should not be run as root"]

    /// Whether the broker has begun to listen on its private socket.
    var listens: Bool { access(paths.socket, F_OK) == 0 }

    // MARK: Damage

    /// What mosquitto keeps of retained messages and sessions.
    private var database: String { "\(paths.folder)/data/mosquitto.db" }

    /// mosquitto does not start with a file that it cannot read. One that failed before it listened, which comes after
    /// the reading, gets a new file at its next start.
    /// - Returns: where the old file is kept, for a person to look at; nil if nothing was moved.
    func moveDamageAside(after exit: ChildExit, now: WallTime) throws(CodedError) -> String? {
        let hasListened = listens
        unlink(paths.socket)
        guard exit.mayBeDamage, !hasListened, access(database, F_OK) == 0 else { return nil }
        let first = "\(database).corrupt-\(now.dateText)T\(now.timeText(separator: "-"))Z"
        var aside = first
        var count = 1
        while access(aside, F_OK) == 0 {
            count += 1
            aside = "\(first)-\(count)"
        }
        guard rename(database, aside) == 0 else { throw .system(errno, "cannot move \(database) aside") }
        return aside
    }

    static func text(paths: EmbeddedBrokerPaths, host: String, port: Int, passwords: String?) -> String {
        """
        # Written by framekeeper up at every start; changes are lost.
        per_listener_settings true
        \(geteuid() == 0 ? "user root" : "")
        listener 0 \(paths.socket)
        allow_anonymous true
        listener \(port) \(host)
        \(passwords.map { "allow_anonymous false\npassword_file \($0)" } ?? "allow_anonymous true")
        set_tcp_nodelay true
        persistence true
        persistence_location \(paths.folder)/data/
        autosave_interval 60
        persistent_client_expiration 14d
        max_inflight_messages \(inflightMax)
        max_queued_messages \(queuedMessagesMax)
        max_queued_bytes \(queuedBytesMax)
        max_packet_size \(messageBytesMax)
        connection_messages false
        log_dest stderr
        log_timestamp false
        log_type error
        log_type warning
        log_type notice

        """
    }

    /// The first executable of that name on PATH; system folders too, which a user's PATH lacks on Debian.
    static func find(_ name: String, _ environment: [String: String]) -> String? {
        let folders = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return (folders + ["/usr/sbin", "/usr/local/sbin", "/usr/bin"]).map { $0 + "/" + name }
            .first { access($0, X_OK) == 0 }
    }

    /// Mode 0700 and ours; in a folder that everyone may write to, somebody else could have been faster.
    private static func createPrivateFolder(_ path: String) throws(CodedError) {
        try AtomicFile.createFolder(path, mode: 0o700)
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid() else {
            throw CodedError(.unauthorized, "\(path) belongs to somebody else; remove it and start again")
        }
        guard chmod(path, 0o700) == 0 else { throw .system(errno, "cannot close \(path) to others") }
    }

    /// Hashed by mosquitto's own tool, in place, so that the password is in no argument list.
    private static func writePasswords(
        _ broker: BrokerSettings, _ paths: EmbeddedBrokerPaths, _ environment: [String: String]
    ) throws(CodedError) -> String? {
        guard let username = broker.username, let password = broker.password else { return nil }
        guard let tool = find("mosquitto_passwd", environment) else {
            throw CodedError(.notReady, "mosquitto_passwd is not installed: run apt install mosquitto")
        }
        let file = paths.folder + "/passwords"
        try AtomicFile.write(Array("\(username):\(password.reveal())\n".utf8), to: file)
        var pid: pid_t = 0
        let arguments: [String] = [tool, "-U", file]
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var status: Int32 = 0
        guard posix_spawn(&pid, tool, nil, nil, words, environ) == 0, waitpid(pid, &status, 0) == pid, status == 0
        else {
            unlink(file)
            throw CodedError(.internal, "mosquitto_passwd could not write \(file)")
        }
        return file
    }

    private static func checkPort(_ host: String, _ port: Int) throws(CodedError) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let address = found?.pointee else {
            throw CodedError(.invalidArgument, "broker.url: \(host) is no address of this host")
        }
        defer { freeaddrinfo(found) }
        let file = socket(address.ai_family, Int32(SOCK_STREAM.rawValue), 0)
        guard file >= 0 else { throw .system(errno, "cannot open a socket") }
        defer { close(file) }
        var on: Int32 = 1
        setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        guard bind(file, address.ai_addr, address.ai_addrlen) == 0 else {
            guard errno == EADDRINUSE else { throw .system(errno, "cannot listen on \(host):\(port)") }
            throw CodedError(
                .conflict,
                "port \(port) on \(host) is in use, perhaps by another MQTT broker. Use that broker with "
                    + "broker.url: mqtt://\(host):\(port), or give this one another port with "
                    + "broker.url: embedded://\(host):\(port + 1)")
        }
    }
}

extension ChildExit {
    /// A program that read what it does not understand says so and ends, or crashes. One that could not even be loaded
    /// has read nothing (exit codes from 126 on), and one that was killed had no say.
    fileprivate var mayBeDamage: Bool {
        switch self {
        case .code(let code): (1..<126).contains(code)
        case .signal(let number): [SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL].contains(number)
        case .notStarted, .hung: false
        }
    }
}
