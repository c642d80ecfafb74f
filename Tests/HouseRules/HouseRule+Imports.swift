/// Who may use what.
extension HouseRule {
    static let imports: [HouseRule] = [
        HouseRule(
            "Domain imports nothing, BusContract only Domain, a Core only these two",
            bad: [
                Sample("Shared/Domain/A.swift", "import Foundation"),
                Sample("Shared/Domain/A.swift", "import Synchronization"),
                Sample("Shared/BusContract/A.swift", "package import FoundationEssentials"),
                Sample("Services/x/Core/A.swift", "internal import Media"),
                Sample("Services/x/Core/A.swift", "import struct Foundation.Date"),
                Sample("Services/x/Core/A.swift", "@preconcurrency import Glibc"),
            ],
            good: [
                Sample("Services/x/Core/A.swift", "package import Domain\ninternal import BusContract"),
                Sample("Services/x/Core/A.swift", "// import Foundation"), Sample("Shared/Bus/A.swift", "import Glibc"),
            ],
            check: { file in
                let allowed: [String]
                if file.path.hasPrefix("Shared/Domain/") {
                    allowed = []
                } else if file.path.hasPrefix("Shared/BusContract/") {
                    allowed = ["Domain"]
                } else if file.isPure {
                    allowed = ["Domain", "BusContract"]
                } else {
                    return []
                }
                return forbidden(file) { !allowed.contains($0) }
            }),
        HouseRule(
            "a service imports no other service",
            bad: [
                Sample("Services/capture-worker/Shell/A.swift", "internal import RotationServiceCore"),
                Sample("Services/framekeeper/Main/main.swift", "import CaptureWorkerShell"),
            ],
            good: [Sample("Services/capture-worker/Shell/A.swift", "internal import CaptureWorkerCore")],
            check: { file in
                let levels = file.path.split(separator: "/")
                guard levels.first == "Services", levels.count > 2 else { return [] }
                let own = levels[1].split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
                return forbidden(file) { module in
                    module.firstMatch(of: "(Core|Shell|Main)$") != nil && !module.hasPrefix(own)
                }
            }),
        HouseRule(
            "nothing shared imports a service",
            bad: [Sample("Shared/Bus/A.swift", "internal import CaptureWorkerCore")],
            check: { file in
                guard file.path.hasPrefix("Shared/") else { return [] }
                return forbidden(file) { $0.firstMatch(of: "(Core|Shell|Main)$") != nil }
            }),
        HouseRule(
            "each C library and SQLite have one module that knows them",
            bad: [
                Sample("Services/x/Shell/A.swift", "import CMosquitto"),
                Sample("Shared/Bus/A.swift", "import CAVFormat"),
                Sample("Shared/ServiceKit/A.swift", "import GRDB"), Sample("Tests/BusTests/A.swift", "import CAVShim"),
                Sample("Shared/Media/A.swift", "import SQLite3"), Sample("Shared/Media/A.swift", "import CV4L2"),
                Sample("Shared/Media/A.swift", "import CLibYAML"),
            ],
            good: [
                Sample("Shared/Bus/A.swift", "import CMosquitto"), Sample("Shared/Media/A.swift", "import CAVFormat"),
                Sample("Shared/Ledger/A.swift", "import GRDB"), Sample("Tests/LedgerTests/A.swift", "import GRDB"),
            ],
            check: { file in
                forbidden(file) { module in
                    let homes = owners.first { module.hasPrefix($0.prefix) }?.homes
                    return homes.map { !$0.contains(where: file.path.hasPrefix) } ?? false
                }
            }),
        HouseRule(
            "no module imports NIO or Foundation that a capture-worker links",
            bad: [
                Sample("Shared/Bus/A.swift", "import Foundation"),
                Sample("Services/capture-worker/Shell/A.swift", "import NIOCore"),
                Sample("Shared/ServiceKit/A.swift", "internal import Foundation"),
            ],
            good: [
                Sample("Shared/Bus/A.swift", "import FoundationEssentials"),
                Sample("Shared/Ledger/A.swift", "import Foundation"),
            ],
            check: { file in
                let homes = ["Bus", "Media", "VideoDevices", "ClusterConfig", "ServiceKit"].map { "Shared/\($0)/" }
                guard file.path.hasPrefix("Services/capture-worker/") || homes.contains(where: file.path.hasPrefix)
                else { return [] }
                return forbidden(file) { $0 == "Foundation" || $0.hasPrefix("NIO") }
            }),
    ]

    private static let owners: [(prefix: String, homes: [String])] = [
        ("CMosquitto", ["Shared/Bus/"]), ("CAV", ["Shared/Media/"]), ("CV4L", ["Shared/VideoDevices/"]),
        ("GRDB", ["Shared/Ledger/", "Tests/LedgerTests/"]), ("SQLite", ["Shared/Ledger/"]),
        ("CSQLite", ["Shared/Ledger/"]), ("CLibYAML", ["Shared/ClusterConfig/"]),
    ]

    private static func forbidden(_ file: SourceFile, _ isForbidden: (String) -> Bool) -> [Violation] {
        guard file.isSwift else { return [] }
        return file.imports.filter { isForbidden($0.module) }
            .map { Violation(file.path, $0.line, "import \($0.module)") }
    }
}
