/// What the media server says of itself.

/// `/v3/info`.
package struct MediaServerInfo: Hashable, Sendable, Decodable {
    package var version: String
    /// When this process of the server began; another one is another process, which has forgotten what the API set.
    package var started: String
}

/// A path as it runs: `/v3/paths/get`.
package struct PathReading: Hashable, Sendable, Decodable {
    package struct Peer: Hashable, Sendable, Decodable {
        package var type: String
        package var id: String
    }

    package var name: String
    /// Somebody publishes, or the server's own source delivers.
    package var ready: Bool
    /// Those that are being served. One that is kept waiting for a publisher is not among them.
    package var readers: [Peer]
    package var bytesReceived: UInt64?
    package var inboundBytes: UInt64?

    package var bytes: UInt64 { inboundBytes ?? bytesReceived ?? 0 }
}

/// A path's settings in force: `/v3/config/paths/get`.
package struct PathConfiguration: Hashable, Sendable, Decodable {
    package var name: String
    package var values: [String: SettingValue]

    package init(name: String, values: [String: SettingValue]) {
        self.name = name
        self.values = values
    }

    package init(from decoder: any Decoder) throws {
        values = try decoder.singleValueContainer().decode([String: SettingValue].self)
        guard case .text(let name)? = values["name"] else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: decoder.codingPath, debugDescription: "no name"))
        }
        self.name = name
    }
}

/// One page of a list.
struct MediaServerPage<Item: Decodable>: Decodable {
    var itemCount: Int
    var pageCount: Int
    var items: [Item]
}

struct MediaServerRefusal: Decodable {
    var error: String
}
