internal import Domain
internal import ServiceKit

/// Names the present boot of this machine: monotonic times of another boot mean nothing.
enum BootIdentity {
    /// The kernel's random id (random(4), `/proc/sys/kernel/random/boot_id`); a text that equals no other if there is
    /// none.
    static func current() -> String {
        guard let bytes = try? AtomicFile.read("/proc/sys/kernel/random/boot_id", atMost: 128), !bytes.isEmpty else {
            return "unknown-\(UInt64.random(in: .min ... .max))"
        }
        return String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
    }
}
