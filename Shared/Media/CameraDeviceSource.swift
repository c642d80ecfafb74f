internal import CAVFormat
internal import CAVShim
package import Domain
internal import Synchronization

/// A camera's pictures as packets: raw ones lent by the device and never copied, coded ones copied, since a ring may
/// keep them for minutes and a device has few buffers.
///
/// Owns the device while it is open. Invariants: the first picture of H.264 or H.265 is a key frame with its parameter
/// sets; pictures that the device lost are told as `skipped`, and where pictures refer to each other, so is what comes
/// before the next key frame. What is raw or MJPEG goes on to `TranscodingSource`.
///
/// Unchecked Sendable because of `MediaSource`'s rule: one thread opens, reads and closes; the calls from elsewhere go
/// to the device alone.
package final class CameraDeviceSource: MediaSource, @unchecked Sendable {
    /// The unit of timestamps: the device's own, microseconds.
    private static let timeBase = TimeBase(1, 1_000_000)
    private static let setsMax = 1 << 16
    private static let keyPause: Duration = .seconds(1)

    private let device: any CameraDevice
    private let openTimeout: Duration
    private let clock: MonotonicClock
    private var camera: CameraFormat?
    private var parameters: UnsafeMutablePointer<AVCodecParameters>?
    private var tracker: FormatTracker?
    /// What is delivered next, in order.
    private var ready: [SourceItem] = []
    /// Pictures of a coded stream that are lost or refer to lost ones; told with the next key frame.
    private var missing = 0
    private var awaitsKey = true
    /// Read by whoever asks for the notes.
    private let lostTotal = Atomic<Int>(0)
    private let keyMoment = KeyFrameMoment()
    private var keyAskedAt: MonotonicTime?
    /// Parameter sets that came in a buffer of their own, for the next picture.
    private var sets: [UInt8] = []

    package init(
        _ device: any CameraDevice, openTimeout: Duration, clock: @escaping MonotonicClock = SystemClock.now
    ) {
        self.device = device
        self.openTimeout = openTimeout
        self.clock = clock
    }

    deinit { close() }

    package var paces: Bool { true }
    package var notes: [String] {
        let lost = lostTotal.load(ordering: .relaxed)
        return lost > 0 ? ["\(lost) pictures lost by the device"] : []
    }
    package var input: SourceInput? { camera?.input }
    package var remarks: [SourceRemark] {
        camera?.input.remarks.map { SourceRemark($0, isWarning: true) } ?? []
    }

    package func requestKeyFrame() { device.requestKeyFrame() }
    package func requestKeyFrame(from moment: MonotonicTime) { keyMoment.want(from: moment) }
    package func interrupt() { device.interrupt() }

    package func close() {
        ready = []
        device.close()
        avcodec_parameters_free(&parameters)
    }

    package func open() throws(CodedError) -> StreamFormat {
        MediaLibrary.prepare()
        let deadline = clock() + openTimeout
        let camera = try device.open()
        self.camera = camera
        guard let made = avcodec_parameters_alloc() else {
            throw CodedError(.internal, "no memory for codec parameters")
        }
        parameters = made
        made.pointee.codec_type = AVMEDIA_TYPE_VIDEO
        made.pointee.codec_id = camera.coding.codecID
        made.pointee.format = camera.coding.pixelFormat.rawValue
        made.pointee.width = Int32(camera.width)
        made.pointee.height = Int32(camera.height)
        // What V4L2 drivers deliver unless they say otherwise, whatever the size.
        if camera.coding.isYUV {
            (made.pointee.color_space, made.pointee.color_range) = (AVCOL_SPC_SMPTE170M, AVCOL_RANGE_MPEG)
        }
        guard camera.coding.refersToOthers else { return try format(camera, parameterSets: []) }
        var tracker = FormatTracker(made)
        while ready.isEmpty {
            guard clock() < deadline else {
                throw CodedError(.timeout, "\(camera.input.device) sent no key frame with its parameter sets")
            }
            try take(try device.next(), camera, &tracker)
        }
        // The first format is the one that `open` returns.
        if case .formatChanged? = ready.first { ready.removeFirst() }
        self.tracker = tracker
        return try format(camera, tracker)
    }

    package func next() throws(CodedError) -> SourceItem {
        guard let camera else { throw CodedError(.internal, "the camera is not open") }
        while ready.isEmpty {
            let picture = try device.next()
            if var tracker {
                try take(picture, camera, &tracker)
                self.tracker = tracker
            } else {
                try take(picture, camera)
            }
        }
        return ready.removeFirst()
    }

    /// A picture that stands for itself.
    private func take(_ picture: CameraPicture, _ camera: CameraFormat) throws(CodedError) {
        lostTotal.add(picture.lost, ordering: .relaxed)
        if picture.lost > 0 { ready.append(.skipped(frames: picture.lost)) }
        let packet: Packet
        if case .raw = camera.coding {
            packet = try Packet(lending: picture)
        } else {
            packet = try Packet(copying: picture.bytes.buffer, isKey: true, arrival: picture.arrival)
        }
        stamp(packet)
        ready.append(.packet(packet))
    }

    /// A picture of a coded stream.
    private func take(
        _ picture: CameraPicture, _ camera: CameraFormat, _ tracker: inout FormatTracker
    ) throws(CodedError) {
        lostTotal.add(picture.lost, ordering: .relaxed)
        let hasBegun = !awaitsKey || missing > 0
        if picture.lost > 0, hasBegun {
            missing += picture.lost
            awaitsKey = true
            device.requestKeyFrame()
        }
        let (hasPicture, isKey) = camera.coding.look(at: picture.bytes.buffer)
        guard hasPicture else {
            if sets.count < Self.setsMax { sets += picture.bytes.buffer }
            return
        }
        askForKeyFrame(unless: isKey, at: picture.arrival)
        guard isKey || !awaitsKey else {
            if hasBegun { missing += 1 }
            sets = []
            return
        }
        let packet = try packet(of: picture, isKey: isKey)
        let hasChanged = isKey && tracker.take(packet.raw)
        guard tracker.isComplete else { return }
        if missing > 0 { ready.append(.skipped(frames: missing)) }
        (missing, awaitsKey) = (0, false)
        if hasChanged { ready.append(.formatChanged(try format(camera, tracker))) }
        stamp(packet)
        ready.append(.packet(packet))
    }

    private func packet(of picture: CameraPicture, isKey: Bool) throws(CodedError) -> Packet {
        guard !sets.isEmpty else {
            return try Packet(copying: picture.bytes.buffer, isKey: isKey, arrival: picture.arrival)
        }
        let whole = sets + picture.bytes.buffer
        sets = []
        let made: Result<Packet, CodedError> = whole.withUnsafeBytes { bytes in
            do throws(CodedError) {
                return .success(try Packet(copying: bytes, isKey: isKey, arrival: picture.arrival))
            } catch {
                return .failure(error)
            }
        }
        return try made.get()
    }

    /// The wish is repeated until it is fulfilled, which takes a camera some pictures.
    private func askForKeyFrame(unless isKey: Bool, at arrival: MonotonicTime) {
        guard keyMoment.isDue(at: arrival), !isKey, keyAskedAt.map({ arrival - $0 >= Self.keyPause }) ?? true else {
            return
        }
        keyAskedAt = arrival
        device.requestKeyFrame()
    }

    private func stamp(_ packet: Packet) {
        let ticks = Self.timeBase.ticks(in: packet.arrival - .zero)
        let interval = camera?.frameRate.map { $0 > 0 ? Duration.seconds(1 / $0) : .zero } ?? .zero
        packet.setTimestamps(pts: ticks, dts: ticks, duration: Self.timeBase.ticks(in: interval))
    }

    private func format(_ camera: CameraFormat, _ tracker: FormatTracker) throws(CodedError) -> StreamFormat {
        var measured = camera
        (measured.width, measured.height) = (tracker.width, tracker.height)
        return try format(measured, parameterSets: tracker.extradata)
    }

    private func format(_ camera: CameraFormat, parameterSets: [UInt8]) throws(CodedError) -> StreamFormat {
        guard let parameters else { throw CodedError(.internal, "no format before the camera is open") }
        let track = TrackFormat(
            kind: .video, codecName: LibavInput.codecName(parameters), timeBase: Self.timeBase, width: camera.width,
            height: camera.height, frameRate: camera.frameRate, parameterSets: parameterSets)
        return try StreamFormat(
            video: track, videoParameters: UnsafePointer(parameters), audio: nil, audioParameters: nil)
    }
}

