//! The vocabulary of experiments: requests, specs, states, reports, roles and the capabilities of nodes. A request is
//! what a client sends; a [`Spec`] is valid by construction, with every default filled in, and is what is stored. How
//! anything is run, measured or stored is left to other packages.

pub mod access;
mod arrival;
mod batch_rules;
mod budget;
mod callback;
mod capabilities;
mod choices;
pub mod comparison;
mod decoder;
mod described_field;
mod drawn_outputs;
mod dropped_prompts;
mod duration;
mod example;
mod field;
mod gpu_fit;
mod gpu_settings;
mod host;
mod id;
mod labels;
mod lengths;
mod line_checks;
mod load;
mod load_rules;
mod name;
mod offered_engine;
mod other_words;
mod parse;
mod prompt_identity;
mod prompt_lines;
mod prompts;
mod repeat;
mod replay_lines;
pub mod report;
mod requirements;
mod resolve;
mod served;
mod server_rules;
mod settle;
mod spec;
mod status;
mod stop_rule;
mod submission;
pub mod sweep;
mod table;
mod transition;
mod warm_up;

pub use joulemark_measurement::{Warning, WarningCode};

pub use arrival::Arrival;
pub use callback::{Callback, CallbackState, NotACallbackState};
pub use capabilities::{Capabilities, OfferedModel};
pub use choices::{Device, Distribution, FpPrecision, GpuSelector, Isolation, QUANTIZATIONS};
pub use decoder::{Decoder, DecoderRequest};
pub use described_field::{DescribedField, Takes, described_fields};
pub use dropped_prompts::DroppedPrompts;
pub use duration::{DurationEstimate, DurationMethod};
pub use example::example;
pub use field::{FieldProblem, Fields, MAX_PROBLEMS, brief};
pub use host::{Clocks, Gpu, Host, Model, PowerLimits};
pub use id::{ExperimentId, NotAnId};
pub use labels::{LabelChanges, MAX_LABELS};
pub use lengths::TokenLength;
pub use load::{Arrivals, ClosedLoad, Load, OpenLoad, ReplayLoad, Slo};
pub use name::{BadName, MAX_NAME_CHARS, check_characters, check_name};
pub use offered_engine::{OfferedEngine, refused_board};
pub use parse::parse;
pub use prompt_identity::PromptIdentity;
pub use prompt_lines::{BadPromptFile, ChatMessage, ChatRole, PromptLine, read_prompt_lines};
pub use prompts::{DatasetPrompts, Prompts, SyntheticPrompts};
pub use repeat::Repeat;
pub use replay_lines::{ReplayLines, read_replay_lines};
pub use requirements::Requirements;
pub use resolve::resolve;
pub use served::{
    Argument, ArgumentValue, ArgumentValues, DEFAULT_ENGINE, MAX_ARGUMENTS, OfferedServer, SYNTHETIC_ENGINE,
};
pub use settle::{Settle, SettledWhen};
pub use status::{Failure, FailureReason, IllegalMove, NotAState, State};
pub use stop_rule::{StopMetric, StopRule};
pub use submission::{ExperimentRequest, Resolved, Spec};
pub use sweep::{Placement, Point, SweepMode, SweepOrder, SweepRequest};
pub use table::{Field, Kind};
pub use transition::Transition;
