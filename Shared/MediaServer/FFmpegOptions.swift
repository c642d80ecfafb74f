/// The options that stand before one input of ffmpeg, or after the last. Who reads one takes it; what nobody took is
/// missed, but for those that say nothing of the picture.
struct FFmpegOptions {
    private struct Option {
        var name: String
        var value: String
    }

    private var options: [Option] = []

    /// - Parameter name: without its dash. `b:v:0` is the `b:v` of the first picture.
    mutating func append(_ name: String, _ value: String) {
        options.append(Option(name: name.hasSuffix(":0") ? String(name.dropLast(2)) : name, value: value))
    }

    /// The value that holds: the last one. Empty for a flag.
    mutating func take(_ names: String...) -> String? {
        let value = options.last { names.contains($0.name) }?.value
        options.removeAll { names.contains($0.name) }
        return value
    }

    mutating func takeAll(_ name: String) -> [String] {
        let values = options.filter { $0.name == name }.map(\.value)
        options.removeAll { $0.name == name }
        return values
    }

    /// By their names alone: a value may be a secret.
    var missed: [String] {
        options.filter { !Self.settled.contains($0.name) && Self.settledValues[$0.name]?.contains($0.value) != true }
            .map { "-\($0.name)" }
    }

    /// Nothing follows them.
    static let flags: Set<String> = [
        "re", "an", "vn", "sn", "dn", "y", "n", "stdin", "nostdin", "hide_banner", "stats", "nostats", "report",
        "shortest", "copyts", "start_at_zero", "ignore_unknown", "copy_unknown", "xerror", "bitexact", "benchmark",
        "autorotate", "noautorotate", "autoscale", "noautoscale", "accurate_seek", "noaccurate_seek",
    ]

    /// Of no meaning to a camera: what is printed, how much is read ahead, how long is waited, whose decoder works, and
    /// how the way to the media server is.
    private static let settled: Set<String> = [
        "hide_banner", "loglevel", "v", "stats", "nostats", "stats_period", "progress", "report", "stdin", "nostdin",
        "y", "n", "re", "readrate", "threads", "thread_queue_size", "probesize", "analyzeduration", "fpsprobesize",
        "rtbufsize", "max_delay", "reorder_queue_size", "buffer_size", "stimeout", "timeout", "rw_timeout", "fflags",
        "flags", "avioflags", "err_detect", "use_wallclock_as_timestamps", "copyts", "start_at_zero", "xerror",
        "hwaccel", "hwaccel_device", "hwaccel_output_format", "init_hw_device", "vaapi_device", "sn", "dn",
        "ignore_unknown", "muxdelay", "muxpreload", "max_interleave_delta", "max_muxing_queue_size", "flush_packets",
        "pkt_size", "avoid_negative_ts", "bitexact", "benchmark",
    ]
    private static let settledValues: [String: Set<String>] = [
        "f": ["rtsp"], "rtsp_transport": ["tcp"], "rtsp_flags": ["prefer_tcp"], "tune": ["zerolatency"],
        "tune:v": ["zerolatency"],
    ]
}
