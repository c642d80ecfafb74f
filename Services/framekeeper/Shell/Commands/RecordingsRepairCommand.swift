internal import ArgumentParser
internal import Bus
internal import BusContract
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import Ledger
internal import ServiceKit

struct RecordingsRepairCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "repair", abstract: "Compare files and ledger, finish what a crash left open, mend the ledger.",
        discussion: """
            Asks the rotation-service where it runs, else does the work itself. No recording is deleted.
            Example: framekeeper recordings repair
            """)

    @OptionGroup var options: CommandOptions

    /// A large archive is read file by file.
    private static let answerWithin: Duration = .seconds(600)

    func perform() async throws(CommandFailure) -> ServiceExit {
        let configuration = try options.configuration()
        let terminal = Terminal()
        let result = try await repair(configuration, terminal)
        terminal.progress("", isLast: true)
        if options.json {
            try terminal.print(json: result)
        } else {
            terminal.print(
                "\(result.segments) files compared: \(result.recovered) finished, \(result.imported) added to the "
                    + "ledger, \(result.missing) missing, \(result.quarantined) unreadable")
        }
        return .done
    }

    private func repair(
        _ configuration: ClusterConfiguration, _ terminal: Terminal
    ) async throws(CommandFailure) -> StorageResult {
        let repair = StorageRepair(configuration)
        guard !repair.folders.isEmpty else {
            throw CommandFailure(
                .unavailable,
                "there is no storage folder: "
                    + RecordingArchive.storagePaths(configuration).joined(separator: ", "),
                hint: "framekeeper config show says where recordings are kept", code: .notReady)
        }
        let own = try await BlockingThread.run("repair") { () throws(CommandFailure) -> StorageResult? in
            do throws(CodedError) {
                return try repair.isServed()
                    ? nil : try repair.run { terminal.progress(ProgressBar.text($0, $1)) }
            } catch {
                throw CommandFailure(error)
            }
        }
        if let own { return own }
        return try await askService(configuration, terminal)
    }

    private func askService(
        _ configuration: ClusterConfiguration, _ terminal: Terminal
    ) async throws(CommandFailure) -> StorageResult {
        let (visit, _) = try await BusVisit.begin(configuration)
        let ticker = Task { await Self.tellTime(terminal) }
        let reply: Result<Reply<StorageResult>, CodedError>
        do throws(CodedError) {
            reply = .success(
                try await visit.client.request(
                    Array("REPAIR".utf8), to: "storage/\(configuration.node)/set", expecting: StorageResult.self,
                    timeout: Self.answerWithin))
        } catch {
            reply = .failure(error)
        }
        await visit.end()
        ticker.cancel()
        await ticker.value
        switch reply {
        case .success(let answer):
            guard let result = answer.result else { throw CommandFailure(refusal: answer.error) }
            return result
        case .failure(let error): throw CommandFailure(error)
        }
    }

    /// How far the service is it does not say; that it is at work can be told. Until it is cancelled.
    private static func tellTime(_ terminal: Terminal) async {
        let begun = ServiceClock.now().monotonic
        while !Task.isCancelled {
            let seconds = Int((ServiceClock.now().monotonic - begun).seconds)
            terminal.progress("the rotation-service compares files and ledger, \(seconds) s")
            // Cut short by the answer.
            try? await Task.sleep(for: .seconds(1))
        }
        terminal.progress("", isLast: true)
    }
}
