//! Parses the name of a synthetic model, which sets the engine's behaviour.

use std::str::FromStr;

use thiserror::Error;

use joulemark_measurement::quoted;

/// Prefix of the `model_name` that selects this engine. Pairs `key=value` follow, for example
/// `synthetic:prefill_ms=5,decode_ms=1`.
pub const SYNTHETIC_PREFIX: &str = "synthetic:";

/// Behaviour of the synthetic engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyntheticModel {
    pub load_ms: u64,
    pub prefill_ms: u64,
    pub decode_ms: u64,
    /// CPU time in milliseconds that each token takes, in addition to the time asleep.
    pub busy_ms: u64,
    /// Number of child processes that it starts and that compute until they are killed.
    pub children: u64,
    /// Memory in megabytes that it fills when it is loaded.
    pub memory_mb: u64,
    pub fault: Option<Fault>,
    /// Whether it prints each prompt and quotes it in messages about its faults, as engines do.
    pub echo: bool,
    /// Whether it rejects each prompt and quotes it, as a chat template may.
    pub refuse: bool,
    /// Whether each sequence of a batch reads what the last one wrote, as in the CPU attention of mistral.rs 0.8.1.
    pub mix: bool,
    /// Step from which only the first sequence of a batch gets a token in every other step, like under a scheduler that
    /// preempts the others.
    pub preempt_from: Option<u64>,
}

/// Fault at the request with this number, counted from 0 over warm-up and cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Panic(u64),
    Hang(u64),
    Exit(u64),
    Error(u64),
}

/// Error for a name of a synthetic model that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SyntheticNameError {
    #[error("does not start with {SYNTHETIC_PREFIX:?}")]
    Prefix,
    #[error(
        "has {}; accepted are load_ms, prefill_ms, decode_ms, busy_ms, children, memory_mb, panic_at, hang_at, exit_at, \
         error_at, echo, refuse, mix and preempt_from, each with a whole number",
        quoted(.0)
    )]
    Parameter(String),
}

impl FromStr for SyntheticModel {
    type Err = SyntheticNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let parameters = name.strip_prefix(SYNTHETIC_PREFIX).ok_or(SyntheticNameError::Prefix)?;
        let mut model = Self::default();
        for pair in parameters.split(',').filter(|pair| !pair.is_empty()) {
            let read = pair
                .split_once('=')
                .and_then(|(key, value)| Some((key, value.parse::<u64>().ok()?)));
            let Some((key, value)) = read else {
                return Err(SyntheticNameError::Parameter(pair.to_owned()));
            };
            match key {
                "load_ms" => model.load_ms = value,
                "prefill_ms" => model.prefill_ms = value,
                "decode_ms" => model.decode_ms = value,
                "busy_ms" => model.busy_ms = value,
                "children" => model.children = value,
                "memory_mb" => model.memory_mb = value,
                "panic_at" => model.fault = Some(Fault::Panic(value)),
                "hang_at" => model.fault = Some(Fault::Hang(value)),
                "exit_at" => model.fault = Some(Fault::Exit(value)),
                "error_at" => model.fault = Some(Fault::Error(value)),
                "echo" => model.echo = value != 0,
                "refuse" => model.refuse = value != 0,
                "mix" => model.mix = value != 0,
                "preempt_from" => model.preempt_from = Some(value),
                _ => return Err(SyntheticNameError::Parameter(key.to_owned())),
            }
        }
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_sets_the_behaviour_of_the_engine() {
        let model: SyntheticModel = "synthetic:prefill_ms=5,decode_ms=1,panic_at=3".parse().unwrap();
        assert_eq!(model.prefill_ms, 5);
        assert_eq!(model.fault, Some(Fault::Panic(3)));
        assert_eq!("synthetic:".parse(), Ok(SyntheticModel::default()));
        assert!(
            "synthetic:speed=1"
                .parse::<SyntheticModel>()
                .unwrap_err()
                .to_string()
                .contains("accepted are load_ms")
        );
    }
}
