internal import ClusterConfig
package import Domain

/// A media server's own file, read as the cameras that Framekeeper would have in its place. Pure.
///
/// What cannot be translated is said, path by path, with its reason; nothing is guessed. A translation never loses a
/// secret into a place where it can be read by others: `text` writes passwords only if told to.
package struct MediaServerImport: Hashable, Sendable {
    package struct Camera: Hashable, Sendable {
        package var id: CameraID
        /// The path's name at the media server.
        package var path: String
        /// With its credentials: never print it, print `SourceAddress.publicText`.
        package var source: String
        package var recordsAlways = false
        package var rotation: Duration?
        package var maxAge: Duration?
        package var encoder = Encoder()
        package var hasAudio = true
    }

    /// Of a camera's encoder what the media server's file told; nil for what it did not.
    package struct Encoder: Hashable, Sendable {
        package var preset: String?
        /// Bits per second.
        package var bitrate: Int?
        package var gop: Duration?

        package init(preset: String? = nil, bitrate: Int? = nil, gop: Duration? = nil) {
            self.preset = preset
            self.bitrate = bitrate
            self.gop = gop
        }
    }

    /// Something that a person should know about the translation.
    package struct Remark: Hashable, Sendable, Encodable {
        /// Nil: the file as a whole.
        package var path: String?
        package var text: String
        /// The path has no camera.
        package var isLoss: Bool
    }

    package var cameras: [Camera] = []
    package var remarks: [Remark] = []
    /// `http://…`, nil if the API is not enabled.
    package var api: String?
    package var rtsp: String?
    /// A user of the server that may use its API.
    package var username: String?

    let name: String
    let folder: String
    var listeners = OwnListeners()

    /// - Parameters:
    ///   - name: of the file, for messages.
    ///   - folder: absolute; where the file lies.
    package init(_ bytes: [UInt8], name: String, folder: String) throws(CodedError) {
        self.name = name
        self.folder = folder
        let tree: YAMLTree
        do throws(ConfigurationError) {
            tree = try YAMLTree.parse(bytes, name: name)
        } catch {
            throw CodedError(.invalidArgument, "\(error)")
        }
        guard tree.entries != nil, let paths = (tree["paths"] ?? YAMLTree.nothing).entries else {
            throw CodedError(.invalidArgument, "\(name): expected the media server's settings, with a mapping paths")
        }
        readServer(tree)
        for entry in paths { readPath(entry, defaults: tree) }
        nameUniquely()
    }

    // MARK: The server

    private mutating func readServer(_ tree: YAMLTree) {
        if !(tree["api"]?.flag ?? false) {
            remark(nil, "its API is off: set api: yes in it, so that Framekeeper can keep its paths")
        } else if tree["apiEncryption"]?.flag ?? false {
            remark(nil, "its API is encrypted, and Framekeeper asks over plain HTTP: set apiEncryption: no in it")
        } else {
            api = "http://\(Self.reachable(tree["apiAddress"]?.text ?? ":9997"))"
        }
        let place = Self.reachable(tree["rtspAddress"]?.text ?? ":8554")
        rtsp = "rtsp://\(place)"
        listeners.places = ["rtsp": place, "rtsps": Self.reachable(tree["rtspsAddress"]?.text ?? ":8322")]
        if let encryption = tree["rtspEncryption"]?.text, ["strict", "yes", "true"].contains(encryption) {
            remark(nil, "its RTSP is encrypted, and workers speak plain RTSP to it: set rtspEncryption: optional in it")
        }
        guard case .sequence(let users)? = tree["authInternalUsers"]?.content else { return }
        username =
            users.first { user in
                guard let name = user["user"]?.text, name != "any", !name.contains(":") else { return false }
                guard case .sequence(let permissions)? = user["permissions"]?.content else { return false }
                return permissions.contains { $0["action"]?.text == "api" }
            }?["user"]?.text
    }

    /// Where a client on the same host reaches a listener.
    private static func reachable(_ address: String) -> String {
        for everywhere in ["0.0.0.0:", "[::]:"] where address.hasPrefix(everywhere) {
            return "127.0.0.1:" + address.dropFirst(everywhere.count)
        }
        return address.hasPrefix(":") ? "127.0.0.1\(address)" : address
    }

    mutating func remark(_ path: String?, _ text: String, isLoss: Bool = false) {
        remarks.append(Remark(path: path, text: MediaServerFault.masked(text), isLoss: isLoss))
    }

    // MARK: Names

    /// Path names may hold what a camera's id may not, and two of them may come out the same.
    private mutating func nameUniquely() {
        var taken: Set<String> = []
        for index in cameras.indices {
            let path = cameras[index].path
            let wish = Self.id(from: path)
            var id = wish
            var number = 1
            while !taken.insert(id).inserted {
                number += 1
                id = wish.prefix(CameraID.lengthMax - 5) + "-\(number)"
            }
            cameras[index].id = CameraID(rawValue: id) ?? cameras[index].id
            if id != path {
                remark(path, "the camera is called \(id), and so is its path: players must use the new name")
            }
        }
    }

    static func id(from path: String) -> String {
        var id = ""
        for scalar in path.lowercased().unicodeScalars {
            let isFit = ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar) || scalar == "_" || scalar == "-"
            if isFit { id.unicodeScalars.append(scalar) } else if !id.isEmpty, !id.hasSuffix("-") { id += "-" }
        }
        let name = id.drop { $0 == "-" || $0 == "_" }.prefix(CameraID.lengthMax)
        let end = name.lastIndex { $0 != "-" }.map { name.index(after: $0) } ?? name.startIndex
        let fit = name[..<end].isEmpty ? "camera" : String(name[..<end])
        return MediaServerSettings.namesOfMany.contains(fit) ? "camera-\(fit)" : fit
    }
}

extension YAMLTree {
    static let nothing = YAMLTree(content: .null, place: Place(line: 0, column: 0))

    var text: String? {
        guard case .scalar(let text, _) = content else { return nil }
        return text
    }

    /// As the server reads it.
    var flag: Bool? {
        guard let text = text?.lowercased() else { return nil }
        if ["yes", "true", "on", "y"].contains(text) { return true }
        return ["no", "false", "off", "n"].contains(text) ? false : nil
    }
}
