internal import Domain
internal import Glibc

/// Values from the command line; they win over everything.
package struct ConfigurationOverrides: Sendable, Hashable {
    /// `--broker URL`.
    package var broker: String?

    package init(broker: String? = nil) { self.broker = broker }
}

/// Turns a file, the environment and flags into a `ClusterConfiguration`, or into every error at once. Precedence:
/// flag, environment, file, default. Called at the start of every process and by `framekeeper config`.
package enum ConfigurationLoader {
    /// The environment variable that names the file.
    package static let fileVariable = "FRAMEKEEPER_CONFIG"
    /// Where a file is looked for if nobody names one, in order.
    package static let defaultFiles = [
        "framekeeper.yml", "config/framekeeper.yml", "/etc/framekeeper/framekeeper.yml",
    ]

    /// The file to read: `flag`, else `$FRAMEKEEPER_CONFIG`, else the first default file that exists, else nil.
    package static func locate(flag: String?, environment: [String: String]) -> String? {
        if let named = flag ?? environment[fileVariable], !named.isEmpty { return named }
        return defaultFiles.first { access($0, F_OK) == 0 }
    }

    /// Reads and checks everything. `path` nil: no file, only environment, flags and defaults.
    ///
    /// - Parameters:
    ///   - text: read in the place of what the file holds. Relative paths, secrets and messages refer to the file all
    ///     the same.
    ///   - origin: what messages call the text; nil: the file.
    package static func load(
        path: String?, text: [UInt8]? = nil, origin: String? = nil, environment: [String: String] = [:],
        overrides: ConfigurationOverrides = ConfigurationOverrides()
    ) -> Result<ClusterConfiguration, ConfigurationErrors> {
        let origin = origin ?? path ?? "defaults"
        var root = YAMLNode(.mapping([]), mark: YAMLNode.Mark(origin: origin, line: 0, column: 0))
        do throws(ConfigurationError) {
            if let text {
                root = try YAMLDocument.parse(text, origin: origin)
            } else if let path {
                root = try YAMLDocument.parse(try self.text(of: path), origin: origin)
            }
        } catch {
            return .failure(ConfigurationErrors([error]))
        }
        for (key, value, origin) in outsideValues(environment, overrides) {
            root.set(key, to: value, origin: origin)
        }
        let folder = folder(of: path)
        var reader = ConfigurationReader(environment: environment, baseFolder: folder)
        var configuration = reader.configuration(root, defaults: defaults(folder: folder))
        configuration.file = path.map(absolute)
        guard reader.errors.isEmpty else {
            // In the order of the file; flags and variables, which have no line, come first.
            let sorted = reader.errors.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
            return .failure(ConfigurationErrors(sorted))
        }
        return .success(configuration)
    }

    /// What a configuration file holds, unread; at most a little more than is ever parsed.
    package static func text(of path: String) throws(ConfigurationError) -> [UInt8] {
        do throws(SecretsFile.Problem) {
            return try TextFile.read(path)
        } catch {
            throw ConfigurationError(file: path, message: error.message)
        }
    }

    /// The folder at which relative paths begin and where `secrets.yml` lies.
    static func folder(of path: String?) -> String {
        guard let file = path.map(absolute) else { return absolute(".") }
        return String(file.prefix(upTo: file.lastIndex(of: "/") ?? file.startIndex))
    }

    /// The keys that an environment variable can set: `broker.url` is `FRAMEKEEPER_BROKER_URL`.
    package static let environmentKeys = [
        "broker.url", "broker.username", "broker.password", "broker.topic_root", "node", "state_dir", "storage.path",
        "storage.durability", "storage.retention.max_age", "storage.retention.max_size", "storage.retention.min_free",
        "rotation.interval", "rotation.align", "rotation.stagger",
    ]

    package static func variable(for key: String) -> String {
        "FRAMEKEEPER_" + key.uppercased().split(separator: ".").joined(separator: "_")
    }

    /// In rising precedence.
    private static func outsideValues(
        _ environment: [String: String], _ overrides: ConfigurationOverrides
    ) -> [(key: String, value: String, origin: String)] {
        var values: [(key: String, value: String, origin: String)] = []
        for key in environmentKeys {
            let name = variable(for: key)
            if let value = environment[name], !value.isEmpty { values.append((key, value, "$\(name)")) }
        }
        if let broker = overrides.broker { values.append(("broker.url", broker, "--broker")) }
        return values
    }

    /// A file below /etc belongs to an installed system and keeps its data in /var/lib; any other keeps it beside
    /// itself.
    static func defaults(folder: String) -> ConfigurationDefaults {
        let data = folder == "/etc" || folder.hasPrefix("/etc/") ? "/var/lib/framekeeper" : folder
        return ConfigurationDefaults(node: hostNode(), stateDir: data + "/state", storagePath: data + "/recordings")
    }

    /// The host's name up to its first dot, in the letters that a node may have.
    private static func hostNode() -> NodeID {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return NodeID(unchecked: "node") }
        let host = buffer.prefix { $0 != 0 && $0 != CChar(bitPattern: UInt8(ascii: ".")) }
        let letters = String(decoding: host.map { UInt8(bitPattern: $0) }, as: UTF8.self).lowercased().map { letter in
            letter.isASCII && (letter.isLetter || letter.isNumber || letter == "-" || letter == "_") ? letter : "-"
        }
        return NodeID(rawValue: String(letters.prefix(NodeID.lengthMax))) ?? NodeID(unchecked: "node")
    }

    /// From the working folder on, without `.` and `..`.
    package static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/") else { return ConfigurationReader.normalized(path) }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        // A working folder that was deleted has no path; then the root is as good as any.
        let here = getcwd(&buffer, buffer.count) == nil ? [] : buffer.prefix { $0 != 0 }
        return ConfigurationReader.normalized(
            String(decoding: here.map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/" + path)
    }
}

extension YAMLNode {
    /// Sets the value at a dotted path, creating the mappings on the way. A value of another kind on the way is left
    /// for the reader to report.
    mutating func set(_ key: String, to value: String, origin: String) {
        let levels = key.split(separator: ".", maxSplits: 1).map(String.init)
        let place = Mark(origin: origin, line: 0, column: 0)
        var entries: [Entry] = []
        if case .mapping(let present) = content { entries = present } else if !isNull { return }
        let index = entries.firstIndex { $0.key == levels[0] } ?? entries.endIndex
        if index == entries.endIndex {
            entries.append(Entry(key: levels[0], keyMark: place, value: YAMLNode(.mapping([]), mark: place)))
        }
        if levels.count == 2 {
            entries[index].value.set(levels[1], to: value, origin: origin)
        } else {
            entries[index].value = YAMLNode(.scalar(value, isPlain: false), mark: place)
        }
        self = YAMLNode(.mapping(entries), mark: mark)
    }
}
