internal import CAVFormat
internal import CAVShim
internal import Domain

/// A source that libavformat reads: an RTSP camera over TCP, or a file.
///
/// Owns the open input and what was read ahead in `open()`. Invariants: the first video packet is a key frame with a
/// complete format; a `formatChanged` comes right before its key packet; a file that loops has timestamps that go on
/// growing, exactly to the tick. A file plays in real time by its decode times, unless it runs at full speed.
///
/// Unchecked Sendable because of `MediaSource`'s rule: one thread opens, reads and closes; `interrupt`, the only call
/// from elsewhere, touches the wake signal alone.
final class LibavSource: MediaSource, @unchecked Sendable {
    struct Settings {
        var url: String
        /// For errors: the address without its secrets.
        var name: String
        var isFile: Bool
        var loops = false
        var atFullSpeed = false
        var audio: Bool
        var openTimeout: Duration
        var stallTimeout: Duration
    }

    /// How many packets `open()` reads in search of a complete format; some 30 s of video and audio.
    private static let openPacketsMax = 3000
    /// How many packets it waits for the first audio frame after the first key frame.
    private static let audioPacketsMax = 100
    /// The deepest reordering of H.264 and H.265 is 16 pictures.
    private static let undatedMax = 17
    /// Damaged reads in a row before a source counts as broken.
    private static let badReadsMax = 100

    private let settings: Settings
    private let clock: MonotonicClock
    private let wake = WakeSignal()
    private var input: LibavInput?
    private var tracker: FormatTracker?
    private var video: TrackClock?
    private var audioFormat: TrackFormat?
    private var loop = LoopClock()
    private var pace = FilePace()
    private var ready: [SourceItem] = []
    /// Video packets that wait for the first decode time.
    private var undated: [Packet] = []
    private var hasDecodeTime = false
    private var hasStarted = false
    private var hasEnded = false
    /// The stall timeout has passed, although a frame came out of it.
    private var hasStalled = false
    private var lastArrival = MonotonicTime.zero
    private var lastPicture: MonotonicTime?
    private var silence: StallTimeout
    /// When something other than video came first after the last picture: sound does not make up for pictures.
    private var withoutPictureSince: MonotonicTime?
    private(set) var notes: [String] = []

    init(_ settings: Settings, clock: @escaping MonotonicClock) {
        self.settings = settings
        self.clock = clock
        silence = StallTimeout(initial: settings.stallTimeout)
    }

    var paces: Bool { !settings.atFullSpeed }

    func requestKeyFrame() {}
    func interrupt() { wake.interrupt() }

    func close() {
        input = nil
        ready = []
    }

    func open() throws(CodedError) -> StreamFormat {
        wake.allow(settings.openTimeout)
        let input = try openInput()
        guard let stream = input.stream(input.videoIndex), let parameters = stream.pointee.codecpar else {
            throw CodedError(.sourceUnavailable, "\(settings.name) has no video")
        }
        if let note = input.note { notes.append(note) }
        tracker = FormatTracker(parameters)
        video = TrackClock(stream, countsFrames: input.hasNoTimestamps)
        try prime(input)
        return try format(input)
    }

    func next() throws(CodedError) -> SourceItem {
        // A stall is told at once after the frame that it left behind, not after a second timeout.
        if !hasStalled { wake.allow(settings.isFile ? settings.stallTimeout : silence.allowed) }
        while ready.isEmpty {
            guard !hasEnded else { return .end }
            try readOne()
        }
        let item = ready.removeFirst()
        if case .packet(let packet) = item { try waitForTurn(packet) }
        return item
    }

    private func openInput() throws(CodedError) -> LibavInput {
        let opened = try LibavInput(
            url: settings.url, name: settings.name, isFile: settings.isFile, audio: settings.audio, jpeg: true,
            wake: wake)
        input = opened
        return opened
    }

