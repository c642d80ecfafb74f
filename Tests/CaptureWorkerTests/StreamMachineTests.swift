import CaptureWorkerCore
import Domain
import Testing

private func at(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: Int64(seconds * 1e9)) }
private let lost = CodedError(.sourceUnavailable, "refused")

extension StreamMachine {
    fileprivate mutating func step(_ event: Event, at seconds: Double) -> [Effect] {
        handle(event, at: MonotonicTime(nanoseconds: Int64(seconds * 1e9)), chance: 0.5)
    }
}

@Suite struct StreamMachineTests {
    private let wanted = StreamMachine.Wish(isWanted: true)
    private let hasty = StreamMachine.Wish(isWanted: true, restarts: false, startTimeout: .seconds(5))

    @Test func startsWhenWantedAndStopsWhenNobodyWants() {
        var stream = StreamMachine()
        let result1 = stream.step(.wishChanged(wanted), at: 0)
        #expect(result1 == [.open(run: 1)])
        let result2 = stream.step(.keyFrameCame(run: 1), at: 0.4)
        #expect(result2 == [.activated(after: .milliseconds(400))])
        #expect(stream.state == .active(since: at(0.4)))
        let result3 = stream.step(.wishChanged(StreamMachine.Wish(isWanted: false)), at: 9)
        #expect(result3 == [.close])
        #expect(stream.state == .idle)
    }

    @Test func closeAfterKeepsItOpenAndANewWishKeepsTheRun() {
        var stream = StreamMachine()
        _ = stream.step(.wishChanged(wanted), at: 0)
        _ = stream.step(.keyFrameCame(run: 1), at: 1)
        let result4 = stream.step(.wishChanged(StreamMachine.Wish(isWanted: false, closesAt: at(310))), at: 10)
        #expect(result4 == [])
        #expect(stream.nextDeadline == at(310))
        let result5 = stream.step(.woke, at: 309)
        #expect(result5 == [])
        let result6 = stream.step(.wishChanged(wanted), at: 309.5)
        #expect(result6 == [])
        #expect(stream.state == .active(since: at(1)))
        _ = stream.step(.wishChanged(StreamMachine.Wish(isWanted: false, closesAt: at(400))), at: 310)
        let result7 = stream.step(.woke, at: 400)
        #expect(result7 == [.close])
        #expect(stream.state == .idle)
    }

    @Test func aFailedSourceIsTriedAgainWithGrowingWaits() {
        var stream = StreamMachine()
        _ = stream.step(.wishChanged(wanted), at: 0)
        let result8 = stream.step(.sourceFailed(lost, run: 1), at: 1)
        #expect(result8 == [.close, .lost(.sourceLost)])
        #expect(stream.nextDeadline == at(1.25))
        let result9 = stream.step(.woke, at: 1.25)
        #expect(result9 == [.open(run: 2)])
        _ = stream.step(.sourceFailed(lost, run: 2), at: 2)
        #expect(stream.nextDeadline == at(2.5))
        #expect(stream.restarts == 1)
    }

    @Test func aGoodRunMakesTheNextFailureTheFirst() {
        var stream = StreamMachine()
        _ = stream.step(.wishChanged(wanted), at: 0)
        for run in 1...4 {
            _ = stream.step(.sourceFailed(lost, run: run), at: Double(run) * 10)
            _ = stream.step(.woke, at: Double(run) * 10 + 5)
        }
        _ = stream.step(.keyFrameCame(run: 5), at: 50)
        _ = stream.step(.sourceFailed(lost, run: 5), at: 100)
        #expect(stream.nextDeadline == at(100.25))
    }

    @Test func noKeyFrameInTimeIsAFailure() {
        var stream = StreamMachine()
        _ = stream.step(.wishChanged(wanted), at: 0)
        let result10 = stream.step(.woke, at: 9.9)
        #expect(result10 == [])
        let result11 = stream.step(.woke, at: 10)
        #expect(result11 == [.close, .lost(.sourceLost)])
    }

    @Test func anOlderRunIsIgnored() {
        var stream = StreamMachine()
        _ = stream.step(.wishChanged(wanted), at: 0)
        _ = stream.step(.restartDemanded, at: 1)
        #expect(stream.run == 2)
        let result12 = stream.step(.sourceFailed(lost, run: 1), at: 1.1)
        #expect(result12 == [])
        let result13 = stream.step(.keyFrameCame(run: 1), at: 1.2)
        #expect(result13 == [])
    }

    @Test func withoutRestartItWaitsForTheNextWish() {
        var stream = StreamMachine()
        _ = stream.step(.wishChanged(StreamMachine.Wish(isWanted: true, restarts: false)), at: 0)
        _ = stream.step(.sourceFailed(lost, run: 1), at: 1)
        #expect(stream.state == .failed(lost, retryAt: nil))
        let result14 = stream.step(.wishChanged(wanted), at: 2)
        #expect(result14 == [.open(run: 2)])
    }

