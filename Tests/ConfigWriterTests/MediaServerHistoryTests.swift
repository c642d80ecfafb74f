import BusContract
import ConfigWriterCore
import Domain
import Foundation
import TestSupport
import Testing

/// All short histories of a camera, its viewers and its media server, and many long ones from seeds, against the
/// promises.
struct MediaServerHistoryTests {
    @Test func everyShortHistoryKeepsThePromises() {
        var failures: [String] = []
        // The long form takes a minute.
        let depth = ProcessInfo.processInfo.environment["FRAMEKEEPER_TEST_FULL"] == nil ? 3 : 4
        let count = World.Happening.allCases.count
        let total = (0..<depth).reduce(1) { product, _ in product * count }
        for number in 0..<total {
            var rest = number
            let history = (0..<depth).map { _ in
                defer { rest /= count }
                return World.Happening.allCases[rest % count]
            }
            var world = World()
            for happening in history { world.let(happening) }
            world.settle()
            if !world.broken.isEmpty { failures.append("\(history): \(world.broken)") }
        }
        #expect(failures.isEmpty, "\(failures.prefix(3))")
    }

    @Test func longHistoriesFromSeedsKeepThePromises() {
        for seed in UInt64(1)...300 {
            var random = SeededRandom(seed: seed)
            var world = World()
            for _ in 0..<40 { world.let(random.pick(World.Happening.allCases)) }
            world.settle()
            #expect(world.broken.isEmpty, "seed \(seed): \(world.broken)")
        }
    }
}

/// One camera `front` with its worker and its viewers, and a server that answers before it has acted, forgets, hangs
/// and dies.
struct World {
    enum Happening: CaseIterable {
        case viewerComes, viewerLeaves, publisherIsLost, settingsDrift, serverDies, serverHangs, apiIsRefused
        case serverReturns, fileIsReloaded, hookIsCalled, hookIsTakenBack, timePasses
    }

    /// `refusing`: its API; it relays and calls its hooks.
    private enum Server: Equatable {
        case up, down, hanging, refusing
        var relays: Bool { self == .up || self == .refusing }
    }
    private enum Standing { case missing, equal, differs }

    private static let front = CameraID(unchecked: "front")
    private var core = MediaServerCore(node: NodeID(unchecked: "attic"), seed: 3)
    private var now = MonotonicTime(nanoseconds: 1_000_000_000)
    private var wakeAt: MonotonicTime?

    private var server = Server.up
    private var life = 0
    private var standing = Standing.missing
    /// The server acts a moment after it has answered.
    private var actsAt: MonotonicTime?
    private var isPublished = false
    private var viewers = 0
    private var isLeased = false
    /// The close-after of the worker, which goes on publishing.
    private var lingersUntil: MonotonicTime?
    /// The worker's last word of it.
    private var isToldPublished = false

    private var looks: [MonotonicTime] = []
    private var looksWithoutLease = 0
    private(set) var broken: [String] = []

    init() {
        let wish = PathWish(camera: Self.front, kind: .published, startTimeout: .seconds(15))
        handle(.configured(MediaServerWish(paths: ["front": wish], hasFile: false)))
        pass(.seconds(3))
    }

    mutating func `let`(_ happening: Happening) {
        let before = server
        switch happening {
        case .viewerComes:
            guard server.relays else { break }
            if isPublished { viewers += 1 }
            handle(isPublished ? .readerCame(Self.front) : .demanded(Self.front))
        case .viewerLeaves: viewers = max(0, viewers - 1)
        case .apiIsRefused: if server == .up { server = .refusing }
        case .publisherIsLost: (isPublished, viewers) = (false, 0)
        case .settingsDrift: if standing == .equal { standing = .differs }
        case .serverDies: (server, standing, isPublished, viewers, actsAt) = (.down, .missing, false, 0, nil)
        case .serverHangs: if server == .up { server = .hanging }
        case .serverReturns:
            if server == .down { life += 1 }
            server = .up
        case .fileIsReloaded: if server.relays { (standing, isPublished, viewers) = (.missing, false, 0) }
        case .hookIsCalled: if server.relays { handle(.demanded(Self.front)) }
        case .hookIsTakenBack: if server.relays, viewers == 0 { handle(.undemanded(Self.front)) }
        case .timePasses: pass(.seconds(7))
        }
        if server != before { looks = [] }
        pass(.milliseconds(700))
    }

    /// Everyone has gone and everything works: after a while nothing is left to do.
    mutating func settle() {
        (server, viewers) = (.up, 0)
        pass(.seconds(90))
        if isLeased { broken.append("(c) the lease outlives the last viewer") }
        if standing != .equal { broken.append("the path is \(standing)") }
    }

