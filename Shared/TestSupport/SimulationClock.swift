package import Domain

/// The two clocks of a simulated machine: the monotonic one goes forward, the wall clock can be stepped.
package struct SimulatedClock: Sendable {
    package private(set) var now: MonotonicTime
    private var offset: Duration

    /// - Parameter start: the wall time at the simulation's beginning.
    package init(start: WallTime) {
        now = MonotonicTime(nanoseconds: 1_000_000_000_000)
        offset = start - WallTime(nanoseconds: now.nanoseconds)
    }

    package var reading: Now {
        Now(monotonic: now, wall: WallTime(nanoseconds: now.nanoseconds) + offset)
    }

    package mutating func advance(to time: MonotonicTime) {
        precondition(time >= now, "simulated time goes forward")
        now = time
    }

    package mutating func stepWall(by span: Duration) { offset += span }
}

/// What is due and when, in order of time; what is due at the same moment comes in the order in which it was asked for.
package struct SimulatedAgenda<Event> {
    private struct Entry {
        var time: MonotonicTime
        var order: UInt64
        var event: Event

        func precedes(_ other: Entry) -> Bool {
            time != other.time ? time < other.time : order < other.order
        }
    }

    private var heap: [Entry] = []
    private var order: UInt64 = 0

    package init() {}

    package var next: MonotonicTime? { heap.first?.time }

    package mutating func add(_ event: Event, at time: MonotonicTime) {
        order += 1
        heap.append(Entry(time: time, order: order, event: event))
        var child = heap.count - 1
        while child > 0, heap[child].precedes(heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    package mutating func takeFirst() -> (time: MonotonicTime, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.time, first.event)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].precedes(heap[least]) { least = child }
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
