import Testing

@testable import VideoDevices

@Suite struct ControlMenuTests {
    @Test(
        arguments: [
            (0, 3, 0...3), (2, 2, 2...2), (0, Int32.max, 0...64), (Int32.max, Int32.max, Int32.max...Int32.max),
            (Int32.max - 3, Int32.max, Int32.max - 3...Int32.max), (-1, 3, nil), (4, 3, nil),
        ] as [(Int32, Int32, ClosedRange<Int32>?)])
    func aDriversNumbersStayWithinTheirType(minimum: Int32, maximum: Int32, indexes: ClosedRange<Int32>?) {
        #expect(DeviceHandle.menuIndexes(minimum, maximum) == indexes)
    }
}
