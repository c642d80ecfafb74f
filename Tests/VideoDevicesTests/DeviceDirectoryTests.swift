import Domain
import Foundation
import Glibc
import Testing

@testable import VideoDevices

/// What udev and the kernel say of cameras, as folders; and what is said of a node that may not be opened.
@Suite struct DeviceDirectoryTests {
    /// `dev` and `sys` as they would be with these cameras plugged in.
    private final class Machine {
        let root = "/tmp/framekeeper-devices-\(UUID().uuidString.prefix(8))"
        var directory: DeviceDirectory { DeviceDirectory(root: root) }

        deinit { try? FileManager.default.removeItem(atPath: root) }

        private func write(_ text: String, _ path: String) throws {
            let url = URL(fileURLWithPath: "\(root)/\(path)")
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }

        private func link(_ path: String, to target: String) throws {
            let folder = URL(fileURLWithPath: "\(root)/\(path)").deletingLastPathComponent()
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try? FileManager.default.removeItem(atPath: "\(root)/\(path)")
            try FileManager.default.createSymbolicLink(
                atPath: "\(root)/\(path)", withDestinationPath: "\(root)/\(target)")
        }

        func plug(_ node: String, port: String, serial: String? = nil) throws {
            let device = "sys/devices/usb/\(port)"
            let interface = "\(device)/\(port):1.0"
            try write("", "dev/\(node)")
            try write("046d\n", "\(device)/idVendor")
            try write("0825\n", "\(device)/idProduct")
            if let serial { try write("\(serial)\n", "\(device)/serial") }
            try write("", "\(interface)/video4linux/\(node)/name")
            try link("\(interface)/video4linux/\(node)/device", to: interface)
            try link("sys/class/video4linux/\(node)", to: "\(interface)/video4linux/\(node)")
            try link("dev/v4l/by-id/usb-Maker_Cam\(serial.map { "_\($0)" } ?? "")-video-index0", to: "dev/\(node)")
            try link("dev/v4l/by-path/pci-usb-\(port)-video-index0", to: "dev/\(node)")
        }

        func names(_ node: String) -> [String] {
            directory.stableNames(of: "\(root)/dev/\(node)").map { String($0.dropFirst(root.utf8.count)) }
        }

        func hasTwin(_ node: String) -> Bool { directory.hasTwin("\(root)/dev/\(node)") }
    }

    @Test func aCameraAloneOfItsKindIsNamedByItsModel() throws {
        let machine = Machine()
        try machine.plug("video0", port: "1-1")
        #expect(machine.directory.nodes() == ["\(machine.root)/dev/video0"])
        #expect(!machine.hasTwin("video0"))
        #expect(
            machine.names("video0") == [
                "/dev/v4l/by-id/usb-Maker_Cam-video-index0", "/dev/v4l/by-path/pci-usb-1-1-video-index0",
            ])
    }

    /// Without serial numbers, or with one for all that their maker gave them.
    @Test(arguments: [nil, "SN0001"]) func twinsAreNamedByTheirPorts(_ serial: String?) throws {
        let machine = Machine()
        try machine.plug("video0", port: "1-1", serial: serial)
        try machine.plug("video2", port: "1-2", serial: serial)
        #expect(machine.hasTwin("video0") && machine.hasTwin("video2"))
        #expect(machine.names("video0") == ["/dev/v4l/by-path/pci-usb-1-1-video-index0"])
        #expect(machine.names("video2").first == "/dev/v4l/by-path/pci-usb-1-2-video-index0")
    }

    @Test func serialNumbersTellCamerasOfAKindApart() throws {
        let machine = Machine()
        try machine.plug("video0", port: "1-1", serial: "1")
        try machine.plug("video2", port: "1-2", serial: "2")
        try machine.plug("video4", port: "1-3")
        #expect(!machine.hasTwin("video0") && !machine.hasTwin("video2") && !machine.hasTwin("video4"))
        #expect(machine.directory.serial(of: "\(machine.root)/dev/video2") == "2")
        #expect(machine.names("video2").first == "/dev/v4l/by-id/usb-Maker_Cam_2-video-index0")
    }

    /// Nobody is told to join a group that would not help, or root's.
    @Test func whoMayNotOpenANodeIsToldWhatWouldHelp() {
        let node = "/dev/video0"
        let group = DeviceFault.denied(node, EACCES, mode: 0o020660, group: "video")
        #expect(group.code == .unauthorized)
        #expect(group.message.contains("it is for the group video; usermod -aG video USER"))
        for error in [
            DeviceFault.denied(node, EACCES, mode: 0o020600, group: "video"),
            DeviceFault.denied(node, EACCES, mode: 0o020640, group: "video"),
            DeviceFault.denied(node, EACCES, mode: 0o020660, group: nil),
        ] {
            #expect(error.code == .unauthorized && !error.message.contains("usermod"))
            #expect(error.message.contains("its mode is 06") && error.message.contains("udev"))
        }
        let ruled = DeviceFault.denied(node, EPERM, mode: 0o020666, group: "video")
        #expect(ruled.code == .unauthorized && ruled.message.contains("a device rule forbids it"))
        #expect(!ruled.message.contains("usermod"))
    }
}
