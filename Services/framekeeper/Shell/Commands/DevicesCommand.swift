internal import ArgumentParser
internal import Domain
internal import FramekeeperCore
internal import ServiceKit
internal import VideoDevices

struct DevicesCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "devices", abstract: "List the cameras at this machine, with the source to put into the file.",
        discussion: """
            Example: framekeeper devices --json | jq -r '.devices[].source'

            Looks at every /dev/video*; leaves out what gives no pictures. Whoever streams from a camera is not \
            disturbed.
            """)

    @OptionGroup var options: CommandOptions

    func perform() async throws(CommandFailure) -> ServiceExit {
        let list = await BlockingThread.run("devices") {
            DeviceList(devices: VideoDevice.all().map(DeviceList.Device.init))
        }
        let terminal = Terminal()
        if options.json {
            try terminal.print(json: list)
        } else {
            for line in list.lines { terminal.print(line) }
        }
        return .done
    }
}

extension DeviceList.Device {
    fileprivate init(_ found: (node: String, outcome: Result<VideoDevice, CodedError>)) {
        switch found.outcome {
        case .failure(let error):
            self.init(node: found.node, state: .failed)
            self.error = error.description
        case .success(let device): self.init(device)
        }
    }

    private init(_ device: VideoDevice) {
        var holders: [DeviceHolder] = []
        if case .busy(let found) = device.availability { holders = found }
        self.init(node: device.node, state: device.availability == .free ? .free : .busy)
        name = device.card
        driver = device.driver
        bus = device.busInfo
        serial = device.serial
        names = device.stableNames
        heldBy = holders.map(\.description)
        source = device.source
        for mode in device.modes {
            let size = DeviceList.Size(mode)
            if let place = formats.firstIndex(where: { $0.format == mode.format.description }) {
                formats[place].sizes.append(size)
            } else {
                formats.append(
                    DeviceList.Format(
                        format: mode.format.description, kind: mode.format.kind, emulated: mode.isEmulated,
                        sizes: [size]))
            }
        }
    }
}

extension DeviceList.Size {
    fileprivate init(_ mode: VideoMode) {
        let fps: [Double] =
            switch mode.rates {
            case .unknown: []
            case .range(let slowest, let fastest): [fastest.perSecond, slowest.perSecond]
            case .discrete(let rates): rates.sorted(by: >).map(\.perSecond)
            }
        self.init(
            width: mode.width, height: mode.height, maxWidth: mode.range?.width.upperBound,
            maxHeight: mode.range?.height.upperBound, fps: fps)
    }
}
