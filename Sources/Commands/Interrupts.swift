import Glibc
import Operations

/// Turns Ctrl-C and the service manager's stop into a flag that operations look at.
///
/// The signals are blocked in every thread and one thread waits for them, so that no code of ours ever runs in a signal
/// handler. The first one sets the flag; the second one ends the process at once, with status 130: whatever it was
/// doing is then what a crash leaves, which the next run resumes.
enum Interrupts {
    /// To be called once, before any other thread is started. `announce` runs after the first signal.
    static func watch(_ flag: InterruptFlag, announce: @escaping @Sendable () -> Void) {
        signal(SIGPIPE, SIG_IGN)
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let waited = signals
        BackgroundThread.detach {
            var waited = waited
            while true {
                var number: Int32 = 0
                guard sigwait(&waited, &number) == 0 else { continue }
                if flag.isSet { _exit(130) }
                flag.set()
                announce()
            }
        }
    }

    /// Ends the process as the signal of a broken pipe would have ended it.
    static func endByBrokenPipe() -> Never {
        signal(SIGPIPE, SIG_DFL)
        raise(SIGPIPE)
        _exit(141)
    }
}

/// A thread with a body; joined by its owner or left to the end of the process.
struct BackgroundThread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let thread: pthread_t

    /// Nil when the system has no thread left to give.
    init?(_ run: @escaping @Sendable () -> Void) {
        let body = Unmanaged.passRetained(Body(run))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { pointer in
                if let pointer { Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().run() }
                return nil
            }, body.toOpaque())
        guard status == 0 else {
            body.release()
            return nil
        }
        self.thread = thread
    }

    func join() { pthread_join(thread, nil) }

    static func detach(_ run: @escaping @Sendable () -> Void) {
        if let made = BackgroundThread(run) { pthread_detach(made.thread) }
    }
}
