//! Returns free memory to the operating system. The allocator of the C library would keep the memory of a large request
//! for the next one, in each of its arenas.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

/// Delay after a request, in which its buffers are freed.
const PAUSE: Duration = Duration::from_millis(500);

static IS_DUE: AtomicBool = AtomicBool::new(false);
/// Whether there was another request while one was pending.
static IS_ASKED_AGAIN: AtomicBool = AtomicBool::new(false);

/// Schedules the return of free memory. Requests during the delay cause one more return, since their buffers may be
/// freed after the first. Does nothing outside a Tokio runtime.
pub fn give_back_soon() {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    if IS_DUE.swap(true, Ordering::AcqRel) {
        IS_ASKED_AGAIN.store(true, Ordering::Release);
        return;
    }
    runtime.spawn(async {
        tokio::time::sleep(PAUSE).await;
        let _ = tokio::task::spawn_blocking(give_back).await;
        IS_DUE.store(false, Ordering::Release);
        if IS_ASKED_AGAIN.swap(false, Ordering::AcqRel) {
            give_back_soon();
        }
    });
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "malloc_trim has no wrapper")]
fn give_back() {
    // SAFETY: the argument is a number, and the function locks the arenas that it walks.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn give_back() {}
