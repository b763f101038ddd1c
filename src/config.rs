//! Settings of a server: built-in default, then file, then environment, then flag; the later wins.
//! `config/default.toml` is the reference. Knows where each value came from, and nothing of what it is used for.

mod access;
mod auth_mode;
mod callback;
mod layers;
mod limits;
mod listen;
mod settings;

pub use auth_mode::AuthMode;
pub use layers::{ConfigError, Layered, Origin, load};
pub use limits::Limits;
pub use listen::Listen;
pub use settings::{LogFormat, Settings};

/// The reference: every option with its default and what it is for.
pub const DEFAULT_TOML: &str = include_str!("config/default.toml");
