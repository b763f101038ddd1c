use std::str::FromStr;

use thiserror::Error;

use joulemark_measurement::quoted;

/// A `model_name` that starts so asks for this engine; the rest is `key=value` pairs, e.g.
/// `synthetic:prefill_ms=5,decode_ms=1`.
pub const SYNTHETIC_PREFIX: &str = "synthetic:";

/// What the engine pretends to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyntheticModel {
    pub load_ms: u64,
    pub prefill_ms: u64,
    pub decode_ms: u64,
    /// Milliseconds for which a CPU computes, rather than sleeps, for each token.
    pub busy_ms: u64,
    /// Processes that it starts and leaves computing.
    pub children: u64,
    /// Megabytes that it fills once it is loaded.
    pub memory_mb: u64,
    pub fault: Option<Fault>,
    /// Prints each prompt, and has it in what it says of its faults, as engines do.
    pub echo: bool,
    /// Refuses each prompt and quotes it, as a chat template may.
    pub refuse: bool,
    /// In a batch each sequence reads what the last one wrote, as in the CPU's attention of mistral.rs 0.8.1.
    pub mix: bool,
    /// From this step on only the first sequence of a batch gets a token in every other step, as of a scheduler that puts the
    /// others back.
    pub preempt_from: Option<u64>,
}

/// Strikes on the request with this number, counted from 0 over warm-up and cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Panic(u64),
    Hang(u64),
    Exit(u64),
    Error(u64),
}

/// The part of a synthetic model's name that is not understood.
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
    fn a_name_says_what_the_engine_pretends() {
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
