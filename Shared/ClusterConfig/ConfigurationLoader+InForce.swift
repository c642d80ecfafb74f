/// Reading the text in force instead of the file, and finding it where the file is broken.
extension ConfigurationLoader {
    /// What a process starts with where the file may be broken.
    package struct InForce: Sendable {
        package var configuration: ClusterConfiguration
        /// Where it comes from if not from the file itself.
        package var active: ActiveText?
        /// What is wrong with the file; nil: nothing.
        package var broken: ConfigurationErrors?
    }

    /// The text at `active` in the place of the file's own; where there is none, the file's.
    package static func load(
        path: String?, active: String?, environment: [String: String] = [:],
        overrides: ConfigurationOverrides = ConfigurationOverrides()
    ) -> Result<ClusterConfiguration, ConfigurationErrors> {
        load(
            path: path, text: active.flatMap(ActiveText.read)?.text, environment: environment, overrides: overrides)
    }

    /// The file; if that is broken, the text of it that was in force last.
    /// - Returns: the file's own errors if nothing helps.
    package static func loadInForce(
        path: String?, environment: [String: String] = [:], overrides: ConfigurationOverrides = ConfigurationOverrides()
    ) -> Result<InForce, ConfigurationErrors> {
        switch load(path: path, environment: environment, overrides: overrides) {
        case .success(let configuration): return .success(InForce(configuration: configuration))
        case .failure(let errors):
            let stateDir = stateDir(ofBroken: path, environment: environment)
            guard let path, let active = ActiveText.read(ActiveText.path(stateDir: stateDir)),
                active.file == absolute(path),
                case .success(let configuration) = load(
                    path: path, text: active.text, environment: environment, overrides: overrides)
            else { return .failure(errors) }
            return .success(InForce(configuration: configuration, active: active, broken: errors))
        }
    }

    /// Where a file that does not load would have its state: as much as can be read of it. Without YAML that holds
    /// together, the one line that says so.
    static func stateDir(ofBroken path: String?, environment: [String: String]) -> String {
        let folder = folder(of: path)
        let fallback = defaults(folder: folder).stateDir
        let named = environment[variable(for: "state_dir")].flatMap { $0.isEmpty ? nil : $0 }
        let node: YAMLNode?
        if let named {
            node = YAMLNode(
                .scalar(named, isPlain: false), mark: YAMLNode.Mark(origin: "$", line: 0, column: 0))
        } else {
            node = path.flatMap(stateDirNode)
        }
        guard let node else { return fallback }
        var reader = ConfigurationReader(environment: environment, baseFolder: folder)
        return reader.path(ConfigurationReader.Field(node: node, path: "state_dir")) ?? fallback
    }

    private static func stateDirNode(_ path: String) -> YAMLNode? {
        guard let bytes = try? text(of: path) else { return nil }
        if let root = try? YAMLDocument.parse(bytes, origin: path) { return root.value(of: "state_dir") }
        for line in bytes.split(separator: UInt8(ascii: "\n")) where line.starts(with: "state_dir:".utf8) {
            if let root = try? YAMLDocument.parse(Array(line), origin: path) { return root.value(of: "state_dir") }
        }
        return nil
    }
}

extension YAMLNode {
    fileprivate func value(of key: String) -> YAMLNode? {
        guard case .mapping(let entries) = content else { return nil }
        return entries.first { $0.key == key }?.value
    }
}
