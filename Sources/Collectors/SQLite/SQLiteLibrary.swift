import Glibc

/// The library of SQLite, as far as it is used. It is loaded when a source first needs it: a host that only restores has none.
///
/// SAFETY: pointers to functions that stay loaded for ever; each connection is one thread's own.
final class SQLiteLibrary: @unchecked Sendable {
    typealias Text = UnsafePointer<CChar>
    typealias Handle = OpaquePointer
    typealias ProgressHandler = @convention(c) (UnsafeMutableRawPointer?) -> Int32

    let open: @convention(c) (Text, UnsafeMutablePointer<Handle?>, Int32, Text?) -> Int32
    let close: @convention(c) (Handle?) -> Int32
    let errorMessage: @convention(c) (Handle?) -> Text?
    let extendedErrorCode: @convention(c) (Handle?) -> Int32
    let progressHandler: @convention(c) (Handle?, Int32, ProgressHandler?, UnsafeMutableRawPointer?) -> Void
    let prepare:
        @convention(c) (
            Handle?, Text, Int32, UnsafeMutablePointer<Handle?>, UnsafeMutablePointer<Text?>?
        ) -> Int32
    let step: @convention(c) (Handle?) -> Int32
    let columnCount: @convention(c) (Handle?) -> Int32
    let columnText: @convention(c) (Handle?, Int32) -> UnsafePointer<UInt8>?
    let columnBytes: @convention(c) (Handle?, Int32) -> Int32
    let finalize: @convention(c) (Handle?) -> Int32
    let backupBegin: @convention(c) (Handle?, Text, Handle?, Text) -> Handle?
    let backupStep: @convention(c) (Handle?, Int32) -> Int32
    let backupEnd: @convention(c) (Handle?) -> Int32

    /// Values of the library's header.
    enum Code {
        static let ok: Int32 = 0
        static let busy: Int32 = 5
        static let locked: Int32 = 6
        static let readOnly: Int32 = 8
        static let interrupted: Int32 = 9
        static let corrupt: Int32 = 11
        static let full: Int32 = 13
        static let cannotOpen: Int32 = 14
        static let notADatabase: Int32 = 26
        static let row: Int32 = 100
        static let done: Int32 = 101
    }

    enum Flag {
        static let readOnly: Int32 = 0x1
        static let readWrite: Int32 = 0x2
        static let create: Int32 = 0x4
        static let uri: Int32 = 0x40
        /// Without locks of its own: a connection is one thread's.
        static let noMutex: Int32 = 0x8000
    }

    private static let loaded: SQLiteLibrary? = SQLiteLibrary()

    static func load() throws(CollectorError) -> SQLiteLibrary {
        if let loaded { return loaded }
        throw CollectorError(
            .notFound, "the library of SQLite (libsqlite3.so.0) is not on this host",
            hint: "Install it; on Debian it is the package libsqlite3-0.")
    }

    private init?() {
        guard let library = dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL) else { return nil }
        func symbol<Function>(_ name: String, as type: Function.Type = Function.self) -> Function? {
            dlsym(library, name).map { unsafeBitCast($0, to: type) }
        }
        typealias OfHandle = @convention(c) (Handle?) -> Int32
        typealias Open = @convention(c) (Text, UnsafeMutablePointer<Handle?>, Int32, Text?) -> Int32
        typealias Message = @convention(c) (Handle?) -> Text?
        typealias OfNumber = @convention(c) (Handle?, Int32) -> Int32
        typealias SetProgress = @convention(c) (Handle?, Int32, ProgressHandler?, UnsafeMutableRawPointer?) -> Void
        typealias Prepare =
            @convention(c) (
                Handle?, Text, Int32, UnsafeMutablePointer<Handle?>, UnsafeMutablePointer<Text?>?
            ) -> Int32
        typealias Column = @convention(c) (Handle?, Int32) -> UnsafePointer<UInt8>?
        typealias Begin = @convention(c) (Handle?, Text, Handle?, Text) -> Handle?
        guard let open = symbol("sqlite3_open_v2", as: Open.self),
            let close = symbol("sqlite3_close", as: OfHandle.self),
            let errorMessage = symbol("sqlite3_errmsg", as: Message.self),
            let extendedErrorCode = symbol("sqlite3_extended_errcode", as: OfHandle.self),
            let progressHandler = symbol("sqlite3_progress_handler", as: SetProgress.self),
            let prepare = symbol("sqlite3_prepare_v2", as: Prepare.self),
            let step = symbol("sqlite3_step", as: OfHandle.self),
            let columnCount = symbol("sqlite3_column_count", as: OfHandle.self),
            let columnText = symbol("sqlite3_column_text", as: Column.self),
            let columnBytes = symbol("sqlite3_column_bytes", as: OfNumber.self),
            let finalize = symbol("sqlite3_finalize", as: OfHandle.self),
            let backupBegin = symbol("sqlite3_backup_init", as: Begin.self),
            let backupStep = symbol("sqlite3_backup_step", as: OfNumber.self),
            let backupEnd = symbol("sqlite3_backup_finish", as: OfHandle.self)
        else { return nil }
        self.open = open
        self.close = close
        self.errorMessage = errorMessage
        self.extendedErrorCode = extendedErrorCode
        self.progressHandler = progressHandler
        self.prepare = prepare
        self.step = step
        self.columnCount = columnCount
        self.columnText = columnText
        self.columnBytes = columnBytes
        self.finalize = finalize
        self.backupBegin = backupBegin
        self.backupStep = backupStep
        self.backupEnd = backupEnd
    }
}