    // MARK: Time

    private mutating func pass(_ span: Duration) {
        let end = now + span
        while let next = wakeAt, next <= end {
            now = max(now, next)
            wakeAt = nil
            act()
            handle(.woke)
        }
        now = end
        act()
    }

    private mutating func act() {
        if let actsAt, actsAt <= now {
            self.actsAt = nil
            standing = .equal
        }
        if isLeased { lingersUntil = nil }
        if let lingersUntil, lingersUntil <= now {
            self.lingersUntil = nil
            if viewers > 0, server.relays { broken.append("(e) the stream is closed under \(viewers) viewers") }
        }
        // The worker publishes while it is leased and the server takes it.
        isPublished = (isLeased || lingersUntil != nil) && server != .down && standing != .missing
        if !isPublished { viewers = 0 }
        guard isPublished != isToldPublished else { return }
        isToldPublished = isPublished
        handle(.viewingReported(Self.front, isPublished ? .active : .starting, isLeased: isLeased))
    }

    private mutating func handle(_ event: MediaServerEvent) {
        var events = [event]
        while !events.isEmpty {
            for effect in core.handle(events.removeFirst(), at: now) { events += perform(effect) }
        }
    }

    // MARK: The server's and the worker's part

    private mutating func perform(_ effect: MediaServerEffect) -> [MediaServerEvent] {
        switch effect {
        case .look(let depth): return [look(depth)]
        case .change(let change): return [change == .replace("front") ? replace() : .changed(change, nil)]
        case .startViewing:
            isLeased = true
            return [.leaseAnswered(Self.front, nil), .viewingReported(Self.front, .starting, isLeased: true)]
        case .stopViewing:
            if viewers > 0, server.relays { broken.append("a lease is ended under \(viewers) viewers") }
            if isLeased { lingersUntil = now + .seconds(20) }
            isLeased = false
            return [.leaseAnswered(Self.front, nil), .viewingReported(Self.front, .off, isLeased: false)]
        case .wake(let time):
            wakeAt = time
            return []
        case .writeFile, .publish, .withdraw, .reply, .refuse, .note: return []
        }
    }

    private mutating func look(_ depth: LookDepth) -> MediaServerEvent {
        check(looks: now)
        now = now + .milliseconds(server == .hanging ? 5000 : 2)
        switch server {
        case .down:
            return .looked(
                .failure(MediaServerFailure(.unreachable, CodedError(.mediaServerUnavailable, "refused"))))
        case .hanging:
            return .looked(.failure(MediaServerFailure(.silent, CodedError(.mediaServerUnavailable, "silent"))))
        case .refusing:
            return .looked(.failure(MediaServerFailure(.denied, CodedError(.mediaServerUnavailable, "denied"))))
        case .up: break
        }
        looksWithoutLease = viewers > 0 && !isLeased ? looksWithoutLease + 1 : 0
        if looksWithoutLease > 2 { broken.append("(b) viewers without a lease") }
        let path = MediaServerState.Path(ready: isPublished, viewers: viewers, bytes: 0)
        var standings: [String: PathStanding] = [:]
        switch standing {
        case .missing: break
        case .equal: standings["front"] = .equal
        case .differs: standings["front"] = .differs(["record"])
        }
        return .looked(
            .success(
                MediaServerLook(
                    version: "v1", started: "\(life)", traffic: standing == .missing ? [:] : ["front": path],
                    readers: ["front": Set((0..<viewers).map(String.init))],
                    standings: depth == .everything ? standings : nil)))
    }

    private mutating func replace() -> MediaServerEvent {
        if viewers > 0, standing != .equal { broken.append("(a) settings change under \(viewers) viewers") }
        now = now + .milliseconds(2)
        guard server == .up else {
            return .changed(
                .replace("front"),
                MediaServerFailure(.unreachable, CodedError(.mediaServerUnavailable, "refused")))
        }
        if standing != .equal {
            isPublished = false
            actsAt = now + .milliseconds(50)
        }
        return .changed(.replace("front"), nil)
    }

    /// A server that is away is asked at most a few times a second, one that hangs once in a while.
    private mutating func check(looks moment: MonotonicTime) {
        looks = looks.filter { moment - $0 < .seconds(10) } + [moment]
        let limit = server == .up ? 60 : server == .hanging ? 3 : 20
        if looks.count > limit { broken.append("(d) \(looks.count) looks in 10 s, the server is \(server)") }
    }
}
