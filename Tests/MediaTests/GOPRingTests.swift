import Domain
import Media
import Testing

@Suite struct GOPRingTests {
    /// A frame a second, a key frame every `gop`.
    private func ring(span: Int, bytesMax: Int = 1000, frames: Range<Int>, gop: Int, bytes: Int = 1) -> GOPRing<Int> {
        var ring = GOPRing<Int>(span: .seconds(span), bytesMax: bytesMax)
        for frame in frames { ring.append(frame, isKey: frame % gop == 0, time: time(frame), bytes: bytes) }
        return ring
    }

    private func time(_ seconds: Int) -> MonotonicTime { MonotonicTime(nanoseconds: Int64(seconds) * 1_000_000_000) }

    @Test func itBeginsWithAKeyFrame() {
        let ring = ring(span: 10, frames: 3..<8, gop: 5)
        #expect(Array(ring.elements(from: .zero)) == [5, 6, 7])
    }

    @Test func itKeepsTheSpanAndTheWholeGroupAtItsStart() {
        let ring = ring(span: 10, frames: 0..<28, gop: 5)
        #expect(Array(ring.elements(from: .zero)) == Array(15..<28))
        #expect(ring.bytes == 13)
        #expect(ring.oldest == time(15))
    }

    @Test func withoutASpanItKeepsTheLastGroup() {
        #expect(Array(ring(span: 0, frames: 0..<13, gop: 5).elements(from: .zero)) == [10, 11, 12])
    }

    @Test func aRequestBeginsAtTheKeyFrameBeforeIt() {
        let ring = ring(span: 20, frames: 0..<23, gop: 5)
        #expect(Array(ring.elements(from: time(12))).first == 10)
        #expect(Array(ring.elements(from: time(10))).first == 10)
        #expect(Array(ring.elements(from: time(99))).first == 20)
    }

    @Test func wholeGroupsLeaveWhenItIsTooLarge() {
        let ring = ring(span: 100, bytesMax: 12, frames: 0..<18, gop: 5)
        #expect(Array(ring.elements(from: .zero)) == Array(10..<18))
        #expect(ring.overruns == 0)
        #expect(ring.groupsCut == 2)
    }

    /// What leaves because nobody asks for it any more is no loss.
    @Test func onlyAShortenedSpanIsCounted() {
        #expect(ring(span: 10, frames: 0..<100, gop: 5).groupsCut == 0)
        #expect(ring(span: 0, bytesMax: 12, frames: 0..<100, gop: 5).groupsCut == 0)
        var ring = ring(span: 10, bytesMax: 12, frames: 0..<12, gop: 5)
        let isCut = ring.append(12, isKey: false, time: time(12), bytes: 1)
        #expect(isCut && ring.groupsCut == 1 && ring.oldest == time(5))
        let fits = ring.append(13, isKey: false, time: time(13), bytes: 1)
        #expect(!fits)
    }

    @Test func aGroupThatIsTooLargeAloneIsDroppedUntilTheNextKeyFrame() {
        var ring = ring(span: 100, bytesMax: 12, frames: 0..<15, gop: 20)
        #expect(ring.isEmpty)
        #expect(ring.bytes == 0)
        #expect(ring.overruns == 1)
        for frame in 20..<23 { ring.append(frame, isKey: frame == 20, time: time(frame), bytes: 1) }
        #expect(Array(ring.elements(from: .zero)) == [20, 21, 22])
    }

    @Test func aLongRunStaysBounded() {
        let ring = ring(span: 10, frames: 0..<10_000, gop: 4)
        #expect(ring.count <= 14)
        #expect(Array(ring.elements(from: .zero)) == Array(9988..<10_000))
    }
}
