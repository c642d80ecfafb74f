import ClusterConfig
import Domain
import MediaServer
import TestSupport
import Testing

/// Hook commands as people write them.
struct CommandReadingTests {
    private func translate(_ path: String, server: String = "") throws -> MediaServerImport {
        try MediaServerImport(
            [UInt8]("api: yes\n\(server)paths:\n  cam:\n\(path)"), name: "mediamtx.yml", folder: "/etc/mediamtx")
    }

    private func hook(_ command: String, server: String = "") throws -> MediaServerImport {
        try translate("    runOnDemand: >-\n      \(command)\n", server: server)
    }

    /// Of the only camera.
    private func source(_ command: String) throws -> String? {
        let imported = try hook(command)
        #expect(imported.cameras.count == 1, "\(imported.remarks)")
        return imported.cameras.first?.source
    }

    /// Why there is no camera.
    private func loss(_ command: String) throws -> String {
        let imported = try hook(command)
        #expect(imported.cameras.isEmpty)
        return imported.remarks.first { $0.isLoss }?.text ?? ""
    }

    private func said(_ command: String, server: String = "") throws -> [String] {
        try hook(command, server: server).remarks.filter { $0.path == "cam" }.map(\.text)
    }

    private static let end = "-f rtsp rtsp://localhost:$RTSP_PORT/$MTX_PATH"

    // MARK: What is no source

