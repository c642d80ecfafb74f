import Bus
import BusContract
import ClusterConfig
import ConfigWriterShell
import Domain
import Foundation
import MediaServer
import Synchronization
import TestSupport
import Testing

/// The keeper on a media server that does what the real one does, its traps included.
@Suite(.serialized)
struct MediaServerKeeperTests {
    private func begun(
        _ names: [String] = ["front"], paths: String = "  mine: {source: publisher, maxReaders: 7}\n",
        workerPublishes: Bool = true
    ) async throws -> MediaServerFixture {
        let fixture = try await MediaServerFixture(
            try MediaServerProcess(paths: paths), workerPublishes: workerPublishes)
        try await fixture.server.start()
        fixture.keeper.configure(fixture.settings(), cameras: try fixture.cameras(names))
        try await fixture.waitUntilSet(names)
        return fixture
    }

    @Test func pathsAreThoseOfTheCamerasAndNobodyElses() async throws {
        let fixture = try await begun(["front", "hall"])
        try await fixture.waitForState("the state says so") { $0.reachable && $0.paths.count == 2 && $0.error == nil }
        #expect(Set(try await fixture.client.pathConfigurations().map(\.name)) == ["front", "hall", "mine"])
        // A camera that is gone takes its path along; other people's paths stay.
        fixture.keeper.configure(fixture.settings(), cameras: try fixture.cameras(["hall"]))
        try await eventually("the path is deleted") {
            Set(try await fixture.client.pathConfigurations().map(\.name)) == ["hall", "mine"]
        }
        #expect(try await fixture.client.pathConfiguration("mine").values["maxReaders"] == .number(7))
        // Without the section the state is taken back.
        fixture.keeper.configure(nil, cameras: [])
        try await eventually("the state is withdrawn") { fixture.heard.payloads(on: "mediamtx/attic").last == "" }
        await fixture.stop()
    }

    /// The server says yes to a change before it carries it out. Who takes the old settings for a refusal asks again,
    /// and cuts off whoever came in between.
    @Test func aChangeThatComesAfterItsYesIsAskedForOnce() async throws {
        let server = try MediaServerProcess(changePause: .milliseconds(700))
        let fixture = try await MediaServerFixture(server)
        try await server.start()
        fixture.keeper.configure(fixture.settings(), cameras: try fixture.cameras(["front"]))
        try await fixture.waitUntilSet(["front"])
        try await fixture.waitForState("the state says so") { $0.paths["front"] != nil && $0.error == nil }
        _ = try await look(fixture)
        let changes = server.log.split(separator: "\n").count { $0.contains("configuration (API request)") }
        #expect(changes == 1)
        await fixture.stop()
    }

    /// What the bus brings waits for its turn: it costs neither a configuration nor an answer of the server.
    @Test func aFloodOfMessagesPushesNothingOut() async throws {
        let fixture = try await MediaServerFixture(try MediaServerProcess(), startsKeeper: false)
        try await fixture.server.start()
        let keeper = fixture.keeper
        keeper.configure(fixture.settings(), cameras: try fixture.cameras(["front"]))
        let taken = Mutex(0)
        let flood = Task {
            for _ in 0..<20_000 {
                await keeper.take(InboundMessage(topic: "cameras/front/stream", payload: [], isRetained: false))
                taken.withLock { $0 += 1 }
            }
        }
        var before = 0
        try await eventually("the flood stands, or all of it is in") {
            let count = taken.withLock { $0 }
            defer { before = count }
            return count > 0 && count == before
        }
        keeper.start()
        await flood.value
        try await fixture.waitUntilSet(["front"])
        await fixture.stop()
    }

    /// What the API set is gone with the process that was told.
    @Test func aServerThatWasKilledHasItsPathsWithinTwoSeconds() async throws {
        let fixture = try await begun()
        for _ in 0..<2 {
            fixture.server.kill()
            try await fixture.waitForState("the server is missed") { !$0.reachable }
            try await fixture.server.start()
            let back = ContinuousClock.now
            try await fixture.waitUntilSet(["front"])
            let took = ContinuousClock.now - back
            print("paths set \(took) after the server's return")
            #expect(took < .seconds(2))
        }
        try await fixture.waitForState("the server is back") { $0.reachable && $0.breaker == .closed }
        await fixture.stop()
    }

