/// The bytes of the part that is being put together, in memory that is used again for every part.
///
/// Owned by one `FragmentMuxer`; libav writes into it through an `AVIOContext`. Knows the offset in the file of its
/// first byte, because libav thinks in offsets of the whole file and goes back to fill in the sizes of boxes.
final class PartBuffer {
    private static let firstCapacity = 256 * 1024

    private var memory = UnsafeMutableRawPointer.allocate(byteCount: firstCapacity, alignment: 16)
    private var capacity = firstCapacity
    private var count = 0
    private var position = 0
    /// Where in the file the first byte of the buffer will lie.
    private(set) var fileOffset: Int64 = 0

    deinit { memory.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory, count: count) }

    func write(_ source: UnsafeRawPointer, count added: Int) {
        reserve(position + added)
        (memory + position).copyMemory(from: source, byteCount: added)
        position += added
        count = max(count, position)
    }

    /// Only within what is still in the buffer; false otherwise.
    func seek(to offset: Int64) -> Bool {
        guard (fileOffset...fileOffset + Int64(count)).contains(offset) else { return false }
        position = Int(offset - fileOffset)
        return true
    }

    var offset: Int64 { fileOffset + Int64(position) }
    var size: Int64 { fileOffset + Int64(count) }

    /// The part is on its way to the disk; the next one begins where it ends.
    func begin() {
        fileOffset += Int64(count)
        count = 0
        position = 0
    }

    private func reserve(_ wanted: Int) {
        guard wanted > capacity else { return }
        let larger = max(wanted, capacity * 2)
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        moved.copyMemory(from: memory, byteCount: count)
        memory.deallocate()
        memory = moved
        capacity = larger
    }
}
