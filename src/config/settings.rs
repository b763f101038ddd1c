//! The settings of the server, composed of sections.

use clap::Args;
use serde::{Deserialize as _, Serialize};
use toml::Table;

use super::access::{Access, AccessFlags};
use super::callback::{Callback, CallbackFlags};
use super::energy::{Energy, EnergyFlags};
use super::engines::{self, ConfiguredEngines};
use super::footprint::{Footprint, FootprintFlags};
use super::limits::{LimitFlags, Limits};
use super::node::{Node, NodeFlags};
use super::option::ServerOption;
use super::power::{Power, PowerFlags};
use super::service::{Service, ServiceFlags};
use super::telemetry::{Telemetry, TelemetryFlags};

/// Values of all options, by section. Each option is declared only in the file of its section.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub service: Service,
    pub energy: Energy,
    pub power: Power,
    pub footprint: Footprint,
    pub node: Node,
    pub access: Access,
    pub limits: Limits,
    pub callback: Callback,
    pub telemetry: Telemetry,
    /// Engines of the configuration file, which have no variables and flags.
    pub engines: ConfiguredEngines,
}

// No doc comment: clap would show it as the description of every command that these flags are part of.
#[derive(Debug, Args, Serialize)]
pub struct Flags {
    #[command(flatten)]
    #[serde(flatten)]
    service: ServiceFlags,
    #[command(flatten)]
    #[serde(flatten)]
    energy: EnergyFlags,
    #[command(flatten)]
    #[serde(flatten)]
    power: PowerFlags,
    #[command(flatten)]
    #[serde(flatten)]
    footprint: FootprintFlags,
    #[command(flatten)]
    #[serde(flatten)]
    node: NodeFlags,
    #[command(flatten)]
    #[serde(flatten)]
    access: AccessFlags,
    #[command(flatten)]
    #[serde(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    #[serde(flatten)]
    callback: CallbackFlags,
    #[command(flatten)]
    #[serde(flatten)]
    telemetry: TelemetryFlags,
}

impl Settings {
    /// Returns every option, in the order of `--help`.
    pub fn options() -> impl Iterator<Item = &'static ServerOption> {
        let sections = [
            Service::OPTIONS,
            Energy::OPTIONS,
            Power::OPTIONS,
            Footprint::OPTIONS,
            Node::OPTIONS,
            Access::OPTIONS,
            Limits::OPTIONS,
            Callback::OPTIONS,
            Telemetry::OPTIONS,
        ];
        sections.into_iter().flatten()
    }

    /// Parses the settings; each section takes its own keys.
    pub(super) fn read(values: &Table) -> Result<Self, toml::de::Error> {
        Ok(Self {
            service: Service::deserialize(values.clone())?,
            energy: Energy::deserialize(values.clone())?,
            power: Power::deserialize(values.clone())?,
            footprint: Footprint::deserialize(values.clone())?,
            node: Node::deserialize(values.clone())?,
            access: Access::deserialize(values.clone())?,
            limits: Limits::deserialize(values.clone())?,
            callback: Callback::deserialize(values.clone())?,
            telemetry: Telemetry::deserialize(values.clone())?,
            engines: ConfiguredEngines::new(),
        })
    }

    /// Returns the problems of the values. Each message names the option and what is accepted.
    pub(super) fn problems(&self, values: &Table) -> Vec<String> {
        let too_low = Self::options().filter_map(|ServerOption { name, minimum, .. }| {
            let (value, minimum) = (values[*name].as_integer()?, (*minimum)?);
            (value < minimum).then(|| format!("{name} is {value}; accepted is {minimum} or more"))
        });
        too_low
            .chain(self.energy.problems())
            .chain(self.power.problems())
            .chain(self.footprint.problems())
            .chain(self.service.problems())
            .chain(self.node.problems())
            .chain(self.access_problems())
            .chain(self.limits.problems())
            .chain(self.telemetry.problems())
            .chain(self.callback.problems())
            .chain(engines::problems(&self.engines))
            .collect()
    }
}
