//! Background tasks of a node: heartbeat, event feed, callbacks, retention, idle baseline, power control, cancellation
//! and liveness. Leaves the runs to `run` and the queue to `queue`.

pub mod cancel;
pub mod deliver;
pub mod event_feed;
pub mod heartbeat;
pub mod idle_baseline;
pub mod liveness;
pub mod persist;
pub mod power;
pub mod retention;
