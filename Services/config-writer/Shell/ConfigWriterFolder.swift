internal import ClusterConfig
package import ConfigWriterCore
package import Domain
internal import Ledger
package import Logging
internal import ServiceKit
internal import Synchronization

/// `<state_dir>/config`: the text in force, the history, and the lock that makes one config-writer per state folder.
///
/// Owns the folder, mode 0700. The text in force is the truth and its loss an error; the history is for people and for
/// rollback, so its faults are logged and cost nothing else: a damaged one is moved aside and begun anew. Calls block
/// on the disk: not for the cooperative pool.
package final class ConfigWriterFolder: Sendable {
    package static let lockName = ".lock"

    private let folder: String
    private let activePath: String
    private let file: String?
    private let lock: FileLock
    private let history = Mutex<RevisionStore?>(nil)
    private let logger: Logger

    /// Nil if another config-writer has it.
    package static func take(stateDir: String, file: String?, logger: Logger) throws(CodedError) -> ConfigWriterFolder?
    {
        let folder = ActiveText.folder(stateDir: stateDir)
        try AtomicFile.createFolder(stateDir)
        try AtomicFile.createFolder(folder, mode: 0o700)
        guard let lock = try FileLock.take("\(folder)/\(lockName)") else { return nil }
        return ConfigWriterFolder(
            folder: folder, activePath: ActiveText.path(stateDir: stateDir), file: file, lock: lock, logger: logger)
    }

    private init(folder: String, activePath: String, file: String?, lock: FileLock, logger: Logger) {
        self.folder = folder
        self.activePath = activePath
        self.file = file
        self.lock = lock
        self.logger = logger
    }

    // MARK: What an earlier process left

    /// What is in force by the file that says so; if that is gone, by the history, and it is written again.
    package func memory(
        _ reader: ConfigWriterReader
    ) -> (memory: ConfigMemory, loaded: [ConfigText: ConfigWriterReader.Loaded]) {
        var memory = ConfigMemory()
        var loaded: [ConfigText: ConfigWriterReader.Loaded] = [:]
        let active = ActiveText.read(activePath)
        let last = ask("last number") { store throws(CodedError) in try store.lastNumber() }
        memory.last = last ?? 0
        if let active {
            memory.inForce = revision(active.revision, active.text, at: active.appliedAt, reader, &loaded)
            memory.last = max(memory.last, active.revision)
            adopt(active)
        } else if let record = newest(.applied) {
            memory.inForce = revision(record.number ?? 0, record.text, at: record.at, reader, &loaded)
            logger.warning("the text in force was gone and is written again from the history")
            write(memory.inForce, loaded)
        }
        if let record = newest(.pending), let number = record.number, number != memory.inForce?.number {
            memory.pending = revision(number, record.text, at: record.at, reader, &loaded)
            // It loaded once; without a secret of then it waits for nothing.
            if memory.pending == nil { mark(number, .superseded) }
        }
        if active == nil || active?.file == file {
            memory.fileSeen = (ask("file seen") { store throws(CodedError) in try store.fileSeen() } ?? nil)
                .map { ConfigText($0) }
        }
        return (memory, loaded)
    }

    private func revision(
        _ number: Int, _ text: [UInt8], at: WallTime, _ reader: ConfigWriterReader,
        _ loaded: inout [ConfigText: ConfigWriterReader.Loaded]
    ) -> ConfigRevision? {
        let read = reader.read(text)
        guard case .valid(let facts) = read.reading.outcome, number > 0 else {
            logger.error("a text of the history does not load any more", metadata: ["revision": "\(number)"])
            return nil
        }
        loaded[read.reading.text] = read.loaded
        return ConfigRevision(number: number, text: read.reading.text, facts: facts, at: at)
    }

    /// A history that was begun anew learns what is in force; so does one that a crash kept from hearing of it.
    private func adopt(_ active: ActiveText) {
        let known = ask("revision") { store throws(CodedError) in try store.revision(active.revision) } ?? nil
        if known?.text != active.text {
            record(
                RevisionRecord(
                    number: active.revision, at: active.appliedAt, text: active.text, origin: .file, state: .applied,
                    why: "in force when the history began"))
        } else if known?.state != .applied {
            mark(active.revision, .applied)
        }
        guard active.file != file else { return }
        var renamed = active
        renamed.file = file
        writeActive(renamed)
    }

    private func write(_ revision: ConfigRevision?, _ loaded: [ConfigText: ConfigWriterReader.Loaded]) {
        guard let revision, let bytes = loaded[revision.text]?.bytes else { return }
        writeActive(ActiveText(text: bytes, revision: revision.number, appliedAt: revision.at, file: file))
    }

    private func writeActive(_ active: ActiveText) {
        if let error = activate(active) {
            logger.error("the text in force cannot be written", metadata: ["reason": "\(error)"])
        }
    }

    // MARK: The text in force

    /// - Returns: why it could not be written; then the one before is still there.
    package func activate(_ revision: Int, _ text: [UInt8], at: WallTime) -> CodedError? {
        activate(ActiveText(text: text, revision: revision, appliedAt: at, file: file))
    }

    private func activate(_ active: ActiveText) -> CodedError? {
        do throws(CodedError) {
            try AtomicFile.write(active.bytes, to: activePath)
            return nil
        } catch {
            return error
        }
    }

    // MARK: The history

    package func record(
        _ number: Int?, _ text: [UInt8], _ origin: ConfigOrigin, _ note: ConfigNote, at: WallTime
    ) {
        let known: RevisionRecord.Origin =
            switch origin {
            case .file: .file
            case .command: .command
            case .rollback: .rollback
            }
        record(
            RevisionRecord(
                number: number, at: at, text: text, origin: known, state: number == nil ? .rejected : .pending,
                who: note.who, why: note.why))
    }

    package func markApplied(_ number: Int) { mark(number, .applied) }
    package func markSuperseded(_ number: Int) { mark(number, .superseded) }

    package func noteFileSeen(_ text: ConfigText) {
        _ = ask("file seen") { store throws(CodedError) in try store.noteFileSeen(text.name) }
    }

    /// - Parameter number: nil: the newest before `present` that says something else.
    /// - Throws: `invalid_argument` if it is not in the history, in words for a person.
    package func text(
        of number: Int?, before present: Int, otherThan text: [UInt8]
    ) throws(CodedError) -> (number: Int, text: [UInt8]) {
        let store = try store()
        let record =
            if let number { try store.revision(number) } else { try store.previous(to: present, otherThan: text) }
        guard let record, let found = record.number else {
            let missing = number.map { "there is no revision \($0) in the history" } ?? "there is no earlier revision"
            throw CodedError(.invalidArgument, "\(missing); framekeeper config history shows what there is")
        }
        return (found, record.text)
    }

    private func record(_ record: RevisionRecord) {
        _ = ask("record") { store throws(CodedError) in try store.record(record) }
    }

    private func mark(_ number: Int, _ state: RevisionRecord.State) {
        _ = ask("mark") { store throws(CodedError) in try store.mark(number, state) }
    }

    private func newest(_ state: RevisionRecord.State) -> RevisionRecord? {
        ask("newest") { store throws(CodedError) in try store.newest(state) } ?? nil
    }

    private func store() throws(CodedError) -> RevisionStore {
        try history.withLock { history throws(CodedError) in
            if let history { return history }
            let opened = try RevisionStore(folder: folder, access: .owner, now: ServiceClock.now().wall)
            history = opened
            if case .replaced(let damaged) = opened.origin {
                logger.error(
                    "the history of the configuration was damaged and begins anew", metadata: ["kept": "\(damaged)"])
            }
            return opened
        }
    }

    /// Nil, after a line in the log, where the history fails.
    private func ask<Value>(_ doing: String, _ body: (RevisionStore) throws(CodedError) -> Value) -> Value? {
        do throws(CodedError) {
            return try body(try store())
        } catch {
            logger.error(
                "the history of the configuration fails", metadata: ["doing": "\(doing)", "reason": "\(error)"])
            // A damaged one is moved aside when it is opened again.
            if LedgerStore.isDamage(error) { history.withLock { $0 = nil } }
            return nil
        }
    }
}
