import Domain
import Testing

/// Names of controls and what a setting means for one.
@Suite struct CameraControlTests {
    @Test(arguments: [
        ("Brightness", "brightness"), ("White Balance, Automatic", "white_balance_automatic"),
        ("Exposure Time, Absolute", "exposure_time_absolute"), ("Focus (absolute)", "focus_absolute"),
        ("  Power Line  Frequency ", "power_line_frequency"), ("Gain 2", "gain_2"),
    ]) func namesAreThoseOfTheTools(title: String, name: String) {
        #expect(ControlName(title: title)?.rawValue == name)
    }

    @Test func namesThatAreRefused() {
        for text in ["", "Brightness", "a-b", "a b", "ä", String(repeating: "a", count: 64)] {
            #expect(ControlName(rawValue: text) == nil)
        }
        #expect(ControlName(title: "!?") == nil)
        #expect(ControlName(title: String(repeating: "a", count: 100))?.rawValue.count == 63)
    }

    private static func control(
        _ kind: CameraControl.Kind, _ range: ClosedRange<Int>, step: Int = 1, menu: [CameraControl.MenuItem]? = nil
    ) throws -> CameraControl {
        CameraControl(
            name: try #require(ControlName(rawValue: "gain")), kind: kind, value: 0, min: range.lowerBound,
            max: range.upperBound, step: step, default: 3, menu: menu)
    }

    @Test func aNumberLiesInItsRangeAndOnItsSteps() throws {
        let control = try Self.control(.number, -10...10, step: 5)
        for value in [-10, -5, 0, 5, 10] { #expect(try control.value(of: .number(value)) == value) }
        for value in [-11, -9, 1, 11, .max, .min] {
            #expect(throws: CodedError(.invalidArgument, "gain: expected -10 to 10 in steps of 5")) {
                try control.value(of: .number(value))
            }
        }
        #expect(try control.value(of: .word("default")) == 3)
        #expect(throws: CodedError.self) { try control.value(of: .word("high")) }
    }

    @Test func aMenuHasWordsAndHoles() throws {
        let menu = [(0, "Manual Mode"), (3, "Aperture Priority Mode")].map {
            CameraControl.MenuItem(value: $0.0, name: $0.1)
        }
        let control = try Self.control(.menu, 0...3, menu: menu)
        #expect(try control.value(of: .word("aperture priority mode")) == 3)
        #expect(try control.value(of: .number(0)) == 0)
        #expect(throws: CodedError(.invalidArgument, "gain: expected 0 (Manual Mode), 3 (Aperture Priority Mode)")) {
            try control.value(of: .number(1))
        }
    }

    @Test func aFlagIsOnOrOff() throws {
        let control = try Self.control(.flag, 0...1)
        #expect(try control.value(of: .number(1)) == 1)
        #expect(throws: CodedError(.invalidArgument, "gain: expected true or false")) {
            try control.value(of: .number(2))
        }
    }
}
