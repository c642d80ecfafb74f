package import Domain

/// Which of a stream's two possible tracks a packet belongs to.
package enum TrackKind: String, Sendable, Hashable, CaseIterable {
    case video, audio
}

/// What a track is made of, as plain values: for states, logs and comparisons.
package struct TrackFormat: Sendable, Hashable {
    package var kind: TrackKind
    /// libav's short name: `h264`, `hevc`, `aac`, `opus`, `pcm_alaw`, `pcm_mulaw`.
    package var codecName: String
    /// The unit of this track's packets' timestamps.
    package var timeBase: TimeBase
    /// In pixels as shown; 0 for audio and where the source does not say.
    package var width: Int
    package var height: Int
    /// Frames per second as the source states it; nil where it does not.
    package var frameRate: Double?
    /// In hertz; 0 for video.
    package var sampleRate: Int
    package var channels: Int
    /// The decoder configuration (libav `extradata`): SPS and PPS in Annex B, or an avcC, hvcC or
    /// AudioSpecificConfig record.
    package var parameterSets: [UInt8]

    package init(
        kind: TrackKind, codecName: String, timeBase: TimeBase, width: Int = 0, height: Int = 0,
        frameRate: Double? = nil, sampleRate: Int = 0, channels: Int = 0, parameterSets: [UInt8] = []
    ) {
        self.kind = kind
        self.codecName = codecName
        self.timeBase = timeBase
        self.width = width
        self.height = height
        self.frameRate = frameRate
        self.sampleRate = sampleRate
        self.channels = channels
        self.parameterSets = parameterSets
    }
}
