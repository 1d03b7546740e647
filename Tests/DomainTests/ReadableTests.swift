import Domain
import Testing

@Suite("Numbers for people")
struct ReadableTests {
    @Test(
        "A size keeps three or four digits and never rounds up to 1024 of a unit",
        arguments: [
            (0, "0 B"), (999, "999 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (1536, "1.50 KiB"), (10_240, "10.0 KiB"),
            (102_400, "100 KiB"), (1_048_575, "1.00 MiB"), (1_047_000, "1022 KiB"), (1 << 30, "1.00 GiB"),
            (Int.max, "8.00 EiB"), (-2048, "-2.00 KiB"),
        ])
    func size(bytes: Int, text: String) {
        #expect(Readable.size(bytes) == text)
    }

    @Test("Azerbaijani writes a comma and its own units of time")
    func azerbaijani() {
        #expect(Readable.size(1536, .azerbaijani) == "1,50 KiB")
        #expect(Readable.rate(bytes: 3 << 20, seconds: 2, .azerbaijani) == "1,50 MiB/san")
        #expect(Readable.duration(3661, .azerbaijani) == "1 saat 01 dəq")
    }

    @Test(
        "A duration shows its two largest units",
        arguments: [
            (0.0, "0.00 s"), (4.2, "4.20 s"), (12.34, "12.3 s"), (59.96, "1 min 00 s"), (245, "4 min 05 s"),
            (3600, "1 h 00 min"), (7380, "2 h 03 min"), (273_600, "3 d 04 h"), (-1, "-"), (Double.infinity, "-"),
            (Double.nan, "-"),
        ])
    func duration(seconds: Double, text: String) {
        #expect(Readable.duration(seconds) == text)
    }

    @Test("Counts are grouped from five digits on")
    func counts() {
        #expect(Readable.count(0) == "0")
        #expect(Readable.count(9999) == "9999")
        #expect(Readable.count(10_000) == "10 000")
        #expect(Readable.count(-1_234_567) == "-1 234 567")
        #expect(Readable.count(Int.min).hasPrefix("-9 223"))
    }

    @Test("Rates and ratios of nothing are no numbers")
    func nothing() {
        #expect(Readable.rate(bytes: 1, seconds: 0) == "-")
        #expect(Readable.ratio(plain: 10, stored: 0) == nil)
        #expect(Readable.ratio(plain: 34, stored: 10) == "3.4")
    }
}

@Suite("The language of messages")
struct LanguageTests {
    @Test("A locale tells its language")
    func locale() {
        #expect(Language(locale: "az_AZ.UTF-8") == .azerbaijani)
        #expect(Language(locale: "AZ") == .azerbaijani)
        #expect(Language(locale: "en-GB") == .english)
        #expect(Language(locale: "C") == nil)
    }

    @Test("The first variable that is set decides")
    func environment() {
        func chosen(_ variables: [String: String]) -> Language { .chosen { variables[$0] } }
        #expect(chosen([:]) == .english)
        #expect(chosen(["LANG": "az_AZ.UTF-8"]) == .azerbaijani)
        #expect(chosen(["LC_ALL": "C", "LANG": "az_AZ.UTF-8"]) == .english)
        #expect(chosen(["QALA_LANGUAGE": "az", "LC_ALL": "C"]) == .azerbaijani)
        #expect(chosen(["LC_ALL": "", "LC_MESSAGES": "az"]) == .azerbaijani)
    }
}
