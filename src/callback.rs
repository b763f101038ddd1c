//! Tells others over HTTP that an experiment is finished. Whom it may talk to is the admin's list; an address is checked
//! each time, and the connection goes to the address that was checked. Knows nothing of who asked or of what is stored.

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
