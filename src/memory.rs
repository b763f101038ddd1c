//! Gives memory back to the operating system: the C library's allocator keeps what a large request needed for the next
//! one, in each of its arenas.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

/// After a last answer its buffers are freed within this.
const PAUSE: Duration = Duration::from_millis(500);

static IS_DUE: AtomicBool = AtomicBool::new(false);
/// Whether somebody asked while it was due already.
static IS_ASKED_AGAIN: AtomicBool = AtomicBool::new(false);

/// Gives back what is free, soon, and once more where others ask meanwhile: what they free may come after the first time.
/// Outside a runtime never.
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
    // SAFETY: it takes a number, and locks the arenas that it walks.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn give_back() {}