extension CameraFormat.Coding {
    /// Whether a picture may need others to be decoded.
    var refersToOthers: Bool {
        switch self {
        case .h264, .h265: true
        case .mjpeg, .raw: false
        }
    }

    var codecID: AVCodecID {
        switch self {
        case .h264: AV_CODEC_ID_H264
        case .h265: AV_CODEC_ID_HEVC
        case .mjpeg: AV_CODEC_ID_MJPEG
        case .raw: AV_CODEC_ID_RAWVIDEO
        }
    }

    var pixelFormat: AVPixelFormat {
        guard case .raw(let layout) = self else { return AV_PIX_FMT_NONE }
        return switch layout {
        case .yuyv422: AV_PIX_FMT_YUYV422
        case .uyvy422: AV_PIX_FMT_UYVY422
        case .yvyu422: AV_PIX_FMT_YVYU422
        case .nv12: AV_PIX_FMT_NV12
        case .nv21: AV_PIX_FMT_NV21
        case .yuv420p: AV_PIX_FMT_YUV420P
        case .gray: AV_PIX_FMT_GRAY8
        case .rgb24: AV_PIX_FMT_RGB24
        case .bgr24: AV_PIX_FMT_BGR24
        }
    }

    var isYUV: Bool {
        switch self {
        case .raw(.rgb24), .raw(.bgr24), .h264, .h265, .mjpeg: false
        case .raw: true
        }
    }

    /// Whether there is a coded slice in it, since a driver may give parameter sets in a buffer of their own
    /// (`V4L2_MPEG_VIDEO_HEADER_MODE_SEPARATE`), and whether decoding can begin with this access unit: an IDR picture
    /// of H.264, an IRAP picture of H.265 (Rec. ITU-T H.264 table 7-1, H.265 table 7-1). Both for what is not of units.
    func look(at unit: UnsafeRawBufferPointer) -> (hasPicture: Bool, isKey: Bool) {
        let codec: ParameterSets.Codec
        switch self {
        case .h264: codec = .h264
        case .h265: codec = .hevc
        case .mjpeg, .raw: return (true, true)
        }
        var found = (hasPicture: false, isKey: false)
        ParameterSets.forEachUnit(in: unit, lengthSize: nil) { unit in
            let type = codec.type(of: unit)
            found.hasPicture = found.hasPicture || (codec == .h264 ? (1...5).contains(type) : type < 32)
            found.isKey = found.isKey || (codec == .h264 ? type == 5 : (16...23).contains(type))
        }
        return found
    }
}
