// swift-tools-version: 6.2
import PackageDescription

/// House rules that the compiler can keep: explicit imports, `any`, and no warning left standing.
let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

func library(
    _ name: String, _ path: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []
) -> Target {
    .target(name: name, dependencies: dependencies, path: path, exclude: exclude, swiftSettings: house)
}

/// FoundationNetworking is built on libcurl; a static Swift runtime does not bring it along.
func networkLibrary(_ name: String, _ path: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, path: path, swiftSettings: house,
        linkerSettings: [.linkedLibrary("curl")])
}

func tests(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource] = []
) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, path: "Tests/\(name)", exclude: exclude, resources: resources,
        swiftSettings: house)
}

func main(_ name: String, _ path: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, path: path, swiftSettings: house)
}

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")

let package = Package(
    name: "framekeeper",
    products: [
        .executable(name: "capture-worker", targets: ["CaptureWorkerMain"]),
        .executable(name: "rotation-service", targets: ["RotationServiceMain"]),
        .executable(name: "config-writer", targets: ["ConfigWriterMain"]),
        .executable(name: "health-monitor", targets: ["HealthMonitorMain"]),
        .executable(name: "metrics", targets: ["MetricsMain"]),
        .executable(name: "framekeeper", targets: ["FramekeeperMain"]),
    ],
    dependencies: [
        // Commands, flags and help of `framekeeper`, flags of the services.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // The logging interface that every service writes to; ServiceKit supplies the one-line format.
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        // UnixSignals only: SIGTERM and SIGINT as an async sequence.
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // SQLite for the ledger: WAL, migrations, prepared statements.
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        // The HTTP server of the config-writer's hook address. It brings no event-loop library with it. Before its 1.0
        // a minor version may break what used the one before.
        .package(url: "https://github.com/swhitty/FlyingFox", .upToNextMinor(from: "0.27.1")),
    ],
    targets: [
        .systemLibrary(
            name: "CMosquitto", path: "Shared/CMosquitto", pkgConfig: "libmosquitto",
            providers: [.apt(["libmosquitto-dev"])]),
        .systemLibrary(
            name: "CAVFormat", path: "Shared/CAVFormat", pkgConfig: "libavformat",
            providers: [.apt(["libavformat-dev", "libavcodec-dev", "libavutil-dev", "libswscale-dev"])]),
        // YAML events with line and column for the configuration file. Not a Swift YAML package: those link the whole
        // of Foundation, which costs every worker 1.2 MiB of memory and 50 MB of executable.
        .systemLibrary(
            name: "CLibYAML", path: "Shared/CLibYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(name: "CAVShim", dependencies: ["CAVFormat"], path: "Shared/CAVShim"),
        // Cameras: libv4l2 knows the devices that need help, and the plugins with which tests stand in for one.
        .systemLibrary(
            name: "CV4L2", path: "Shared/CV4L2", pkgConfig: "libv4l2", providers: [.apt(["libv4l-dev"])]),
        .target(name: "CV4LShim", dependencies: ["CV4L2"], path: "Shared/CV4LShim"),

        library("Domain", "Shared/Domain"),
        library("BusContract", "Shared/BusContract", ["Domain"], exclude: ["TOPICS.md"]),
        library("Bus", "Shared/Bus", ["Domain", "BusContract", "CMosquitto", logging]),
        library("Media", "Shared/Media", ["Domain", "CAVFormat", "CAVShim"]),
        library("VideoDevices", "Shared/VideoDevices", ["Domain", "Media", "CV4L2", "CV4LShim"]),
        library(
            "Ledger", "Shared/Ledger",
            ["Domain", "BusContract", "Media", .product(name: "GRDB", package: "GRDB.swift")]),
        library("ClusterConfig", "Shared/ClusterConfig", ["Domain", "CLibYAML"]),
        networkLibrary("MediaServer", "Shared/MediaServer", ["Domain", "ClusterConfig"]),
        library(
            "ServiceKit", "Shared/ServiceKit",
            ["Domain", "BusContract", "Bus", "ClusterConfig", logging, signals, arguments]),
        library(
            "TestSupport", "Shared/TestSupport", ["Domain", "BusContract", "Bus", "Media", "ClusterConfig", logging]),

        library("CaptureWorkerCore", "Services/capture-worker/Core", ["Domain", "BusContract"]),
        library(
            "CaptureWorkerShell", "Services/capture-worker/Shell",
            [
                "CaptureWorkerCore", "Domain", "BusContract", "Bus", "Media", "VideoDevices", "ClusterConfig",
                "ServiceKit", logging,
            ]),
        main("CaptureWorkerMain", "Services/capture-worker/Main", ["CaptureWorkerShell", "ServiceKit", arguments]),

        library("RotationServiceCore", "Services/rotation-service/Core", ["Domain", "BusContract"]),
        library(
            "RotationServiceShell", "Services/rotation-service/Shell",
            [
                "RotationServiceCore", "Domain", "BusContract", "Bus", "Media", "Ledger", "ClusterConfig",
                "ServiceKit", logging,
            ]),
        main(
            "RotationServiceMain", "Services/rotation-service/Main", ["RotationServiceShell", "ServiceKit", arguments]),

        library("ConfigWriterCore", "Services/config-writer/Core", ["Domain", "BusContract"]),
        library(
            "ConfigWriterShell", "Services/config-writer/Shell",
            [
                "ConfigWriterCore", "Domain", "BusContract", "Bus", "Ledger", "ClusterConfig", "MediaServer",
                "ServiceKit", logging, .product(name: "FlyingFox", package: "FlyingFox"),
                .product(name: "FlyingSocks", package: "FlyingFox"),
            ]),
        main("ConfigWriterMain", "Services/config-writer/Main", ["ConfigWriterShell", "ServiceKit", arguments]),

        library("HealthMonitorCore", "Services/health-monitor/Core", ["Domain", "BusContract"]),
        library(
            "HealthMonitorShell", "Services/health-monitor/Shell",
            ["HealthMonitorCore", "Domain", "BusContract", "Bus", "ClusterConfig", "ServiceKit", logging]),
        main("HealthMonitorMain", "Services/health-monitor/Main", ["HealthMonitorShell", "ServiceKit", arguments]),

        library("MetricsCore", "Services/metrics/Core", ["Domain", "BusContract"]),
        .target(
            name: "MetricsShell",
            dependencies: [
                "MetricsCore", "Domain", "BusContract", "Bus", "Ledger", "ClusterConfig", "ServiceKit", logging,
            ],
            path: "Services/metrics/Shell",
            // In the binary itself: a static release has no folder of resources beside it.
            resources: [.embedInCode("Pages")],
            swiftSettings: house),
        main("MetricsMain", "Services/metrics/Main", ["MetricsShell", "ServiceKit", arguments]),

        library("FramekeeperCore", "Services/framekeeper/Core", ["Domain", "BusContract"]),
        library(
            "FramekeeperShell", "Services/framekeeper/Shell",
            [
                "FramekeeperCore", "Domain", "BusContract", "Bus", "Media", "VideoDevices", "Ledger", "ClusterConfig",
                "MediaServer", "ServiceKit", logging, arguments,
            ]),
        main("FramekeeperMain", "Services/framekeeper/Main", ["FramekeeperShell", "ServiceKit", arguments]),

        tests("DomainTests", ["Domain", "TestSupport"]),
        tests("BusContractTests", ["BusContract", "Bus", "Domain"]),
        tests("BusTests", ["Bus", "BusContract", "Domain", "TestSupport", logging]),
        tests("MediaTests", ["Media", "Domain", "TestSupport"]),
        tests(
            "LedgerTests",
            ["Ledger", "BusContract", "Domain", "TestSupport", .product(name: "GRDB", package: "GRDB.swift")]),
        tests("VideoDevicesTests", ["VideoDevices", "Media", "Domain", "TestSupport"]),
        tests("ClusterConfigTests", ["ClusterConfig", "Domain", "TestSupport"]),
        tests("MediaServerTests", ["MediaServer", "ClusterConfig", "Domain", "TestSupport"]),
        tests("ServiceKitTests", ["ServiceKit", "Bus", "BusContract", "Domain", "TestSupport", logging]),
        tests(
            "CaptureWorkerTests",
            [
                "CaptureWorkerCore", "CaptureWorkerShell", "Bus", "BusContract", "Media", "Domain", "ClusterConfig",
                "ServiceKit", "TestSupport", logging,
            ]),
        tests(
            "RotationServiceTests",
            [
                "RotationServiceCore", "RotationServiceShell", "Ledger", "Bus", "BusContract", "Media", "Domain",
                "ClusterConfig", "ServiceKit", "TestSupport", logging,
            ]),
        tests(
            "ConfigWriterTests",
            [
                "ConfigWriterCore", "ConfigWriterShell", "MediaServer", "Ledger", "Bus", "BusContract", "Domain",
                "ClusterConfig", "ServiceKit", "TestSupport", logging,
            ]),
        tests(
            "FramekeeperTests",
            [
                "FramekeeperCore", "FramekeeperShell", "Bus", "BusContract", "Domain", "ClusterConfig", "Ledger",
                "ServiceKit", "TestSupport", logging,
            ]),
        tests(
            "HealthMonitorTests",
            [
                "HealthMonitorCore", "HealthMonitorShell", "Bus", "BusContract", "Domain", "ClusterConfig",
                "ServiceKit", "TestSupport", logging,
            ]),
        tests(
            "MetricsTests",
            [
                "MetricsCore", "MetricsShell", "Ledger", "Bus", "BusContract", "Domain", "ClusterConfig", "ServiceKit",
                "TestSupport", logging,
            ]),
        tests("Simulation", ["CaptureWorkerCore", "RotationServiceCore", "BusContract", "Domain", "TestSupport"]),
        tests(
            "Integration",
            ["Bus", "BusContract", "Media", "Ledger", "Domain", "ClusterConfig", "TestSupport", logging]),
        tests(
            "Faults", ["BusContract", "Ledger", "Domain", "TestSupport"],
            exclude: ["faulty-camera.py", "storage-shim.c"]),
        tests("HouseRules", ["BusContract", "Domain"]),
    ]
)
