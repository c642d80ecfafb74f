import BusContract
import Domain
import Foundation
import Glibc
import TestSupport
import Testing

/// A webcam's controls, what the command line shows of cameras, and what a worker links.
extension NodeTests {
    @Suite struct WebcamControlTests {
        private static let front = CameraID(unchecked: "front")

        private func value(_ name: String, _ controls: [CameraControl]?) -> Int? {
            controls?.first { $0.name.rawValue == name }?.value
        }

        @Test func controlsAreSetByTheConfigurationAndAtRunTime() async throws {
            let cameras = try EmulatedCameras()
            let modes = [EmulatedCameras.Mode(format: "YUYV", clip: try cameras.numberedClips().raw)]
            try cameras.plug("video0", card: "Front", modes)
            let configuration = """
                  front:
                    source: "v4l2:///dev/video0?size=320x180"
                    controls: {brightness: 200, auto_exposure: manual mode, exposure_time_absolute: 15, zoom: 3}
                  pattern: {source: test://pattern}
                """
            try await Cluster.run(cameras: configuration, launcher: cameras.launcher) { cluster in
                try await cluster.startRecording("front")
                let state = try await eventually("the controls", within: .seconds(20)) {
                    cluster.log.state(ControlsState.self, at: Self.front)
                }
                #expect(value("brightness", state.controls) == 200 && value("auto_exposure", state.controls) == 0)
                #expect(value("exposure_time_absolute", state.controls) == 100, "15 is no step of ten from 10")
                #expect(state.refused.map(\.name.rawValue) == ["exposure_time_absolute", "zoom"])
                #expect(state.refused.last?.message.contains("the camera has no such control; it has br") == true)
                try await turnAtRunTime(cluster)
                // What was set at run time holds when the camera comes back.
                try cameras.unplug("video0")
                try await eventually("it is gone", within: .seconds(20)) { cluster.stream("front")?.error != nil }
                // It comes back with all of its controls as they were made. The state was never another one.
                try cameras.plug("video0", card: "Front", modes)
                try await eventually("it is as it was", within: .seconds(60)) {
                    try cluster.stream("front")?.state == .active && cameras.brightness("video0") == 90
                }
                #expect(value("brightness", cluster.log.state(ControlsState.self, at: Self.front)?.controls) == 90)
                try await takeAPart(cluster, cameras)
                try await cluster.stopAndVerify("front")
            }
        }

        /// The camera itself refuses one of two: the other one holds, and the state says both.
        private func takeAPart(_ cluster: Cluster, _ cameras: EmulatedCameras) async throws {
            try cameras.tell("video0", "stiff=1")
            let refused = try await cluster.ask(
                #"{"brightness":70,"exposure_time_absolute":200}"#, on: "cameras/front/controls/set",
                expecting: ControlsResult.self)
            #expect(refused.error?.message.contains("exposure_time_absolute: the camera refuses") == true, "\(refused)")
            let state = try await eventually("the state follows", within: .seconds(10)) {
                cluster.log.state(ControlsState.self, at: Self.front).flatMap { state in
                    value("brightness", state.controls) == 70 ? state : nil
                }
            }
            #expect(value("exposure_time_absolute", state.controls) == 100)
            #expect(state.refused.map(\.name.rawValue) == ["exposure_time_absolute", "zoom"])
            #expect(try cameras.brightness("video0") == 70)
        }

