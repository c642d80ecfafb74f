import ClusterConfig
import Foundation
import Testing

/// A folder with a configuration file (and perhaps secrets) that goes away with the fixture.
final class ConfigurationFixture {
    let folder: String
    var file: String { folder + "/framekeeper.yml" }

    init(_ text: String, secrets: String? = nil, secretsMode: Int = 0o600) throws {
        folder = NSTemporaryDirectory() + "fk-config-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        if let secrets {
            let path = folder + "/secrets.yml"
            try secrets.write(toFile: path, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: secretsMode], ofItemAtPath: path)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func load(
        _ environment: [String: String] = [:], broker: String? = nil
    ) -> Result<ClusterConfiguration, ConfigurationErrors> {
        ConfigurationLoader.load(
            path: file, environment: environment, overrides: ConfigurationOverrides(broker: broker))
    }
}

/// The configuration that `text` means; a test failure if it has errors.
func configuration(_ text: String, _ environment: [String: String] = [:]) throws -> ClusterConfiguration {
    try ConfigurationFixture(text).load(environment).get()
}

/// The errors in `text`, printed without the folder: `framekeeper.yml:1:2: …`.
func errors(_ text: String, _ environment: [String: String] = [:]) throws -> [String] {
    let fixture = try ConfigurationFixture(text)
    guard case .failure(let errors) = fixture.load(environment) else { return [] }
    return errors.errors.map { $0.description.replacingOccurrences(of: fixture.folder + "/", with: "") }
}
