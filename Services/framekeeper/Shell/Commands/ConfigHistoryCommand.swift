internal import ArgumentParser
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import Ledger
internal import ServiceKit

extension ConfigCommand {
    struct History: FramekeeperSubcommand {
        static let configuration = CommandConfiguration(
            abstract: "List the revisions of this host's node, or print one.",
            discussion: "Example: framekeeper config history; framekeeper config history 6 > old.yml")

        @Argument(help: "Print the text of this revision.")
        var revision: Int?
        @Option(help: "How many, newest first.")
        var limit = 20
        @OptionGroup var options: CommandOptions

        mutating func validate() throws {
            guard limit > 0 else { throw ValidationError("--limit is a number from 1 on.") }
        }

        private struct Shown: Encodable {
            var revision: Int?
            var at: WallTime
            var state: RevisionRecord.State
            var origin: RevisionRecord.Origin
            var who: String?
            var why: String?
            var bytes: Int
            var text: String?

            init(_ record: RevisionRecord, withText: Bool) {
                revision = record.number
                at = record.at
                state = record.state
                origin = record.origin
                who = record.who
                why = record.why
                bytes = record.text.count
                text = withText ? String(decoding: record.text, as: UTF8.self) : nil
            }
        }

        func perform() async throws(CommandFailure) -> ServiceExit {
            let configuration = try options.configuration()
            let records: [RevisionRecord]
            do throws(CodedError) {
                let store = try RevisionStore(
                    folder: ActiveText.folder(stateDir: configuration.stateDir), access: .reader,
                    now: ServiceClock.now().wall)
                records =
                    if let revision { try store.revision(revision).map { [$0] } ?? [] } else {
                        try store.revisions(limit: limit)
                    }
            } catch {
                var failure = CommandFailure(error)
                if error.code == .notReady { failure.hint = "it begins with the first framekeeper up on this host" }
                throw failure
            }
            return try show(records)
        }

        private func show(_ records: [RevisionRecord]) throws(CommandFailure) -> ServiceExit {
            let terminal = Terminal()
            if let revision {
                guard let record = records.first else {
                    throw CommandFailure(
                        .failed, "there is no revision \(revision)", hint: "framekeeper config history lists them",
                        code: .invalidArgument)
                }
                guard !options.json else {
                    try terminal.print(json: Shown(record, withText: true))
                    return .done
                }
                var text = record.text
                if text.last == UInt8(ascii: "\n") { text.removeLast() }
                terminal.print(String(decoding: text, as: UTF8.self))
                return .done
            }
            if options.json {
                for record in records { try terminal.print(json: Shown(record, withText: false)) }
                return .done
            }
            var table = TextTable(">REVISION", "AT", "STATE", "FROM", "WHO", "WHY")
            for record in records {
                table.add(
                    record.number.map(String.init) ?? "-", record.at.rfc3339, record.state.rawValue,
                    record.origin.rawValue, record.who ?? "", record.why ?? "")
            }
            terminal.print(table)
            return .done
        }
    }
}
