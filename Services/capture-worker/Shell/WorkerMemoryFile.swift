internal import BusContract
internal import CaptureWorkerCore
internal import Domain
internal import FoundationEssentials
internal import ServiceKit

/// Keeps a worker's memory in `<state_dir>/leases/<camera>.json`, whole at every moment.
struct WorkerMemoryFile: Sendable {
    let path: String
    static let bytesMax = 1024 * 1024

    init(stateDir: String, camera: CameraID) { path = "\(stateDir)/leases/\(camera).json" }

    /// Nil if there is none. Throws `storage_failed` if it cannot be read or understood; recordings that are asked for
    /// anew do not depend on it.
    func read() throws(CodedError) -> WorkerMemory? {
        guard let bytes = try AtomicFile.read(path, atMost: Self.bytesMax) else { return nil }
        do {
            let memory = try JSONDecoder().decode(WorkerMemory.self, from: Data(bytes))
            guard memory.version == WorkerMemory.versionNow else {
                throw CodedError(.storageFailed, "\(path): version \(memory.version) is not known here")
            }
            return memory
        } catch let error as CodedError {
            throw error
        } catch {
            throw CodedError(.storageFailed, "\(path): not a worker's memory", cause: "\(error)")
        }
    }

    func write(_ memory: WorkerMemory) throws(CodedError) {
        let bytes: [UInt8]
        do {
            bytes = Array(try JSONEncoder().encode(memory))
        } catch {
            throw CodedError(.internal, "the worker's memory cannot be encoded", cause: "\(error)")
        }
        try AtomicFile.write(bytes, to: path)
    }
}
