internal import ArgumentParser
internal import ClusterConfig
internal import Domain
internal import ServiceKit

/// What a shell offers where a camera or a group is to be named: those of the configuration that is found without a
/// flag. Asked by the completion scripts, each time somebody presses the tab key; silent where there is none.
enum NameCompletion {
    static let cameras = CompletionKind.custom { _, _, _ in names { $0.cameras.map(\.id.rawValue) } }

    static let groups = CompletionKind.custom { _, _, _ in
        names { configuration in
            Set(configuration.cameras.flatMap(\.groups).map(\.rawValue)).union([GroupID.all.rawValue]).sorted()
        }
    }

    private static func names(_ read: (ClusterConfiguration) -> [String]) -> [String] {
        // Flags that no command line was parsed into have no values until they are given some.
        var flags = ServiceFlags()
        flags.config = nil
        flags.broker = nil
        guard case .success(let found) = ServiceProcess.loadInForce(flags) else { return [] }
        return read(found.configuration)
    }
}
