/// Values from the command line; they win over everything.
package struct ConfigurationOverrides: Sendable, Hashable {
    /// `--broker URL`.
    package var broker: String?

    package init(broker: String? = nil) { self.broker = broker }
}

/// Turns a file, the environment and flags into a `ClusterConfiguration`, or into every error at once.
package enum ConfigurationLoader {
    /// Reads and checks everything. `path` nil: no file, only environment, flags and defaults.
    package static func load(
        path: String?, environment: [String: String] = [:], overrides: ConfigurationOverrides = .init()
    ) -> Result<ClusterConfiguration, ConfigurationErrors> {
        .failure(ConfigurationErrors([ConfigurationError(file: path ?? "", message: "not implemented")]))
    }
}
