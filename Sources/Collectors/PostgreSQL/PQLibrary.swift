import Glibc

/// The client library of PostgreSQL, as far as it is used. It is loaded when a source first needs it: a host that only
/// restores has none.
///
/// SAFETY: pointers to functions that stay loaded for ever; each connection is one thread's own.
final class PQLibrary: @unchecked Sendable {
    typealias Text = UnsafePointer<CChar>
    typealias Texts = UnsafePointer<Text?>
    typealias Handle = OpaquePointer
    typealias NoticeProcessor = @convention(c) (UnsafeMutableRawPointer?, Text?) -> Void

    let connect: @convention(c) (Texts, Texts, Int32) -> Handle?
    let status: @convention(c) (Handle?) -> Int32
    let errorMessage: @convention(c) (Handle?) -> Text?
    let finish: @convention(c) (Handle?) -> Void
    let setNoticeProcessor: @convention(c) (Handle?, NoticeProcessor?, UnsafeMutableRawPointer?) -> NoticeProcessor?
    let executeParameters:
        @convention(c) (
            Handle?, Text, Int32, UnsafePointer<UInt32>?, Texts?, UnsafePointer<Int32>?, UnsafePointer<Int32>?, Int32
        ) -> Handle?
    let resultStatus: @convention(c) (Handle?) -> Int32
    let resultErrorField: @convention(c) (Handle?, Int32) -> Text?
    let resultErrorMessage: @convention(c) (Handle?) -> Text?
    let rowCount: @convention(c) (Handle?) -> Int32
    let fieldCount: @convention(c) (Handle?) -> Int32
    let isNull: @convention(c) (Handle?, Int32, Int32) -> Int32
    let length: @convention(c) (Handle?, Int32, Int32) -> Int32
    let value: @convention(c) (Handle?, Int32, Int32) -> Text?
    let clear: @convention(c) (Handle?) -> Void

    /// Values of the library's header.
    static let connectionOK: Int32 = 0
    static let commandOK: Int32 = 1
    static let tuplesOK: Int32 = 2
    static let sqlState: Int32 = 67

    private static let loaded: PQLibrary? = PQLibrary()

    static func load() throws(CollectorError) -> PQLibrary {
        if let loaded { return loaded }
        throw CollectorError(
            .notFound, "the client library of PostgreSQL (libpq.so.5) is not on this host",
            hint: "Install it; on Debian it is the package libpq5.")
    }

    private init?() {
        guard let library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL) else { return nil }
        func symbol<Function>(_ name: String) -> Function? {
            dlsym(library, name).map { unsafeBitCast($0, to: Function.self) }
        }
        guard let connect: @convention(c) (Texts, Texts, Int32) -> Handle? = symbol("PQconnectdbParams"),
            let status: @convention(c) (Handle?) -> Int32 = symbol("PQstatus"),
            let errorMessage: @convention(c) (Handle?) -> Text? = symbol("PQerrorMessage"),
            let finish: @convention(c) (Handle?) -> Void = symbol("PQfinish"),
            let setNoticeProcessor:
                @convention(c) (Handle?, NoticeProcessor?, UnsafeMutableRawPointer?) -> NoticeProcessor? =
                symbol("PQsetNoticeProcessor"),
            let execute:
                @convention(c) (
                    Handle?, Text, Int32, UnsafePointer<UInt32>?, Texts?, UnsafePointer<Int32>?,
                    UnsafePointer<Int32>?, Int32
                ) -> Handle? = symbol("PQexecParams"),
            let resultStatus: @convention(c) (Handle?) -> Int32 = symbol("PQresultStatus"),
            let errorField: @convention(c) (Handle?, Int32) -> Text? = symbol("PQresultErrorField"),
            let resultErrorMessage: @convention(c) (Handle?) -> Text? = symbol("PQresultErrorMessage"),
            let rowCount: @convention(c) (Handle?) -> Int32 = symbol("PQntuples"),
            let fieldCount: @convention(c) (Handle?) -> Int32 = symbol("PQnfields"),
            let isNull: @convention(c) (Handle?, Int32, Int32) -> Int32 = symbol("PQgetisnull"),
            let length: @convention(c) (Handle?, Int32, Int32) -> Int32 = symbol("PQgetlength"),
            let value: @convention(c) (Handle?, Int32, Int32) -> Text? = symbol("PQgetvalue"),
            let clear: @convention(c) (Handle?) -> Void = symbol("PQclear")
        else { return nil }
        self.connect = connect
        self.status = status
        self.errorMessage = errorMessage
        self.finish = finish
        self.setNoticeProcessor = setNoticeProcessor
        executeParameters = execute
        self.resultStatus = resultStatus
        resultErrorField = errorField
        self.resultErrorMessage = resultErrorMessage
        self.rowCount = rowCount
        self.fieldCount = fieldCount
        self.isNull = isNull
        self.length = length
        self.value = value
        self.clear = clear
    }
}
