//! Progress of running experiments, and the event feed. Kept in memory only: after a restart, states come from the
//! database, and there is no progress until a run starts.

mod board;
mod channel;
mod feed;
mod pace;

pub use board::{Outlook, Phase, Plan, Progress, ProgressBoard};
pub use channel::{Channel, Heard, Snapshot};
pub use feed::{Feed, Listener};