    /// Reads ahead to the first key frame, and to the first audio frame if only that can describe the audio.
    private func prime(_ input: LibavInput) throws(CodedError) {
        var packetsAfterKey = 0
        for _ in 0..<Self.openPacketsMax {
            if hasStarted, tracker?.isComplete == true {
                let needsAudio = input.audioIndex.flatMap { input.stream($0) }.map(Self.lacksConfiguration) ?? false
                if !needsAudio || audioFormat != nil || packetsAfterKey > Self.audioPacketsMax { return }
                packetsAfterKey += 1
            }
            guard !hasEnded else { break }
            try readOne()
        }
        guard hasStarted, tracker?.isComplete == true else {
            throw CodedError(.sourceUnavailable, "\(settings.name) has no key frame with its parameter sets")
        }
    }

    private func format(_ input: LibavInput) throws(CodedError) -> StreamFormat {
        guard let stream = input.stream(input.videoIndex), let parameters = stream.pointee.codecpar, let tracker
        else { throw CodedError(.internal, "no format before the source is open") }
        describeAudio(input, packet: nil)
        let rate = stream.pointee.avg_frame_rate
        let track = TrackFormat(
            kind: .video, codecName: LibavInput.codecName(parameters), timeBase: stream.pointee.timeBase,
            width: tracker.width, height: tracker.height,
            frameRate: rate.num > 0 && rate.den > 0 ? Double(rate.num) / Double(rate.den) : nil,
            parameterSets: tracker.extradata)
        let audio = audioFormat.flatMap { format in
            input.audioIndex.flatMap { input.stream($0)?.pointee.codecpar }.map { (format, $0) }
        }
        return try StreamFormat(
            video: track, videoParameters: parameters, audio: audio?.0,
            audioParameters: audio.map { UnsafePointer($0.1) })
    }

    private static func lacksConfiguration(_ stream: UnsafeMutablePointer<AVStream>) -> Bool {
        stream.pointee.codecpar.pointee.extradata_size == 0
            && LibavInput.codecName(stream.pointee.codecpar) == "aac"
    }

