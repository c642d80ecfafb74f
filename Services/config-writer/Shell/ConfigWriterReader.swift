package import ClusterConfig
package import ConfigWriterCore
internal import Domain

/// Reads texts of the configuration as a process of this node would: with its environment, beside its file.
package struct ConfigWriterReader: Sendable {
    /// A text that loads, with what it means.
    package struct Loaded: Sendable {
        package var bytes: [UInt8]
        /// Nil for a text that does not load.
        package var configuration: ClusterConfiguration?
    }

    /// Absolute; nil: there is no file, and the empty text is in force until somebody sends another.
    package let path: String?
    private let environment: [String: String]
    private let overrides: ConfigurationOverrides

    package init(path: String?, environment: [String: String], overrides: ConfigurationOverrides) {
        self.path = path
        self.environment = environment
        self.overrides = overrides
    }

    /// - Parameter origin: what messages call the text; nil: the file.
    package func read(_ bytes: [UInt8], origin: String? = nil) -> (reading: ConfigReading, loaded: Loaded) {
        let text = ConfigText(bytes)
        let result = ConfigurationLoader.load(
            path: path, text: bytes, origin: origin, environment: environment, overrides: overrides)
        switch result {
        case .success(let configuration):
            let reading = ConfigReading(text: text, outcome: .valid(ConfigFacts(configuration)))
            return (reading, Loaded(bytes: bytes, configuration: configuration))
        case .failure(let errors):
            let reading = ConfigReading(text: text, outcome: .invalid(errors.errors.map(\.description)))
            return (reading, Loaded(bytes: bytes, configuration: nil))
        }
    }

    /// - Returns: without `loaded` where the file itself cannot be read.
    package func readFile() -> (reading: ConfigReading, loaded: Loaded?) {
        guard let path else {
            let empty = read([])
            return (empty.reading, empty.loaded)
        }
        do throws(ConfigurationError) {
            let found = read(try ConfigurationLoader.text(of: path))
            return (found.reading, found.loaded)
        } catch {
            return (ConfigReading(text: ConfigText("unreadable"), outcome: .invalid([error.description])), nil)
        }
    }

    /// The files that a configuration is made of.
    var files: [String] {
        guard let path else { return [] }
        let folder = path.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        return [path, folder + "/secrets.yml"]
    }
}

extension ConfigText {
    /// Its length and digest.
    package init(_ bytes: [UInt8]) { self.init("\(bytes.count)-\(FNV1a.digest(bytes))") }
}

extension ConfigFacts {
    package init(_ configuration: ClusterConfiguration) {
        var workers: [CameraID: ConfigPrint] = [:]
        for camera in configuration.ownCameras {
            workers[camera.id] = ConfigPrint(configuration.seenByWorker(of: camera.id).hashValue)
        }
        self.init(
            all: ConfigPrint(configuration.hashValue), node: ConfigPrint(configuration.seenByNode.hashValue),
            workers: workers,
            recordsAlways: Set(configuration.ownCameras.filter { $0.record == .always }.map(\.id)))
    }
}
