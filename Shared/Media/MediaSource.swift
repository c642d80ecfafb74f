package import Domain

/// What a source delivers next.
package enum SourceItem: Sendable {
    case packet(Packet)
    /// The stream changes its parameter sets or its size; comes right before the key packet that begins it.
    case formatChanged(StreamFormat)
    /// So many pictures were due here and are lost, for want of time. The next one is a key frame.
    case skipped(frames: Int)
    /// A file that does not loop has ended. Nothing comes after it.
    case end
}

/// A camera's pictures as packets. One thread calls `open`, `next` and `close`; any thread may call the others.
///
/// The first video packet is a key frame: what comes before it cannot be decoded and is not delivered. Timestamps are
/// the source's own, faults included; `Packet.setTimestamps` is for the component that repairs them.
package protocol MediaSource: AnyObject, Sendable {
    /// Blocks until the stream is described. Obeys `interrupt()` and the open deadline.
    ///
    /// Errors: `sourceUnavailable` (refused, missing, not understood, interrupted), `timeout`, `unauthorized`.
    func open() throws(CodedError) -> StreamFormat
    /// Blocks for the next item. Errors as `open`; `timeout` when no picture came for as long as `StallTimeout` allows.
    func next() throws(CodedError) -> SourceItem
    /// Asks for a key frame as soon as possible. A source that does not encode ignores it.
    func requestKeyFrame()
    /// Wants the first picture whose arrival is at or after `moment` to be a key frame; takes the place of an earlier
    /// wish of this kind. A source that does not encode ignores it.
    func requestKeyFrame(from moment: MonotonicTime)
    /// A blocked `open()` or `next()` returns promptly with an error, and so does each one after it.
    func interrupt()
    /// Ends the connection. Not while another thread is inside `open` or `next`.
    func close()
    /// Whether packets come at the pace of real time. If not (`rate=max`), the consumer holds the source back instead
    /// of dropping, and arrival times say nothing about the pictures.
    var paces: Bool { get }
    /// What the source left out or repaired, for the log; no secrets.
    var notes: [String] { get }
    /// Once open: what a camera at this machine delivers; nil for any other source.
    var input: SourceInput? { get }
    /// Once open: what became of wishes, for the log; no secrets. Only for the thread that reads.
    var remarks: [SourceRemark] { get }
}

extension MediaSource {
    package func requestKeyFrame(from moment: MonotonicTime) {}
    package var input: SourceInput? { nil }
    package var remarks: [SourceRemark] { [] }
}

/// Makes the source that an address names; what comes out of it is H.264 or H.265.
package enum MediaSources {
    /// `openTimeout` bounds `open()`, `stallTimeout` every `next()` until the source's own pace is known.
    /// `audio`: whether an audio track is wanted.
    /// `camera`: makes the device of a V4L2 address, which is the business of another module.
    package static func make(
        _ address: SourceAddress, encoder: EncoderSettings, audio: Bool, openTimeout: Duration,
        stallTimeout: Duration, camera: ((SourceAddress.V4L2Source) -> any CameraDevice)? = nil,
        clock: @escaping MonotonicClock = SystemClock.now
    ) -> any MediaSource {
        switch address.kind {
        case .testPattern(let pattern): return TestPatternSource(pattern, encoder: encoder, clock: clock)
        case .v4l2(let wish):
            guard let camera else { preconditionFailure("who opens a V4L2 address brings what makes its device") }
            return TranscodingSource(
                CameraDeviceSource(camera(wish), openTimeout: openTimeout, clock: clock), encoder: encoder)
        case .rtsp(let url):
            let settings = LibavSource.Settings(
                url: url, name: address.publicText, isFile: false, audio: audio, openTimeout: openTimeout,
                stallTimeout: stallTimeout)
            return TranscodingSource(LibavSource(settings, clock: clock), encoder: encoder)
        case .file(let file):
            let settings = LibavSource.Settings(
                url: file.path, name: address.publicText, isFile: true, loops: file.loops,
                atFullSpeed: file.atFullSpeed, audio: audio, openTimeout: openTimeout, stallTimeout: stallTimeout)
            return TranscodingSource(LibavSource(settings, clock: clock), encoder: encoder)
        }
    }

    /// A file as it is, whatever its codec: for tests of what is done with coded pictures.
    package static func undecoded(_ file: SourceAddress.FileSource, clock: @escaping MonotonicClock) -> any MediaSource
    {
        LibavSource(
            LibavSource.Settings(
                url: file.path, name: file.path, isFile: true, loops: file.loops, atFullSpeed: file.atFullSpeed,
                audio: false, openTimeout: .seconds(20), stallTimeout: .seconds(20)), clock: clock)
    }
}
