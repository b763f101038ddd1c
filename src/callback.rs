//! Sends callbacks: HTTP requests that report the end of an experiment. A URL must match the admin's list, its address
//! is checked on each call, and the connection goes to the checked address. Leaves the stored
//! calls and their submitters to the scheduler.

mod address;
mod allow;
mod entry;
mod post;
mod schedule;
mod signature;

pub use allow::{Allowed, Refusal};
pub use entry::Entry;
pub use post::{Answer, Delivery, Poster};
pub use schedule::Schedule;
