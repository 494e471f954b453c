//! A wall clock that tests can set.
//!
//! This binary defines `clock_gettime` itself. The linker takes our symbol before the C library's,
//! so every wall-clock reading of the emulated services comes here, whatever crate makes it. All
//! clocks but `CLOCK_REALTIME` pass through, so timers and long polls run as always.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

const NANOS: i64 = 1_000_000_000;

static STANDS_STILL: AtomicBool = AtomicBool::new(false);
/// The time since the epoch in nanoseconds if the clock stands still, the offset otherwise.
static OFFSET: AtomicI64 = AtomicI64::new(0);

/// Stops the clock at `ms` milliseconds since the epoch; from then on only [`advance`] moves it.
pub fn stand_still_at(ms: i64) {
    OFFSET.store(ms * 1_000_000, Ordering::SeqCst);
    STANDS_STILL.store(true, Ordering::SeqCst);
}

/// Moves the clock on by `ms` milliseconds.
pub fn advance(ms: i64) {
    OFFSET.fetch_add(ms * 1_000_000, Ordering::SeqCst);
}

/// Milliseconds since the epoch, as every emulated service sees them.
pub fn now_ms() -> u128 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| elapsed.as_millis())
}

/// # Safety
/// As for the C library's: `time` is null or points to a writable `timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> libc::c_int {
    // SAFETY: the system call has the C function's contract, which our caller keeps.
    let status = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    if status != 0 {
        return -1;
    }
    if clock == libc::CLOCK_REALTIME {
        // SAFETY: the system call has just written to it, so it is not null.
        let time = unsafe { &mut *time };
        let real = time.tv_sec * NANOS + time.tv_nsec;
        let base = if STANDS_STILL.load(Ordering::SeqCst) { 0 } else { real };
        let shown = base + OFFSET.load(Ordering::SeqCst);
        time.tv_sec = shown.div_euclid(NANOS);
        time.tv_nsec = shown.rem_euclid(NANOS);
    }
    0
}
