//! Gives memory back to the operating system: the C library's allocator keeps what a large request needed for the next
//! one, in each of its arenas.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

/// After a last answer its buffers are freed within this.
const PAUSE: Duration = Duration::from_millis(500);

static IS_DUE: AtomicBool = AtomicBool::new(false);

/// Gives back what is free, soon and once for all who ask meanwhile; outside a runtime never.
pub fn give_back_soon() {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    if IS_DUE.swap(true, Ordering::Relaxed) {
        return;
    }
    runtime.spawn(async {
        tokio::time::sleep(PAUSE).await;
        IS_DUE.store(false, Ordering::Relaxed);
        let _ = tokio::task::spawn_blocking(give_back).await;
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
