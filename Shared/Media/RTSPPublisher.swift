internal import CAVFormat
internal import CAVShim
package import Domain

/// Publishes a stream at an RTSP server over TCP, as it comes (ANNOUNCE, SETUP, RECORD): nothing is encoded anew.
///
/// Owns the connection. Invariants: the first packet that goes out is a key frame; timestamps begin at 0 and each
/// track's decode times grow; every key frame carries its parameter sets, so that a reader who comes late can decode;
/// no call blocks longer than its timeout, however the server behaves; the login appears in no error. After an error
/// the connection is of no more use, and what remains is `close`. What is published when, and how often it is tried
/// again, is its owner's business, and so is a change of format, which needs a new publisher.
///
/// Unchecked Sendable: one thread connects, writes and closes; `interrupt`, the only call from elsewhere, touches the
/// wake signal alone.
package final class RTSPPublisher: @unchecked Sendable {
    package struct Settings: Sendable {
        package var address: RTSPAddress
        package var format: StreamFormat
        /// For the connection, its refusals included: MediaMTX takes up to 4 s to refuse a wrong password. The look-up
        /// of a host name is the system's and not bounded by it.
        package var openTimeout: Duration
        /// For each packet.
        package var writeTimeout: Duration

        package init(
            address: RTSPAddress, format: StreamFormat, openTimeout: Duration = .seconds(10),
            writeTimeout: Duration = .seconds(2)
        ) {
            self.address = address
            self.format = format
            self.openTimeout = openTimeout
            self.writeTimeout = writeTimeout
        }
    }

    /// Of an RTP packet. Fits the packets of an IPv6 tunnel, and MediaMTX need not take it apart for its readers.
    static let packetBytesMax = 1300
    /// For the goodbye to a server that still takes data.
    private static let closeTimeout: Duration = .seconds(1)

    private let settings: Settings
    private let wake = WakeSignal()
    private let units: KeyFrameUnits?
    private var context: UnsafeMutablePointer<AVFormatContext>?
    private var scratch: CodedPicture?
    private var clock: PublishingClock
    private var isBroken = false

    package init(_ settings: Settings) {
        self.settings = settings
        units = KeyFrameUnits(settings.format.video)
        clock = PublishingClock(settings.format)
    }

    deinit { close() }

    /// A blocked call returns promptly with an error, and so does each one after it.
    package func interrupt() { wake.interrupt() }

    /// Blocks until the server takes the stream.
    ///
    /// Errors: `unauthorized`; `mediaServerUnavailable` if it is not there, refuses or was interrupted; `timeout`;
    /// `invalidArgument` if RTP cannot carry the stream.
    package func connect() throws(CodedError) {
        precondition(context == nil, "a publisher connects once")
        MediaLibrary.prepare()
        guard !wake.isInterrupted else { throw Self.interruption }
        wake.allow(settings.openTimeout)
        scratch = try CodedPicture()
        let made = try makeContext()
        var options: OpaquePointer?
        defer { av_dict_free(&options) }
        av_dict_set(&options, "rtsp_transport", "tcp", 0)
        av_dict_set_int(&options, "pkt_size", Int64(Self.packetBytesMax), 0)
        let code = avformat_write_header(made, &options)
        guard code >= 0 else {
            // The muxer has closed what it opened.
            avformat_free_context(made)
            throw refusal(code)
        }
        context = made
        _ = cav_send_at_once(Int32(settings.address.port))
        clock.begin(video: made.timeBase(of: 0), audio: settings.format.audio.map { _ in made.timeBase(of: 1) })
    }

    /// Sends a packet. What comes before the first key frame is not sent.
    ///
    /// Errors: `mediaServerUnavailable` if the server has closed the connection or the call was interrupted; `timeout`
    /// if it takes no data.
    package func write(_ packet: Packet) throws(CodedError) {
        guard let scratch else { throw Self.notConnected }
        guard let stamps = clock.stamps(of: packet) else { return }
        let whole = packet.track == .video && packet.isKey ? packet.withBytes { units?.completed($0) } : nil
        if let whole {
            try scratch.hold(whole, pts: stamps.pts, dts: stamps.dts, isKey: true)
        } else {
            try scratch.refer(to: packet, pts: stamps.pts, dts: stamps.dts)
        }
        scratch.raw.pointee.stream_index = packet.track == .video ? 0 : 1
        scratch.raw.pointee.duration = stamps.duration
        try send(scratch.raw)
    }

    /// Looks whether the server is still there, which `write` does as well: for when there is nothing to write.
    ///
    /// Errors: as `write`.
    package func checkConnection() throws(CodedError) {
        guard let scratch else { throw Self.notConnected }
        guard let stamps = clock.emptyStamps() else { return }
        // The muxer looks at what the server sends before each packet, also before one that holds nothing.
        try scratch.hold([], pts: stamps.pts, dts: stamps.dts, isKey: false)
        scratch.raw.pointee.stream_index = 0
        try send(scratch.raw)
    }

    /// Ends the connection; says goodbye if the server still listens. At most `closeTimeout`.
    package func close() {
        guard let opened = context else { return }
        context = nil
        if isBroken { wake.interrupt() } else { wake.allow(Self.closeTimeout) }
        // Closes the connection as well; a server that does not hear it any more will notice that.
        av_write_trailer(opened)
        avformat_free_context(opened)
        scratch = nil
    }

    // MARK: Steps

    private static let interruption = CodedError(.mediaServerUnavailable, "publishing was interrupted")
    private static let notConnected = CodedError(.mediaServerUnavailable, "the media server is not connected")

    private func send(_ packet: UnsafeMutablePointer<AVPacket>) throws(CodedError) {
        guard let context, !isBroken else { throw Self.notConnected }
        wake.allow(settings.writeTimeout)
        let code = av_write_frame(context, packet)
        av_packet_unref(packet)
        // The muxer does not tell of a packet that it could only half send, so the clock is asked as well.
        guard !wake.shouldStop else {
            isBroken = true
            throw wake.isInterrupted
                ? Self.interruption
                : CodedError(.timeout, "the media server took no data for \(settings.writeTimeout)")
        }
        guard code >= 0 else {
            isBroken = true
            throw LibavError.mediaServer(code, "the media server closed the connection")
        }
    }

    private func refusal(_ code: Int32) -> CodedError {
        if wake.isInterrupted { return Self.interruption }
        if wake.isOverdue {
            return CodedError(.timeout, "the media server did not answer within \(settings.openTimeout)")
        }
        if code == cav_error_from_errno(Int32(22)) {
            return CodedError(.invalidArgument, "RTP cannot carry this stream", cause: LibavError.text(code))
        }
        return LibavError.mediaServer(code, "the media server at \(settings.address) did not take the stream")
    }

    private func makeContext() throws(CodedError) -> UnsafeMutablePointer<AVFormatContext> {
        var made: UnsafeMutablePointer<AVFormatContext>?
        let code = avformat_alloc_output_context2(&made, nil, "rtsp", settings.address.url())
        guard let made else { throw LibavError.internal(code, "no muxer for RTSP") }
        made.pointee.interrupt_callback.callback = { opaque in
            guard let opaque else { return 0 }
            return Unmanaged<WakeSignal>.fromOpaque(opaque).takeUnretainedValue().shouldStop ? 1 : 0
        }
        // The publisher owns the signal and outlives the context.
        made.pointee.interrupt_callback.opaque = Unmanaged.passUnretained(wake).toOpaque()
        made.pointee.flags |= AVFMT_FLAG_BITEXACT
        // Shifting timestamps is done already; the muxer must take them as they are.
        made.pointee.avoid_negative_ts = 0
        let format = settings.format
        do throws(CodedError) {
            try Self.addTrack(format.videoParameters, format.video, to: made)
            if let audio = format.audio, let parameters = format.audioParameters {
                try Self.addTrack(parameters, audio, to: made)
            }
        } catch {
            avformat_free_context(made)
            throw error
        }
        return made
    }

    private static func addTrack(
        _ parameters: UnsafePointer<AVCodecParameters>, _ track: TrackFormat,
        to context: UnsafeMutablePointer<AVFormatContext>
    ) throws(CodedError) {
        guard let stream = avformat_new_stream(context, nil),
            avcodec_parameters_copy(stream.pointee.codecpar, parameters) >= 0
        else { throw CodedError(.internal, "no memory for a track") }
        stream.pointee.time_base = AVRational(num: track.timeBase.numerator, den: track.timeBase.denominator)
    }
}

extension UnsafeMutablePointer<AVFormatContext> {
    fileprivate func timeBase(of index: Int) -> TimeBase { pointee.streams[index]?.pointee.timeBase ?? .mpeg }
}