    /// Once: from the container, else from the first packet. Audio that nothing describes is left out.
    private func describeAudio(_ input: LibavInput, packet: UnsafePointer<AVPacket>?) {
        guard audioFormat == nil, let stream = input.audioIndex.flatMap({ input.stream($0) }),
            let parameters = stream.pointee.codecpar
        else { return }
        let name = LibavInput.codecName(parameters)
        let channels = Int(parameters.pointee.ch_layout.nb_channels)
        var extradata = Array(
            UnsafeBufferPointer(start: parameters.pointee.extradata, count: Int(parameters.pointee.extradata_size)))
        if extradata.isEmpty, name == "opus" { extradata = AudioConfiguration.opusHead(channels: channels) }
        if extradata.isEmpty, name == "aac" {
            guard let packet,
                let made = AudioConfiguration.audioSpecificConfig(
                    adts: UnsafeRawBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size)))
            else { return }
            extradata = made
        }
        audioFormat = TrackFormat(
            kind: .audio, codecName: name, timeBase: stream.pointee.timeBase,
            sampleRate: Int(parameters.pointee.sample_rate), channels: channels, parameterSets: extradata)
    }

    private func readOne() throws(CodedError) {
        guard let input, let packet = av_packet_alloc() else {
            throw CodedError(.sourceUnavailable, "\(settings.name) is not open")
        }
        defer {
            var used: UnsafeMutablePointer<AVPacket>? = packet
            av_packet_free(&used)
        }
        for _ in 0..<Self.badReadsMax {
            let code = input.read(packet)
            if code >= 0 {
                // libav's parser holds a frame back until the next one begins, and hands it over when a read fails.
                hasStalled = hasStarted && !settings.isFile && wake.isOverdue
                return try take(packet, from: input)
            }
            guard !wake.shouldStop else { throw wake.reason }
            if code == cav_error_eof() { return try atEnd() }
            guard code == cav_error_invalid_data() || code == cav_error_from_errno(11) else {
                throw LibavError.source(code, "\(settings.name) broke off")
            }
        }
        throw CodedError(.sourceUnavailable, "\(settings.name) sends nothing that can be read")
    }

    private func atEnd() throws(CodedError) {
        guard settings.isFile else { throw CodedError(.sourceUnavailable, "\(settings.name) ended the stream") }
        releaseUndated()
        hasDecodeTime = false
        guard settings.loops, hasStarted, loop.turn() else {
            hasEnded = true
            return
        }
        input = nil
        let input = try openInput()
        video?.restart()
        if let audioIndex = input.audioIndex, audioFormat == nil {
            input.stream(audioIndex)?.pointee.discard = AVDISCARD_ALL
        }
    }

    private func take(_ packet: UnsafeMutablePointer<AVPacket>, from input: LibavInput) throws(CodedError) {
        if packet.pointee.stream_index == input.videoIndex { return try takeVideo(packet, from: input) }
        try noteMissingPicture()
        guard packet.pointee.stream_index == input.audioIndex, hasStarted else { return }
        describeAudio(input, packet: packet)
        guard let audioFormat else { return }
        let bytes = UnsafeRawBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size))
        if audioFormat.codecName == "aac", let header = AudioConfiguration.adtsHeaderLength(bytes) {
            packet.pointee.data += header
            packet.pointee.size -= Int32(header)
        }
        loop.place(audio: packet, timeBase: audioFormat.timeBase)
        ready.append(.packet(try Packet(moving: packet, track: .audio, arrival: arrival())))
    }

    /// Counted from what came instead, so that a process that was held itself accuses nobody.
    private func noteMissingPicture() throws(CodedError) {
        guard hasStarted, !settings.isFile else { return }
        let now = clock()
        let since = withoutPictureSince ?? now
        withoutPictureSince = since
        guard now - since > silence.allowed else { return }
        throw CodedError(.timeout, "the source sends sound and no pictures")
    }

    private func takeVideo(_ packet: UnsafeMutablePointer<AVPacket>, from input: LibavInput) throws(CodedError) {
        let isKey = packet.pointee.flags & AV_PKT_FLAG_KEY != 0
        guard hasStarted || isKey else { return }
        var hasChanged = false
        if isKey { hasChanged = tracker?.take(packet) ?? false }
        if hasStarted, hasChanged {
            ready.append(.formatChanged(try format(input)))
        }
        if !hasStarted {
            guard tracker?.isComplete == true else { return }
            hasStarted = true
        }
        video?.count(packet, tracker: tracker)
        let arrival = arrival()
        if let lastPicture { silence.pictureCame(after: arrival - lastPicture, at: arrival) }
        lastPicture = arrival
        withoutPictureSince = nil
        undated.append(try Packet(moving: packet, track: .video, arrival: arrival))
        releaseDated()
    }

    /// A frame that a stall left behind had come before the silence.
    private func arrival() -> MonotonicTime {
        if !hasStalled { lastArrival = clock() }
        return lastArrival
    }

    /// Where the first decode times are missing, they follow from the first one that is there, backwards.
    private func releaseDated() {
        guard let last = undated.last else { return }
        if let known = last.dts, undated.count > 1, last.duration > 0 {
            for (index, packet) in undated.dropLast().enumerated() {
                let before = Int64(undated.count - 1 - index)
                packet.setTimestamps(pts: packet.pts, dts: known - before * last.duration, duration: packet.duration)
            }
        }
        hasDecodeTime = hasDecodeTime || last.dts != nil || undated.count == Self.undatedMax
        if hasDecodeTime { releaseUndated() }
    }

    private func releaseUndated() {
        for packet in undated {
            loop.place(video: packet.raw, timeBase: video?.timeBase ?? .mpeg)
            ready.append(.packet(packet))
        }
        undated = []
    }

    private func waitForTurn(_ packet: Packet) throws(CodedError) {
        guard settings.isFile, !settings.atFullSpeed, let ticks = packet.dts ?? packet.pts else { return }
        let timeBase = packet.track == .video ? video?.timeBase : audioFormat?.timeBase
        guard let timeBase else { return }
        let due = pace.due(timeBase.duration(ticks: ticks), now: clock())
        guard wake.wait(until: due, clock: clock) else { throw wake.reason }
    }
}

extension AVStream {
    var timeBase: TimeBase { time_base.num > 0 && time_base.den > 0 ? TimeBase(time_base.num, time_base.den) : .mpeg }
}
