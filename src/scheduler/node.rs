//! Does what a node does beside running: heartbeat, event feed, callbacks, retention, idle baseline, cancellation and
//! the signs of its own life.

pub mod cancel;
pub mod deliver;
pub mod event_feed;
pub mod heartbeat;
pub mod idle_baseline;
pub mod liveness;
pub mod persist;
pub mod power;
pub mod retention;