    @Test func aPipeIsNoFile() throws {
        let piped =
            "bash -c 'rpicam-vid -t 0 --inline -o - | ffmpeg -f h264 -i pipe:0 -c copy -f rtsp rtsp://localhost/cam'"
        #expect(try loss(piped) == "its input is a pipe that rpicam-vid fills, which no camera here can be")
        #expect(
            try loss("sh -c 'nice libcamera-vid -o -|tee /tmp/x 2>&1 |& /usr/bin/ffmpeg -i - \(Self.end)'")
                == "its input is a pipe that libcamera-vid fills, which no camera here can be")
        for input in ["-", "pipe:", "fd:0", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
            #expect(
                try loss("ffmpeg -f mpegts -i \(input) -c copy \(Self.end)")
                    == "its input is a pipe, which no camera here can be")
        }
        #expect(
            try loss("sh -c 'raspivid -o - | gst-launch-1.0 fdsrc ! h264parse ! rtspclientsink'")
                == "its input is a pipe that raspivid fills, which no camera here can be")
        // What the pipeline begins with is a camera, though.
        #expect(try source("sh -c 'ffmpeg -f v4l2 -i /dev/video0 - | ffmpeg -i - \(Self.end)'") == "v4l2:///dev/video0")
    }

    @Test func whatFFmpegTakesForAProtocolIsNoFile() throws {
        for (input, scheme) in [
            ("udp:239.0.0.1:1234", "udp"), ("concat:a.ts|b.ts", "concat"), ("http://cam.lan/x.mjpg", "http"),
            ("srt+x:y", "srt+x"), ("subfile,,start,0,end,9,,:x", "subfile,,start,0,end,9,,"), ("a:b.mp4", "a"),
        ] {
            #expect(
                try loss("ffmpeg -i \(input) \(Self.end)") == "its input is \(scheme):…, which no camera here can be")
        }
        #expect(try source("ffmpeg -i file:x.mp4 -c copy \(Self.end)") == "file:///etc/mediamtx/x.mp4")
        #expect(try source("ffmpeg -i file:///srv/x:y.mp4 -c copy \(Self.end)") == "file:///srv/x:y.mp4")
        #expect(try source("ffmpeg -i ./a:b.mp4 -c copy \(Self.end)") == "file:///etc/mediamtx/./a:b.mp4")
        #expect(try source("ffmpeg -i RTSP://cam.lan/1 -c copy \(Self.end)") == "rtsp://cam.lan/1")
    }

    @Test func aShellIsOneHoweverItIsStarted() throws {
        for shell in ["bash -lc", "sh -ec", "/bin/bash -o pipefail -euc", "sh -c", "bash --login -c", "zsh -c"] {
            #expect(try source("\(shell) 'exec ffmpeg -i rtsp://cam.lan/1 -c copy \(Self.end)'") == "rtsp://cam.lan/1")
        }
        #expect(
            try source("sh -c 'sleep 1; ffmpeg -i \"rtsp://cam.lan/1?a=1&b=2\" 2>/dev/null >&2 -c copy x || exit'")
                == "rtsp://cam.lan/1?a=1&b=2")
        // To the server itself these are letters.
        #expect(try source("ffmpeg -i rtsp://cam.lan/1?a=1&b=2 -c copy \(Self.end)") == "rtsp://cam.lan/1?a=1&b=2")
        #expect(try loss("sh /usr/local/bin/start.sh -c x").contains("neither ffmpeg nor gst-launch: sh"))
    }

    // MARK: Which hook

    @Test func theHookThatIsACameraIsTaken() throws {
        let imported = try translate(
            """
                runOnInit: /usr/local/bin/led.sh on
                runOnDemand: ffmpeg -i rtsp://cam.lan/1 -c copy -f rtsp rtsp://localhost/cam

            """)
        #expect(imported.cameras.map(\.source) == ["rtsp://cam.lan/1"])
        #expect(imported.remarks.map(\.text) == ["not carried over: runOnInit"])
        let lost = try translate("    runOnInit: led.sh\n    runOnDemand: ffmpeg -i tcp:x y\n")
        #expect(
            lost.remarks.map(\.text) == [
                "runOnInit: its command is neither ffmpeg nor gst-launch: led.sh; "
                    + "runOnDemand: its input is tcp:…, which no camera here can be"
            ])
    }

    @Test func thePathsOwnHookGoesBeforeAnInheritedOne() throws {
        let defaults = "pathDefaults:\n  runOnInit: ffmpeg -i rtsp://default.lan/1 -c copy x\n"
        #expect(
            try translate("    runOnDemand: ffmpeg -i rtsp://own.lan/1 -c copy x\n", server: defaults)
                .cameras.map(\.source) == ["rtsp://own.lan/1"])
        #expect(
            try translate("    runOnDemand: start.sh\n", server: defaults).cameras.map(\.source)
                == ["rtsp://default.lan/1"])
        #expect(try translate("    runOnInit: ''\n", server: defaults).cameras.isEmpty)
        #expect(
            try translate("    runOnInit:\n", server: defaults).cameras.map(\.source) == ["rtsp://default.lan/1"])
    }

    // MARK: What ffmpeg is told

    @Test func theWebcamsFormatIsKept() throws {
        for (format, kind) in [
            ("mjpeg", "mjpeg"), ("h264", "h264"), ("hevc", "h265"), ("yuyv422", "raw"), ("nv12", "raw"),
        ] {
            let command = "ffmpeg -f v4l2 -input_format \(format) -framerate 30/1 -s vga -i /dev/video0 \(Self.end)"
            #expect(try source(command) == "v4l2:///dev/video0?size=640x480&fps=30&format=\(kind)")
            #expect(try said(command) == [])
        }
        let other = "ffmpeg -f v4l2 -input_format vp8 -i /dev/video0 \(Self.end)"
        #expect(try source(other) == "v4l2:///dev/video0")
        #expect(try said(other) == ["the pixel format is chosen by itself (-input_format vp8)"])
    }

    private func encoder(_ command: String) throws -> MediaServerImport.Encoder? {
        try hook(command).cameras.first?.encoder
    }

    @Test func theEncoderIsToldTheSame() throws {
        let webcam = "ffmpeg -f v4l2 -framerate 30 -i /dev/video0"
        let command =
            "\(webcam) -c:v libx264 -preset veryfast -tune zerolatency -b:v 2500k -g 60 \(Self.end)"
        let imported = try hook(command)
        #expect(imported.remarks == [])
        #expect(
            try encoder(command) == MediaServerImport.Encoder(preset: "veryfast", bitrate: 2_500_000, gop: .seconds(2)))
        let folder = try TestFolder()
        try folder.write([UInt8](imported.text(.written)), to: "framekeeper.yml")
        let camera = try ConfigurationLoader.load(path: folder.path("framekeeper.yml")).get().cameras.first
        #expect(camera?.encoder == EncoderSettings(preset: "veryfast", bitrate: 2_500_000, gop: .seconds(2)))
        // At the output's rate, if it has one of its own.
        #expect(try encoder("\(webcam) -r 15 -g 60 -vb 2M \(Self.end)")?.gop == .seconds(4))
        #expect(try encoder("\(webcam) -b:v:0 2M \(Self.end)")?.bitrate == 2_000_000)
        // What is not of these kinds is said.
        #expect(
            try said("\(webcam) -c:v libx265 -preset fast -b:v 1M -g 9999999 -r 15 \(Self.end)")
                == ["not carried over from its ffmpeg: -c:v libx265, -r, -b:v, -preset, -g"])
        #expect(
            try said("ffmpeg -f v4l2 -i /dev/video0 -c:v h264_nvenc -preset p4 -b:v 1 -g 30 \(Self.end)")
                == ["not carried over from its ffmpeg: -b:v, -preset, -g (the frame rate is not known)"])
        // What is compressed already is not encoded here.
        let relay = "ffmpeg -i rtsp://cam.lan/1 -c:v libx264 -b:v 1M -g 30 -c:a aac \(Self.end)"
        #expect(try encoder(relay) == MediaServerImport.Encoder())
        #expect(try said(relay) == ["not carried over from its ffmpeg: -c:v libx264, -c:a aac, -b:v, -g"])
    }

    @Test func everyOptionThatIsNotReadIsSaid() throws {
        let webcam = "ffmpeg -f v4l2 -standard pal -channel 1 -i /dev/video0"
        #expect(
            try said("\(webcam) -pix_fmt yuv420p -s 640x480 -filter:v hflip -vf vflip -filter_complex x \(Self.end)")
                == [
                    "not carried over from its ffmpeg: "
                        + "-standard, -channel, -pix_fmt, -s, -filter:v, -vf, -filter_complex"
                ])
        // A value may be a secret.
        let secret = try said("ffmpeg -headers geheim -itsoffset -0.5 -i rtsp://cam.lan/1 -c copy \(Self.end)")
        #expect(secret == ["not carried over from its ffmpeg: -headers, -itsoffset"])
        #expect(
            try said("ffmpeg -rtsp_transport udp -i rtsp://cam.lan/1 -c copy \(Self.end)")
                == ["not carried over from its ffmpeg: -rtsp_transport"])
        let quiet =
            "ffmpeg -hide_banner -loglevel error -nostdin -re -rtsp_transport tcp -thread_queue_size 512 "
            + "-fflags nobuffer -i rtsp://cam.lan/1 -map 0 -c copy -rtsp_transport tcp \(Self.end)"
        #expect(try said(quiet) == [])
    }

    @Test func aPathWithoutSoundIsACameraWithoutSound() throws {
        for options in [
            "-i rtsp://cam.lan/1 -c copy -an", "-an -i rtsp://cam.lan/1 -c:v copy",
            "-i rtsp://cam.lan/1 -map 0:v -c copy",
        ] {
            let imported = try hook("ffmpeg \(options) \(Self.end)")
            #expect(imported.cameras.first?.hasAudio == false)
            #expect(imported.text(.written).contains("\n    audio: false\n"))
            #expect(imported.remarks == [])
        }
        #expect(try hook("ffmpeg -i rtsp://cam.lan/1 -c copy \(Self.end)").cameras.first?.hasAudio == true)
    }

    // MARK: The server itself

    @Test func aPathOfThisServerIsNoCamera() throws {
        let chained = "ffmpeg -i rtsp://u:p@localhost:8554/front -vf hflip -f rtsp rtsp://localhost:8554/cam"
        #expect(try source(chained) == "rtsp://u:p@localhost:8554/front")
        let remark =
            "its input is the path front of this media server, not a camera: better use that path's own source"
        #expect(try said(chained) == [remark, "not carried over from its ffmpeg: -vf"])
        #expect(try said("ffmpeg -i rtsp://127.0.0.1:$RTSP_PORT/front -c copy x") == [remark])
        #expect(try said("ffmpeg -i rtsp://10.0.0.1:8554/front -c copy x") == [])
        #expect(try said("ffmpeg -i rtsp://localhost/front -c copy x") == [])
        let address = "rtspAddress: 10.0.0.1:554\n"
        #expect(try said("ffmpeg -i rtsp://10.0.0.1/front -c copy x", server: address) == [remark])
        #expect(
            try loss("ffmpeg -i rtsp://localhost:${RTSP_PORT}/$MTX_PATH -c copy x")
                == "its input is the path itself, at this media server")
    }

    @Test func whatIsEncryptedIsSaid() throws {
        let imported = try translate("", server: "apiEncryption: yes\nrtspEncryption: \"strict\"\n")
        #expect(imported.api == nil)
        #expect(imported.remarks.contains { $0.path == nil && $0.text.contains("set apiEncryption: no") })
        #expect(imported.remarks.contains { $0.path == nil && $0.text.contains("set rtspEncryption: optional") })
        #expect(try translate("", server: "apiEncryption: no\n").api == "http://127.0.0.1:9997")
    }

    // MARK: GStreamer

    @Test func propertiesBelongToTheirOwnElement() throws {
        #expect(
            try source(
                "gst-launch-1.0 -e rtspclientsink name=out location=rtsp://localhost/cam "
                    + "rtspsrc location=rtsp://cam.lan/1 latency=0 ! rtph264depay ! out.") == "rtsp://cam.lan/1")
        #expect(
            try source(
                "gst-launch-1.0 alsasrc device=hw:0 ! out. v4l2src device=/dev/video2 ! image/jpeg, width=(int)640, "
                    + "height=480, framerate=15/1 ! jpegdec ! x264enc ! rtspclientsink name=out")
                == "v4l2:///dev/video2?size=640x480&fps=15&format=mjpeg")
        #expect(
            try source("gst-launch-1.0 filesrc location=/srv/a.mp4 ! qtdemux ! rtspclientsink location=rtsp://h/x")
                == "file:///srv/a.mp4")
        #expect(
            try loss("gst-launch-1.0 libcamerasrc ! x264enc ! rtspclientsink location=rtsp://localhost/cam")
                == "its GStreamer source is libcamerasrc")
    }

    @Test func theRestOfThePipelineIsReadOrSaid() throws {
        let command =
            "gst-launch-1.0 v4l2src io-mode=2 ! video/x-raw,width=640,height=480,framerate=30/1 ! videoconvert "
            + "! videoscale ! video/x-raw,width=320 ! clockoverlay text=geheim ! x264enc tune=zerolatency bitrate=800 "
            + "speed-preset=superfast key-int-max=60 bframes=0 ! rtspclientsink location=rtsp://localhost/cam"
        #expect(try source(command) == "v4l2:///dev/video0?size=640x480&fps=30")
        #expect(
            try encoder(command) == MediaServerImport.Encoder(preset: "superfast", bitrate: 800_000, gop: .seconds(2)))
        #expect(
            try said(command) == [
                "not carried over from its GStreamer pipeline: "
                    + "v4l2src io-mode, videoscale, video/x-raw width, clockoverlay, x264enc bframes"
            ])
    }
}