        private func turnAtRunTime(_ cluster: Cluster) async throws {
            let topic = "cameras/front/controls/set"
            let set = try await cluster.ask(
                #"{"brightness":90,"auto_exposure":"Aperture Priority Mode"}"#, on: topic,
                expecting: ControlsResult.self)
            #expect(set.status == .ok, "\(set)")
            #expect(value("brightness", set.result?.controls) == 90)
            #expect(value("auto_exposure", set.result?.controls) == 1)
            try await eventually("the state follows", within: .seconds(10)) {
                value("brightness", cluster.log.state(ControlsState.self, at: Self.front)?.controls) == 90
            }
            let refusals = [
                (#"{"brightness":256}"#, "brightness: expected 0 to 255"),
                (#"{"brightness":91,"contrast":1}"#, "contrast: the camera has no such control"),
                (#"{"auto_exposure":"Sports"}"#, "0 (Manual Mode), 1 (Aperture Priority Mode)"),
                (#"{"brightness":1.5}"#, "brightness: expected a whole number"), (#"{"Bad name":1}"#, "a-z, 0-9"),
            ]
            for (payload, words) in refusals {
                let refused = try await cluster.ask(payload, on: topic, expecting: ControlsResult.self)
                #expect(refused.error?.code == .invalidArgument)
                #expect(refused.error?.message.contains(words) == true, "\(refused)")
            }
            let untouched = try await cluster.ask("{}", on: topic, expecting: ControlsResult.self)
            #expect(value("brightness", untouched.result?.controls) == 90, "a wrong command changes nothing")
            try await cluster.ready("pattern")
            let other = try await cluster.ask(
                "{}", on: "cameras/pattern/controls/set", expecting: ControlsResult.self)
            #expect(other.error?.message.contains("its source is not v4l2://") == true)
        }

        @Test func devicesAreListedWithTheSourceToPaste() async throws {
            let cameras = try EmulatedCameras()
            #expect(try await cameras.framekeeper("devices").contains("no cameras: there is no /dev/video*"))
            let clip = try cameras.clip("none", [[0]])
            try cameras.plug(
                "video2", card: "Desk",
                [
                    .init(format: "YUYV", width: 1280, height: 720, fps: 10, clip: clip),
                    .init(format: "MJPG", width: 1280, height: 720, fps: 30, clip: clip),
                    .init(format: "MJPG", width: 1920, height: 1080, fps: 15, clip: clip),
                ], stableName: "usb-Maker_Desk_4711-video-index0")
            try cameras.plug("video10", card: "Odd", [.init(format: "BA81", clip: clip)])
            let source = "v4l2:///dev/v4l/by-id/usb-Maker_Desk_4711-video-index0?size=1280x720&fps=30"
            let lines = try await cameras.framekeeper("devices").split(separator: "\n")
            #expect(lines.count == 3)
            let desk = lines[1].split(separator: " ", omittingEmptySubsequences: true)
            #expect(desk.first == "/dev/video2" && desk.last.map(String.init) == source)
            #expect(lines[1].contains("YUYV 1280x720@10, MJPG 1920x1080@15"))
            _ = try SourceAddress(source)
            struct Listed: Decodable {
                struct Device: Decodable {
                    var node: String
                    var name: String
                    var state: String
                    var source: String?
                    var names: [String]
                }
                var devices: [Device]
            }
            let json = try JSONDecoder().decode(
                Listed.self, from: Data(try await cameras.framekeeper("devices", "--json").utf8))
            #expect(json.devices.map(\.node) == ["/dev/video2", "/dev/video10"])
            #expect(json.devices[0].source == source && json.devices[0].state == "free")
            #expect(json.devices[0].names == ["/dev/v4l/by-id/usb-Maker_Desk_4711-video-index0"])
        }

        /// As root, without the right to overlook permissions.
        @Test(.enabled(if: getuid() == 0, "takes a right away that only root has"))
        func aCameraWithoutPermissionNamesTheGroup() async throws {
            let cameras = try EmulatedCameras()
            try cameras.plug("video0", card: "Front", [.init(format: "YUYV", clip: try cameras.clip("none", [[0]]))])
            let group = try #require(getgrnam("video")?.pointee.gr_gid)
            #expect(chown("\(cameras.folder)/dev/video0", 65_534, group) == 0)
            #expect(chmod("\(cameras.folder)/dev/video0", 0o660) == 0)
            let shown = try await cameras.framekeeper(
                "devices", under: ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"])
            #expect(shown.contains("no permission for /dev/video0: it is for the group video; usermod -aG video USER"))
        }

        /// libavdevice would bring 80 libraries and 5 MiB into every worker.
        @Test func aWorkerLinksLibv4l2AndNoLibavdevice() async throws {
            let libraries = try await Tool.run("ldd", [Products.path("capture-worker")])
            #expect(libraries.contains("libv4l2.so") && libraries.contains("libavformat.so"))
            #expect(!libraries.contains("libavdevice"))
            let service = try await Tool.run("ldd", [Products.path("rotation-service")])
            #expect(service.contains("libavformat.so") && !service.contains("libv4l2"))
        }
    }
}
