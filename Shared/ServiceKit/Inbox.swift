package import Domain
internal import Synchronization

/// What waits for a service's loop: the one place where its threads, timers and the bus meet.
///
/// Invariants: one consumer takes one input at a time, in the order in which they came; nothing is dropped. What comes
/// from inside the process is `put` and never waits; it is bounded by what it tells of, and more than `inputsMax` of it
/// mean a loop that hangs for ever, which ends the process. What comes from outside is `offer`ed: its giver waits while
/// more than `offersMax` inputs stand before it, so that a flood stays in the bus's own bounded queue.
package final class Inbox<Input: Sendable>: Sendable {
    package static var inputsMax: Int { 65_536 }
    package static var offersMax: Int { 64 }

    private struct Content {
        var inputs: [Input] = []
        /// Inputs before this index have been taken.
        var head = 0
        var consumer: CheckedContinuation<Input?, Never>?
        var givers: [CheckedContinuation<Void, Never>] = []
        var isEnded = false
        /// When the consumer took what it is about; nil while it waits for more.
        var busySince: MonotonicTime?

        var count: Int { inputs.count - head }

        mutating func take() -> Input? {
            guard count > 0 else { return nil }
            let input = inputs[head]
            head += 1
            if head == inputs.count {
                inputs.removeAll(keepingCapacity: inputs.count <= 256)
                head = 0
            } else if head > 1024, head > inputs.count / 2 {
                inputs.removeFirst(head)
                head = 0
            }
            return input
        }
    }

    private let content = Mutex(Content())

    package init() {}

    /// From the process itself; never waits. After `end` it goes nowhere.
    package func put(_ input: Input) {
        let consumer = content.withLock { content -> CheckedContinuation<Input?, Never>? in
            guard !content.isEnded else { return nil }
            if let consumer = content.consumer {
                content.consumer = nil
                content.busySince = ServiceClock.now().monotonic
                return consumer
            }
            precondition(content.count < Self.inputsMax, "the loop has not taken an input for far too long")
            content.inputs.append(input)
            return nil
        }
        consumer?.resume(returning: input)
    }

    /// From outside; waits until the loop has worked off what stands before it.
    package func offer(_ input: Input) async {
        await withCheckedContinuation { giver in
            let mayGoOn = content.withLock { content in
                if content.isEnded || content.count <= Self.offersMax { return true }
                content.givers.append(giver)
                return false
            }
            if mayGoOn { giver.resume() }
        }
        put(input)
    }

    /// The next input; nil after `end`. One task calls it.
    package func next() async -> Input? {
        await withCheckedContinuation { consumer in
            let (input, isOver, givers) = content.withLock {
                content -> (Input?, Bool, [CheckedContinuation<Void, Never>]) in
                precondition(content.consumer == nil, "an inbox has one consumer")
                content.busySince = content.count > 0 ? ServiceClock.now().monotonic : nil
                guard let input = content.take() else {
                    if content.isEnded { return (nil, true, []) }
                    content.consumer = consumer
                    return (nil, false, [])
                }
                guard content.count <= Self.offersMax else { return (input, true, []) }
                defer { content.givers = [] }
                return (input, true, content.givers)
            }
            for giver in givers { giver.resume() }
            if isOver { consumer.resume(returning: input) }
        }
    }

    /// How long the consumer has been about its present input; zero while it waits for one.
    package func busy(at now: MonotonicTime) -> Duration {
        content.withLock { $0.busySince.map { max(now - $0, .zero) } ?? .zero }
    }

    /// What waits is dropped, and so is what comes later; nobody is left waiting.
    package func end() {
        let (consumer, givers) = content.withLock { content in
            defer { content = Content(isEnded: true) }
            return (content.consumer, content.givers)
        }
        consumer?.resume(returning: nil)
        for giver in givers { giver.resume() }
    }
}
