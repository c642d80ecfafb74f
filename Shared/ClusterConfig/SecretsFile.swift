internal import Glibc

/// `secrets.yml` beside the configuration: one mapping from names to values, for its owner's eyes only. Read at the
/// first `!secret`, once. A value never appears in a message.
struct SecretsFile {
    static let name = "secrets.yml"

    struct Problem: Error { let message: String }

    private let path: String
    private var loaded: Result<[String: String], Problem>?

    init(path: String) { self.path = path }

    mutating func value(named name: String) -> Result<String, Problem> {
        let contents = loaded ?? Self.load(path)
        loaded = contents
        switch contents {
        case .failure(let problem): return .failure(problem)
        case .success(let secrets):
            if let value = secrets[name] { return .success(value) }
            return .failure(Problem(message: "!secret \(name.prefix(64)): no such name in \(path)"))
        }
    }

    private static func load(_ path: String) -> Result<[String: String], Problem> {
        do throws(Problem) {
            let bytes: [UInt8]
            do throws(Problem) {
                bytes = try TextFile.read(path) { descriptor throws(Problem) in try checkMode(descriptor, path) }
            } catch {
                throw Problem(message: "\(path): \(error.message)")
            }
            let root: YAMLNode
            do throws(ConfigurationError) {
                root = try YAMLDocument.parse(bytes, origin: path)
            } catch {
                throw Problem(message: error.description)
            }
            return .success(try contents(root, path))
        } catch {
            return .failure(error)
        }
    }

    /// Everybody but the owner must be shut out, and the owner must be this user or root.
    private static func checkMode(_ descriptor: Int32, _ path: String) throws(Problem) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Problem(message: "cannot be examined") }
        guard status.st_mode & 0o077 == 0 else {
            throw Problem(message: "others may read it; run chmod 600 \(path)")
        }
        guard status.st_uid == getuid() || status.st_uid == 0 else {
            throw Problem(message: "belongs to another user")
        }
    }

    private static func contents(_ root: YAMLNode, _ path: String) throws(Problem) -> [String: String] {
        guard case .mapping(let entries) = root.content else {
            throw Problem(message: "\(path): expected a mapping from names to values")
        }
        var secrets: [String: String] = [:]
        for entry in entries {
            guard case .scalar(let text, _) = entry.value.content, !entry.value.isNull else {
                throw Problem(message: "\(path):\(entry.keyMark.line): expected a single value")
            }
            guard secrets.updateValue(text, forKey: entry.key) == nil else {
                throw Problem(message: "\(path):\(entry.keyMark.line): \(entry.key.prefix(64)) is given twice")
            }
        }
        return secrets
    }
}

/// Reads a small file whole, a little beyond what the parser takes so that it can say how much too long it is.
enum TextFile {
    static func read(
        _ path: String, atMost limit: Int = YAMLDocument.bytesMax,
        check: (Int32) throws(SecretsFile.Problem) -> Void = { _ throws(SecretsFile.Problem) in }
    ) throws(SecretsFile.Problem) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw SecretsFile.Problem(message: "\(reason(errno))") }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw SecretsFile.Problem(message: "not a file")
        }
        try check(file)
        guard status.st_size <= limit else {
            throw SecretsFile.Problem(message: "\(status.st_size) bytes; at most \(limit) are read")
        }
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count < bytes.count {
            let more = bytes[count...].withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            if more < 0, errno == EINTR { continue }
            guard more >= 0 else { throw SecretsFile.Problem(message: "\(reason(errno))") }
            guard more > 0 else { break }
            count += more
        }
        return Array(bytes[..<count])
    }

    private static func reason(_ number: Int32) -> String {
        switch number {
        case ENOENT: "no such file"
        case EACCES: "not readable for this user"
        default: "cannot be read (errno \(number))"
        }
    }
}
