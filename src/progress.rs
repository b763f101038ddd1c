//! What experiments are doing at this moment, and who wants to hear of it. In memory only: after a restart the states
//! come from the database again, and of progress there is nothing to say until a run goes on.

mod board;
mod channel;
mod feed;
mod pace;

pub use board::{Outlook, Phase, Plan, Progress, ProgressBoard};
pub use channel::{Channel, Heard, Snapshot};
pub use feed::{Feed, Listener};
