// swift-tools-version: 6.2
// The map of the house: every target names what it stands on, from the ground up. `TidyTests` hold the import table.

import PackageDescription

let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let hummingbird: [Target.Dependency] = [
    .product(name: "Hummingbird", package: "hummingbird"),
    .product(name: "HummingbirdCore", package: "hummingbird"), .product(name: "Logging", package: "swift-log"),
    .product(name: "HTTPTypes", package: "swift-http-types"), .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
    .product(name: "UnixSignals", package: "swift-service-lifecycle"),
]
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// One floor of the house: a library target with its own tests.
func room(_ name: String, on dependencies: [Target.Dependency], corpora: [String] = []) -> [Target] {
    [
        .target(name: name, dependencies: dependencies, swiftSettings: house),
        .testTarget(
            name: "\(name)Tests",
            dependencies: [.target(name: name), "TestSupport"] + dependencies, exclude: corpora,
            swiftSettings: house),
    ]
}

let package = Package(
    name: "qala",
    products: [
        .executable(name: "qala", targets: ["qala"]), .executable(name: "qalad", targets: ["qalad"]),
        .executable(name: "qala-wal", targets: ["qala-wal"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        // C: system libraries and thin shims.
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CQREncode", pkgConfig: "libqrencode", providers: [.apt(["libqrencode-dev"])]),
        .target(name: "CLinux"),
        .target(name: "CBlake3", cSettings: [.unsafeFlags(["-O3"])]),
    ]
        // F0
        + room("Domain", on: [], corpora: ["Calendar"])
        + [.target(name: "WALClient", swiftSettings: house)]
        // F1
        + room("Vault", on: ["Domain", "CZstd", "COpenSSL", "CLinux", "CBlake3", "CQREncode", crypto])
        + room("Catalog", on: ["Domain", "CLinux", "CZstd"])
        + room("Collectors", on: ["Domain", "CLinux"])
        + room("Documents", on: ["Domain", yams])
        // F2
        + room("Operations", on: ["Domain", "WALClient", "Vault", "Catalog", "Collectors", "Documents", "CLinux"])
        // F3
        + [.target(name: "API", dependencies: ["Domain", "Operations"], swiftSettings: house)]
        // F4
        + room("Commands", on: ["Domain", "WALClient", "Operations", "API", "Documents", argumentParser])
        + [.target(name: "Server", dependencies: ["Domain", "Operations", "API"] + hummingbird, swiftSettings: house)]
        // F5
        + [
            .executableTarget(
                name: "qalad", dependencies: ["Operations", "API", "Server", argumentParser], swiftSettings: house)
        ]
        + [.executableTarget(name: "qala", dependencies: ["Commands"], swiftSettings: house)]
        // PostgreSQL starts it for every segment: without the dynamic linker it is there in half a millisecond.
        + [
            .executableTarget(
                name: "qala-wal", dependencies: ["WALClient"], swiftSettings: house,
                linkerSettings: [.unsafeFlags(["-static-executable"])])
        ]
        // Tests
        + [
            .target(
                name: "TestSupport", dependencies: ["Domain", "Vault", "CLinux"], path: "Sources/TestSupport",
                swiftSettings: house),
            .testTarget(name: "TidyTests", swiftSettings: house),
        ]
)
