//! Settings of a server: built-in default, then file, then environment variable, then flag; the later wins. Each option
//! is declared once, in the file of its section; `docs/options.toml` is generated from these declarations. Records the
//! origin of each value; leaves the use of the values to others.

mod access;
mod auth_mode;
mod callback;
mod energy;
mod engines;
mod footprint;
mod layers;
mod limits;
mod listen;
mod node;
mod option;
mod power;
mod roles;
mod service;
mod settings;
mod telemetry;
mod user_limits;

pub use auth_mode::AuthMode;
pub use energy::EnergyFlags;
pub use engines::{ConfiguredEngines, EngineSettings};
pub use footprint::Footprint;
pub use layers::{ConfigError, Layered, Origin, load, load_here, refuse_unknown_variables};
pub use limits::{Limits, unless_zero};
pub use listen::Listen;
pub use option::ServerOption;
pub use power::PowerFlags;
pub use settings::{Flags, Settings};
pub use telemetry::LogFormat;
pub use user_limits::UserLimits;
