package import Domain

/// `cameras/<camera>/viewing/set`: a lease on live view, taken and ended like one on recording.
package enum ViewingCommand: BusCommand {
    /// Takes or extends the holder's lease. `duration` nil: until stopped.
    case start(holder: Holder, duration: Duration?)
    /// Ends the holder's lease; all leases if `holder` is nil.
    case stop(holder: Holder?)

    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/viewing/set"

    package init(_ text: CommandText) throws(CodedError) {
        switch text {
        case .word(let word):
            switch word.uppercased() {
            case "ON", "START": self = .start(holder: .manual, duration: nil)
            case "OFF", "STOP": self = .stop(holder: nil)
            default: throw Self.unknown(word)
            }
        case .fields(let raw):
            var fields = CommandFields(raw)
            switch try fields.string("command") {
            case "start":
                self = .start(
                    holder: try fields.holder("holder") ?? .manual, duration: try fields.leaseDuration("duration"))
            case "stop": self = .stop(holder: try fields.holder("holder"))
            case let word?: throw Self.unknown(word)
            case nil: throw CodedError(.invalidPayload, "command: missing")
            }
            try fields.finish()
        }
    }
}

/// `cameras/<camera>/snapshot/set`: empty, `PRESS`, or `{"width":640,"quality":85,"max_age":"1s"}`.
package struct SnapshotCommand: BusCommand {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/snapshot/set"

    package static let widthRange = 16...7680
    package static let qualityRange = 1...100
    package static let qualityDefault = 85
    package static let maxAgeMax: Duration = .seconds(60)

    /// In pixels; the height follows from the picture's shape. Nil: as the camera delivers it.
    package var width: Int?
    /// Of the JPEG, 1 to 100.
    package var quality: Int
    /// How old the picture may be, 0 to 60 s. A camera sends a whole picture with each key frame alone, and what came
    /// since must be decoded on top of it: whoever takes an older picture has it sooner.
    package var maxAge: Duration

    package init(width: Int? = nil, quality: Int = qualityDefault, maxAge: Duration = .zero) {
        self.width = width
        self.quality = quality
        self.maxAge = maxAge
    }

    package init(_ text: CommandText) throws(CodedError) {
        switch text {
        case .word(let word):
            guard ["", "PRESS", "SNAPSHOT"].contains(word.uppercased()) else { throw Self.unknown(word) }
            self.init()
        case .fields(let raw):
            var fields = CommandFields(raw)
            if let word = try fields.string("command"), word != "snapshot" { throw Self.unknown(word) }
            self.init(
                width: try fields.integer("width", in: Self.widthRange),
                quality: try fields.integer("quality", in: Self.qualityRange) ?? Self.qualityDefault,
                maxAge: try fields.duration("max_age", atMost: Self.maxAgeMax) ?? .zero)
            try fields.finish()
        }
    }
}
