internal import ArgumentParser
internal import Bus
internal import BusContract
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import ServiceKit

struct ViewCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "view", abstract: "Print where a player finds a camera, and hold its live view open.",
        discussion: """
            Example: framekeeper view front

            Holds a viewing lease until Ctrl-C, or for as long as --for says.
            """)

    @Argument(help: "The camera.", completion: NameCompletion.cameras, transform: RecordingsListCommand.camera)
    var camera: CameraID
    @Option(name: .customLong("for"), help: ArgumentHelp("End by itself after this time.", valueName: "time"))
    var duration: String?
    @OptionGroup var options: CommandOptions

    /// The lease outlives this command by no more than this when it is killed.
    static let leaseSeconds: Duration = .seconds(60)
    static let renewEvery: Duration = .seconds(20)

    mutating func validate() throws {
        if let duration, Duration(written: duration) == nil {
            throw ValidationError("\(duration): expected a duration such as 90s, 10m or 1h30m")
        }
    }

    func perform() async throws(CommandFailure) -> ServiceExit {
        let configuration = try options.configuration()
        let within = AnswerTime.within(.view, [configuration.camera(camera)?.lifecycle ?? configuration.lifecycle])
        let (visit, _) = try await BusVisit.begin(configuration)
        let holder = "cli:\(String(UInt32.random(in: 0 ... .max), radix: 16))"
        // From the first word on: whoever is ended while the stream starts has a lease as well.
        let shutdown = Shutdown()
        await ProcessSignals.watch(shutdown, supervised: false)
        let outcome: Result<Void, CommandFailure>
        do throws(CommandFailure) {
            let answer = await begun(visit, holder, within, shutdown)
            if !shutdown.isRequested {
                try report(try answer.get())
                await hold(visit, holder, within, shutdown)
            }
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        // Whatever happened, nobody watches from here any more.
        _ = try? await ask(visit, ["command": .string("stop"), "holder": .string(holder)], within)
        await visit.end()
        try outcome.get()
        return .done
    }

    /// The answer to the first request, which nobody waits for once the command is to end.
    private func begun(
        _ visit: BusVisit, _ holder: String, _ within: Duration, _ shutdown: Shutdown
    ) async -> Result<ViewingResult, CommandFailure> {
        let asking = Task { () -> Result<ViewingResult, CommandFailure> in
            do throws(CommandFailure) {
                return .success(try await ask(visit, start(holder), within))
            } catch {
                return .failure(error)
            }
        }
        let ending = Task {
            await shutdown.wait()
            asking.cancel()
        }
        defer { ending.cancel() }
        return await asking.value
    }

    private func start(_ holder: String) -> [String: JSONValue] {
        [
            "command": .string("start"), "holder": .string(holder),
            "duration": .string(Self.leaseSeconds.written),
        ]
    }

    private func ask(
        _ visit: BusVisit, _ fields: [String: JSONValue], _ within: Duration
    ) async throws(CommandFailure) -> ViewingResult {
        let reply: Reply<ViewingResult>
        do throws(CodedError) {
            reply = try await visit.client.request(
                try BusCodec.json(JSONValue.object(fields)), to: ViewingCommand.topic(for: camera),
                expecting: ViewingResult.self, timeout: within)
        } catch {
            var failure = CommandFailure(error)
            failure.hint = "framekeeper status shows whether the worker of \(camera) runs"
            throw failure
        }
        guard let result = reply.result else {
            var failure = CommandFailure(refusal: reply.error)
            if failure.code == .mediaServerUnavailable { failure.hint = "framekeeper doctor looks at MediaMTX" }
            throw failure
        }
        return result
    }

    private func report(_ result: ViewingResult) throws(CommandFailure) {
        let terminal = Terminal()
        if options.json { return try terminal.print(json: result) }
        guard !result.urls.isEmpty else {
            terminal.print("\(camera): \(result.state.rawValue); published at no media server, so no player finds it")
            return
        }
        for url in result.urls { terminal.print(url) }
        LineLogHandler.standardError("held open; Ctrl-C ends it")
    }

    /// Renews the lease until the time is over or somebody ends the command.
    private func hold(_ visit: BusVisit, _ holder: String, _ within: Duration, _ shutdown: Shutdown) async {
        let limit = duration.flatMap(Duration.init(written:)).map { time in
            Task {
                guard (try? await Task.sleep(for: time)) != nil else { return }
                shutdown.request("time is over")
            }
        }
        let renewal = Task {
            while (try? await Task.sleep(for: Self.renewEvery)) != nil {
                do throws(CommandFailure) {
                    _ = try await ask(visit, start(holder), within)
                } catch {
                    LineLogHandler.standardError("not renewed: \(error.message)")
                }
            }
        }
        await shutdown.wait()
        limit?.cancel()
        renewal.cancel()
    }
}