    @Test func aReloadOfTheFileTakesPathsAwayAndTheyComeBack() async throws {
        let fixture = try await begun()
        let before = fixture.server.text(paths: "  mine: {source: publisher}\n") + "# changed\n"
        try fixture.server.folder.write(Array(before.utf8), to: "mediamtx.yml")
        try await eventually("the server has read its file") {
            try await fixture.client.pathConfiguration("mine").values["maxReaders"] == .number(0)
        }
        try await fixture.waitUntilSet(["front"])
        #expect(try fixture.server.folder.bytes("mediamtx.yml") == Array(before.utf8))
        await fixture.stop()
    }

    @Test func settingsThatSomebodyChangedAreSetAgain() async throws {
        let fixture = try await begun()
        let port = fixture.server.apiPort
        let change = #"{"runOnDemandCloseAfter":"0s","record":true}"#
        #expect(try await RawHTTP.send("PATCH", "/v3/config/paths/patch/front", body: change, port: port).status == 200)
        try await eventually("the change is there") {
            try await fixture.client.pathConfiguration("front").values["record"] == .flag(true)
        }
        try await fixture.waitUntilSet(["front"])
        await fixture.stop()
    }

    /// A change of somebody else that the server refused makes it refuse every other change as well.
    @Test func aPoisonedServerIsCured() async throws {
        let fixture = try await begun(["front", "hall"])
        let port = fixture.server.apiPort
        let poison = try await RawHTTP.send(
            "PATCH", "/v3/config/paths/patch/hall", body: #"{"recordPath":"./x"}"#, port: port)
        #expect(poison.status == 400)
        let refused = try await RawHTTP.send("POST", "/v3/config/paths/add/other", body: "{}", port: port)
        #expect(refused.status == 400 && refused.body.contains("recordPath"))
        fixture.keeper.configure(fixture.settings(), cameras: try fixture.cameras(["front", "hall", "yard"]))
        try await fixture.waitUntilSet(["front", "hall", "yard"])
        #expect(try await RawHTTP.send("POST", "/v3/config/paths/add/other", body: "{}", port: port).status == 200)
        try await fixture.waitForState("nothing is wrong") { $0.error == nil && $0.waiting == [] }
        await fixture.stop()
    }

    @Test func aPathInUseKeepsItsSettingsUntilTheLastHasLeft() async throws {
        let fixture = try await begun(workerPublishes: false)
        let publisher = try fixture.server.publish("front")
        try await eventually("it is published") { try await fixture.client.path("front").ready }
        let reader = try fixture.server.read("front")
        try await eventually("it is read") { try await fixture.client.path("front").readers.count == 1 }
        fixture.keeper.configure(
            fixture.settings(), cameras: try fixture.cameras(["front"], startTimeout: .seconds(20)))
        try await fixture.waitForState("it waits") { $0.waiting == ["front"] && $0.paths["front"]?.viewers == 1 }
        // Some looks later the viewer still watches, and the settings are still the old ones.
        let looks = fixture.heard.decoded(MediaServerState.self).count
        let reply = try await look(fixture)
        #expect(reply?.paths["front"]?.viewers == 1)
        #expect(looks > 0 && publisher.exitStatus() == nil && reader.exitStatus() == nil)
        #expect(try await fixture.isSet("front"))
        reader.kill()
        try await fixture.waitUntilSet(["front"], startTimeout: .seconds(20))
        try await fixture.waitForState("it waits no more") { $0.waiting == [] }
        await fixture.stop()
    }

    private func look(_ fixture: MediaServerFixture) async throws -> MediaServerResult? {
        try await fixture.tester.request(
            Array("LOOK".utf8), to: "mediamtx/attic/set", expecting: MediaServerResult.self, timeout: .seconds(10)
        ).result
    }

    /// The whole way: a viewer, the server's hook, a lease, a publisher, a picture; and back.
    @Test func aViewerStartsTheCameraAndTheLastOneEndsIt() async throws {
        let fixture = try await begun()
        #expect(!fixture.isLeased)
        let first = try fixture.server.read("front")
        try await eventually("the worker is asked") { fixture.isLeased }
        try await fixture.waitForState("the viewer is served") { $0.paths["front"]?.viewers == 1 }
        // No hook tells of a demand by the second.
        let second = try fixture.server.read("front")
        try await fixture.waitForState("both are counted") { $0.paths["front"]?.viewers == 2 }
        first.kill()
        try await fixture.waitForState("one is left") { $0.paths["front"]?.viewers == 1 }
        #expect(fixture.isLeased && fixture.stops == 0)
        second.kill()
        try await eventually("the lease ends") { !fixture.isLeased }
        #expect(try await look(fixture)?.paths["front"]?.viewers == 0)
        await fixture.stop()
    }

    /// A camera that may take long to start is not asked for again before it had its time.
    @Test func aWorkerHasTheCamerasOwnTimeToAnswer() async throws {
        let fixture = try await MediaServerFixture(
            try MediaServerProcess(), workerPublishes: false, workerAnswers: false)
        try await fixture.server.start()
        fixture.keeper.configure(
            fixture.settings(), cameras: try fixture.cameras(["front"], startTimeout: .seconds(30)))
        try await fixture.waitUntilSet(["front"], startTimeout: .seconds(30))
        let reader = try fixture.server.read("front")
        try await eventually("the lease is asked for") { fixture.starts == 1 }
        let asked = ContinuousClock.now
        // Longer than the start timeout of a camera that is given none.
        try await eventually("some time has passed") { ContinuousClock.now - asked > .seconds(13) }
        #expect(fixture.starts == 1)
        reader.kill()
        await fixture.stop()
    }

    @Test func theFileStandsInForAnAPIThatRefusesAndNothingIsMadeTwice() async throws {
        let server = try MediaServerProcess(paths: "  mine: {source: publisher}\n", user: ("keeper", "geheim"))
        let fixture = try await MediaServerFixture(server)
        try await server.start()
        let original = try server.folder.bytes("mediamtx.yml")
        fixture.keeper.configure(
            fixture.settings(user: ("keeper", "wrong"), hasFile: true), cameras: try fixture.cameras(["front"]))
        try await fixture.waitForState("it goes to the file") { $0.mode == .static }
        try await fixture.waitUntilSet(["front"])
        let written = try server.folder.bytes("mediamtx.yml")
        #expect(try server.folder.bytes("mediamtx.yml.framekeeper-backup") == original)
        for line in String(decoding: original, as: UTF8.self).split(separator: "\n") {
            #expect(String(decoding: written, as: UTF8.self).contains(line))
        }
        let denied = try #require(fixture.heard.decoded(MediaServerState.self).last?.message)
        #expect(!denied.reachable && denied.breaker != .closed && denied.error?.code == .mediaServerUnavailable)
        #expect(denied.error?.message.contains("wrong") == false)

        fixture.keeper.configure(
            fixture.settings(user: ("keeper", "geheim"), hasFile: true), cameras: try fixture.cameras(["front"]))
        try await fixture.waitForState("it is back at the API") { $0.mode == .api && $0.reachable && $0.error == nil }
        #expect(try server.folder.bytes("mediamtx.yml") == written)
        #expect(try await fixture.client.pathConfigurations().map(\.name).sorted() == ["front", "mine"])
        #expect(server.isRunning)
        await fixture.stop()
    }

    /// As it is installed: the API is off, and the operator turns it on while cameras are watched through the file.
    @Test func anAPIThatIsTurnedOnEndsTheFallback() async throws {
        let server = try MediaServerProcess(paths: "  mine: {source: publisher}\n", isAPIOn: false)
        let fixture = try await MediaServerFixture(server)
        try await server.start(isAPIOn: false)
        fixture.keeper.configure(fixture.settings(hasFile: true), cameras: try fixture.cameras(["front"]))
        try await fixture.waitForState("it goes to the file", within: .seconds(60)) { $0.mode == .static }
        func file() throws -> String { String(decoding: try server.folder.bytes("mediamtx.yml"), as: UTF8.self) }
        try await eventually("the file is written") { try file().contains("/v1/demand/front") }
        let reader = try server.read("front")
        try await eventually("the reader is served", within: .seconds(30)) {
            server.log.contains("is reading from path 'front'")
        }
        #expect(fixture.isLeased)
        // What the operator does with an editor; the server overlooks a write that follows a reload too soon.
        let text = try file().replacing("api: no ", with: "api: yes ")
        try await eventually("the server reads it", within: .seconds(30)) {
            try Data(text.utf8).write(to: URL(filePath: server.configPath), options: .atomic)
            return (try? await fixture.client.info()) != nil
        }
        try await fixture.waitForState("it is back at the API", within: .seconds(60)) {
            $0.mode == .api && $0.reachable && $0.error == nil
        }
        #expect(try file() == text)
        #expect(try await fixture.client.pathConfigurations().map(\.name).sorted() == ["front", "mine"])
        reader.kill()
        #expect(server.isRunning)
        await fixture.stop()
    }

    /// A path that the server refuses would end it if it stood in its file.
    @Test func aPathThatIsRefusedNeverGoesIntoTheFile() async throws {
        let server = try MediaServerProcess(user: ("keeper", "geheim"))
        let fixture = try await MediaServerFixture(server)
        try await server.start()
        var cameras = try fixture.cameras(["front", "yard"])
        cameras[1].source = .rtsp(url: "rtsp://u:pa#ss@10.0.0.9/x")
        cameras[1].ingest = .mediaServer
        fixture.keeper.configure(fixture.settings(user: ("keeper", "geheim"), hasFile: true), cameras: cameras)
        try await fixture.waitUntilSet(["front"])
        try await fixture.waitForState("the refusal is said") { $0.reachable && $0.error != nil }
        fixture.keeper.configure(fixture.settings(user: ("keeper", "wrong"), hasFile: true), cameras: cameras)
        try await fixture.waitForState("it goes to the file") { $0.mode == .static }
        func file() throws -> String { String(decoding: try server.folder.bytes("mediamtx.yml"), as: UTF8.self) }
        try await eventually("the file is written") { try file().contains("front") }
        // The file is read within milliseconds; a server that ended at it does not answer any more.
        try await fixture.waitUntilSet(["front"])
        #expect(try !file().contains("yard"))
        #expect(server.isRunning)
        await fixture.stop()
    }

    @Test func aServerThatHangsIsLeftAloneAndFoundAgain() async throws {
        let fixture = try await begun()
        fixture.server.pause()
        try await fixture.waitForState("the breaker opens", within: .seconds(60)) {
            !$0.reachable && $0.breaker == .open && $0.error != nil
        }
        // A question is answered at once while it is open.
        let reply = try await fixture.tester.request(
            Array(#"{"command":"look","camera":"front"}"#.utf8), to: "mediamtx/attic/set",
            expecting: MediaServerResult.self, timeout: .seconds(10))
        #expect(reply.error?.code == .mediaServerUnavailable)
        fixture.server.resume()
        try await fixture.waitForState("it is found again", within: .seconds(60)) { $0.reachable }
        try await fixture.waitUntilSet(["front"])
        await fixture.stop()
    }

    /// The server does not look at a write that follows a reload too soon; both of these come into force.
    @Test func twoWritesInARowAreBothRead() async throws {
        let fixture = try await MediaServerFixture(try MediaServerProcess(paths: "  mine: {source: publisher}\n"))
        try await fixture.server.start()
        let file = MediaServerFile(path: fixture.server.configPath, node: MediaServerFixture.node)
        let fleet = PathSettings.Fleet(
            node: MediaServerFixture.node, publish: .onDemand, hookURL: fixture.settings().hookURL)
        let paths = try fixture.cameras(["front", "hall"]).prefix(2).compactMap { PathSettings($0, fleet: fleet) }
        _ = try await Task.detached { try file.update([paths[0]]) }.value
        _ = try await Task.detached { try file.update(paths) }.value
        try await fixture.waitUntilSet(["front", "hall"])
        _ = try await Task.detached { try file.update([]) }.value
        try await eventually("ours are gone") {
            try await fixture.client.pathConfigurations().map(\.name) == ["mine"]
        }
        #expect(fixture.server.isRunning)
        await fixture.stop()
    }
}