    /// What no lease would have restarted is tried again for whoever asks, and for nobody who leaves.
    @Test func withoutRestartADemandTriesAgain() {
        var stream = StreamMachine()
        let once = StreamMachine.Wish(isWanted: true, restarts: false)
        _ = stream.step(.wishChanged(once), at: 0)
        _ = stream.step(.sourceFailed(lost, run: 1), at: 1)
        let left = stream.step(.wishChanged(hasty), at: 2)
        #expect(left == [])
        let asked = stream.step(.demanded, at: 3)
        #expect(asked == [.open(run: 2)])
        let again = stream.step(.demanded, at: 4)
        #expect(again == [], "it is being tried")
        _ = stream.step(.wishChanged(wanted), at: 5)
        _ = stream.step(.sourceFailed(lost, run: 2), at: 6)
        let due = stream.nextDeadline
        let early = stream.step(.demanded, at: 6.1)
        #expect(early == [] && stream.nextDeadline == due, "what is tried again by itself keeps its pace")
    }

    @Test func whoeverJoinsAStartHasAllOfHisTime() {
        var stream = StreamMachine()
        _ = stream.step(.wishChanged(hasty), at: 0)
        #expect(stream.nextDeadline == at(5))
        let joined = stream.step(.wishChanged(wanted), at: 4)
        #expect(joined == [] && stream.nextDeadline == at(10))
        let left = stream.step(.wishChanged(hasty), at: 6)
        #expect(left == [] && stream.nextDeadline == at(10), "what was promised is not taken back")
        let early = stream.step(.woke, at: 9)
        #expect(early == [])
        let came = stream.step(.keyFrameCame(run: 1), at: 9.5)
        #expect(came == [.activated(after: .milliseconds(9500))])
    }

    /// Every history of six events: the source is open exactly when the state says so, a wanted stream with restart
    /// always has something coming, an unwanted one always ends, and a start has the time of its most patient user.
    @Test func allShortHistoriesKeepThePromises() {
        let unwanted = StreamMachine.Wish(isWanted: false)
        let closing = StreamMachine.Wish(isWanted: false, closesAt: at(1000))
        var seen: Set<Place> = []
        explore(Place(machine: StreamMachine(), isOpen: false, depth: 6, time: 0), &seen) { machine in
            [
                .wishChanged(wanted), .wishChanged(hasty), .wishChanged(unwanted), .wishChanged(closing), .demanded,
                .keyFrameCame(run: machine.run), .sourceFailed(lost, run: machine.run),
                .sourceEnded(run: machine.run), .restartDemanded, .woke,
            ]
        }
    }

    /// Histories that lead to the same place go on alike.
    private struct Place: Hashable {
        var machine: StreamMachine
        var isOpen: Bool
        var depth: Int
        var time: Double
    }

    private func explore(
        _ place: Place, _ seen: inout Set<Place>, events: (StreamMachine) -> [StreamMachine.Event]
    ) {
        guard place.depth > 0, seen.insert(place).inserted else { return }
        let (machine, time) = (place.machine, place.time)
        for event in events(machine) {
            var next = machine
            // A wake comes when it is due, anything else half a second later.
            let due = machine.nextDeadline.map { Double($0.nanoseconds) / 1e9 } ?? time
            let now = event == .woke ? max(due, time) : time + 0.5
            var open = place.isOpen
            for effect in next.step(event, at: now) {
                switch effect {
                case .open:
                    #expect(!open, "opened twice by \(event) in \(machine.state)")
                    open = true
                case .close:
                    #expect(open, "closed what was not open by \(event) in \(machine.state)")
                    open = false
                case .activated, .lost: break
                }
            }
            check(next, isOpen: open, now: now)
            if next.run == machine.run { checkTime(of: machine, next) }
            explore(Place(machine: next, isOpen: open, depth: place.depth - 1, time: now), &seen, events: events)
        }
    }

    private func checkTime(of machine: StreamMachine, _ next: StreamMachine) {
        guard case .starting(_, let before) = machine.state, case .starting(_, let after) = next.state else { return }
        #expect(after >= before)
    }

    private func check(_ machine: StreamMachine, isOpen: Bool, now: Double) {
        switch machine.state {
        case .idle: #expect(!isOpen)
        case .starting(let since, let deadline):
            #expect(isOpen && machine.wish.isWanted && deadline >= since + machine.wish.startTimeout)
        case .active: #expect(isOpen && machine.wish.isWanted)
        case .closing(_, let end): #expect(isOpen && !machine.wish.isWanted && end > at(now))
        case .failed(_, let retryAt):
            #expect(!isOpen && machine.wish.isWanted)
            #expect(retryAt != nil || !machine.wish.restarts)
        }
    }
}
