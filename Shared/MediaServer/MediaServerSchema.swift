/// What MediaMTX v1.20.1 takes in its file: every key with the kind of its value, from the server's own OpenAPI
/// document and its defaults. A bad file ends a running server, so nothing is written that has not been held against
/// this table.
package enum MediaServerSchema {
    package indirect enum Kind: Hashable, Sendable {
        case text, flag, integer, number, duration, size
        case words([String])
        case list(Kind)
        /// With keys of its own, which are left to the server.
        case map
    }

    package static let version = "v1.20.1"

    /// Of a path and of `pathDefaults`.
    package static let path = table(pathKeys)
    /// Of the file's top level, but `paths` and `pathDefaults`.
    package static let global = table(globalKeys)

    private static func table(_ rows: [(Kind, String)]) -> [String: Kind] {
        var kinds: [String: Kind] = [:]
        for (kind, keys) in rows {
            for key in keys.split(separator: " ") { kinds[String(key)] = kind }
        }
        return kinds
    }

    private static let pathKeys: [(Kind, String)] = [
        (
            .text,
            """
            alwaysAvailableFile fallback moqTransport name publishPass publishUser readPass readUser recordPath \
            rpiCameraAWB rpiCameraAfMode rpiCameraAfRange rpiCameraAfSpeed rpiCameraAfWindow rpiCameraCodec \
            rpiCameraDenoise rpiCameraExposure rpiCameraH264Level rpiCameraH264Profile \
            rpiCameraHardwareH264Level rpiCameraHardwareH264Profile rpiCameraLevel rpiCameraMetering \
            rpiCameraMode rpiCameraProfile rpiCameraROI rpiCameraSoftwareH264Level rpiCameraSoftwareH264Profile \
            rpiCameraTextOverlay rpiCameraTuningFile rtpSDP rtspRangeStart rtspScale runOnAvailable runOnDemand \
            runOnInit runOnNotReady runOnOffline runOnOnline runOnRead runOnReady runOnRecordSegmentComplete \
            runOnRecordSegmentCreate runOnUnDemand runOnUnavailable runOnUnread source sourceFingerprint \
            sourceRedirect srtPublishPassphrase srtReadPassphrase whepBearerToken
            """
        ),
        (
            .flag,
            """
            alwaysAvailable disablePublisherOverride overridePublisher playback record rpiCameraHDR \
            rpiCameraHFlip rpiCameraSecondary rpiCameraTextOverlayEnable rpiCameraVFlip rtspAnyPort \
            rtspDemuxMpegts runOnAvailableRestart runOnDemandRestart runOnInitRestart runOnOnlineRestart \
            runOnReadRestart runOnReadyRestart sourceAnyPortEnable sourceOnDemand useAbsoluteTimestamp
            """
        ),
        (
            .integer,
            """
            maxReaders mpegtsUDPReadBufferSize rpiCameraBitrate rpiCameraCamID rpiCameraFlickerPeriod \
            rpiCameraHeight rpiCameraIDRPeriod rpiCameraJPEGQuality rpiCameraMJPEGQuality rpiCameraShutter \
            rpiCameraWidth rtpUDPReadBufferSize rtspUDPReadBufferSize
            """
        ),
        (
            .duration,
            """
            recordDeleteAfter recordPartDuration recordSegmentDuration runOnDemandCloseAfter \
            runOnDemandStartTimeout sourceOnDemandCloseAfter sourceOnDemandStartTimeout whepHandshakeTimeout \
            whepSTUNGatherTimeout whepTrackGatherTimeout
            """
        ),
        (
            .number,
            """
            rpiCameraBrightness rpiCameraContrast rpiCameraEV rpiCameraFPS rpiCameraGain rpiCameraLensPosition \
            rpiCameraSaturation rpiCameraSharpness
            """
        ),
        (.list(.map), "alwaysAvailableTracks forward"),
        (.list(.text), "publishIPs readIPs"),
        (.words(["udp", "multicast", "tcp", "automatic"]), "rtspTransport sourceProtocol"),
        (.list(.integer), "rtspUDPSourcePortRange"),
        (.list(.number), "rpiCameraAWBGains"),
        (.size, "recordMaxPartSize"),
        (.words(["", "clock", "npt", "smpte"]), "rtspRangeType"),
        (.words(["fmp4", "mpegts"]), "recordFormat"),
    ]

    private static let globalKeys: [(Kind, String)] = [
        (
            .text,
            """
            apiAddress apiAllowOrigin apiServerCert apiServerKey authHTTPAddress authHTTPFingerprint \
            authJWTAudience authJWTClaimKey authJWTIssuer authJWTJWKS authJWTJWKSFingerprint \
            externalAuthenticationURL hlsAddress hlsAllowOrigin hlsCDNSecret hlsDirectory hlsServerCert \
            hlsServerKey logFile metricsAddress metricsAllowOrigin metricsServerCert metricsServerKey \
            moqHTTP2Address moqHTTP3Address moqHTTPS2Address moqHTTPS3Address moqQUICAddress moqServerCert \
            moqServerKey multicastIPRange playbackAddress playbackAllowOrigin playbackServerCert \
            playbackServerKey pprofAddress pprofAllowOrigin pprofServerCert pprofServerKey recordPath \
            rtcpAddress rtmpAddress rtmpServerCert rtmpServerKey rtmpsAddress rtpAddress rtspAddress \
            rtspServerCert rtspServerKey rtspsAddress runOnConnect runOnDisconnect srtAddress srtcpAddress \
            srtpAddress sysLogPrefix webrtcAddress webrtcAllowOrigin webrtcICETCPMuxAddress \
            webrtcICEUDPMuxAddress webrtcLocalTCPAddress webrtcLocalUDPAddress webrtcServerCert webrtcServerKey
            """
        ),
        (
            .flag,
            """
            api apiEncryption authJWTInHTTPQuery dumpPackets hls hlsAlwaysRemux hlsDisable hlsEncryption \
            logStructured metrics metricsEncryption moq playback playbackEncryption pprof pprofEncryption record \
            rtmp rtmpDisable rtsp rtspDisable runOnConnectRestart srt webrtc webrtcDisable webrtcEncryption \
            webrtcIPsFromInterfaces
            """
        ),
        (
            .list(.text),
            """
            apiAllowOrigins apiTrustedProxies hlsAllowOrigins hlsTrustedProxies metricsAllowOrigins \
            metricsTrustedProxies moqAllowOrigins moqTrustedProxies playbackAllowOrigins playbackTrustedProxies \
            pprofAllowOrigins pprofTrustedProxies rtmpTrustedProxies rtspTrustedProxies webrtcAdditionalHosts \
            webrtcAllowOrigins webrtcICEHostNAT1To1IPs webrtcICEServers webrtcIPsFromInterfacesList \
            webrtcTrustedProxies
            """
        ),
        (
            .duration,
            """
            hlsMuxerCloseAfter hlsPartDuration hlsSegmentDuration readTimeout recordDeleteAfter \
            recordPartDuration recordSegmentDuration webrtcHandshakeTimeout webrtcSTUNGatherTimeout \
            webrtcTrackGatherTimeout writeTimeout
            """
        ),
        (
            .integer,
            """
            hlsSegmentCount multicastRTCPPort multicastRTPPort multicastSRTCPPort multicastSRTPPort \
            readBufferCount rtspUDPReadBufferSize udpMaxPayloadSize udpReadBufferSize writeQueueSize
            """
        ),
        (
            .list(.map),
            """
            authHTTPExclude authInternalUsers authJWTExclude webrtcICEServers2
            """
        ),
        // `internal/conf/encryption.go`; without quotes only two of them are words, see `isFit`.
        (.words(["no", "false", "optional", "strict", "yes", "true"]), "encryption rtmpEncryption rtspEncryption"),
        (.list(.words(["basic", "digest"])), "authMethods rtspAuthMethods"),
        (.list(.words(["udp", "multicast", "tcp"])), "protocols rtspTransports"),
        (.list(.words(["stdout", "file", "syslog"])), "logDestinations"),
        (.size, "hlsSegmentMaxSize"),
        (.words(["error", "warn", "info", "debug"]), "logLevel"),
        (.words(["fmp4", "mpegts"]), "recordFormat"),
        (.words(["internal", "http", "jwt"]), "authMethod"),
        (.words(["mpegts", "fmp4", "lowLatency"]), "hlsVariant"),
    ]
}
