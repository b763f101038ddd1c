use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::field::Fields;
use super::table::{Asked, Bounds, Choice, Kind, fields, nested};

/// When a board has settled.
///
/// - `steady`: when its power and its temperature have not changed for some seconds
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettledWhen {
    #[default]
    Steady,
}

impl Choice for SettledWhen {}

fields! {
    /// Begin each cycle once power and temperature of the GPUs are steady, as after a change of their power limit.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[schema(example = json!({"until": "steady", "max_sec": 120}))]
    pub struct SettleRequest;
    /// What each cycle waits for.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    pub struct Settle;

    /// Default `steady`.
    until: SettledWhen =>
        SettledWhen = SettledWhen::Steady, "When a board has settled.";

    /// Most seconds to wait: the cycle begins then all the same, and the result says so. Default 120.
    max_sec: u32 [minimum = 1, maximum = 3600] =>
        /// Most seconds to wait.
        u32 = 120, "Most seconds to wait.";
}

impl Asked for SettleRequest {
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
