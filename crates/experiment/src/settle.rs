use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::field::Fields;
use super::table::{Bounds, Choice, FieldType, Kind, fields, nested};

/// The condition under which a GPU counts as stable.
///
/// - `steady`: its power and its temperature have not changed for some seconds
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettledWhen {
    #[default]
    Steady,
}

impl Choice for SettledWhen {}

fields! {
    /// Begin each cycle only when power and temperature of the GPUs are stable, as after a change of their power limit.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[schema(example = json!({"until": "steady", "max_sec": 120}))]
    pub struct SettleRequest;
    /// The condition that each cycle waits for.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    pub struct Settle;

    /// The condition to wait for. Default `steady`.
    until: SettledWhen =>
        /// The condition to wait for.
        SettledWhen = SettledWhen::Steady, "The condition to wait for.";

    /// Maximum seconds to wait. After that the cycle begins anyway, and the result says so. Default 120.
    max_sec: u32 [minimum = 1, maximum = 3600] =>
        /// Maximum seconds to wait.
        u32 = 120, "Maximum seconds to wait.";
}

impl FieldType for SettleRequest {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        nested(fields, name, (Self::NAMES, ""), Self::read_all)
    }
}

impl From<SettleRequest> for Option<Settle> {
    fn from(asked: SettleRequest) -> Self {
        Some(asked.filled())
    }
}
