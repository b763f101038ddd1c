//! Recurrent layers, as the configuration of each family names them.

use serde_json::Value;

use super::keys::Config;
use crate::shape::{Convolution, DeltaRule, DualStates, ModelShape, Recurrence, Recurrent, Scan, ShapeError};

impl Config<'_> {
    /// Returns the layers with their recurrence; `None` without such layers.
    pub(super) fn recurrent(layers: Vec<u64>, recurrence: Recurrence) -> Option<Recurrent> {
        (!layers.is_empty()).then_some(Recurrent { layers, recurrence })
    }

    /// Reads the dimensions of Mamba.
    pub(super) fn scan(&self, shape: &ModelShape) -> Result<Recurrence, ShapeError> {
        let expand = self.count(&["expand", "mamba_expand"])?.unwrap_or(2);
        let inner = shape.hidden_size.saturating_mul(expand);
        let rank = ["time_step_rank", "mamba_dt_rank"];
        let is_auto = |name: &&str| self.keys.get(*name).and_then(Value::as_str) == Some("auto");
        let step_rank = if rank.iter().any(is_auto) {
            None
        } else {
            self.count(&rank)?
        };
        Ok(Recurrence::Scan(Scan {
            inner,
            state: self.count(&["state_size", "mamba_d_state"])?.unwrap_or(16),
            step_rank: step_rank.unwrap_or(shape.hidden_size.div_ceil(16)),
            convolution: self.convolution()?,
            bias: self.first_flag(&["use_bias", "mamba_proj_bias"])?.unwrap_or(false),
            norms: shape.family == "jamba",
        }))
    }

    /// Reads the dimensions of the convolution.
    fn convolution(&self) -> Result<Convolution, ShapeError> {
        Ok(Convolution {
            kernel: self.count(&["conv_kernel", "mamba_d_conv"])?.unwrap_or(4),
            bias: self.first_flag(&["use_conv_bias", "mamba_conv_bias"])?.unwrap_or(true),
        })
    }

    /// Reads the dimensions of Mamba-2. `absent` contains the family's heads, states and groups for missing keys.
    pub(super) fn dual_states(&self, shape: &ModelShape, absent: [u64; 3]) -> Result<Recurrence, ShapeError> {
        let heads = self.count(&["mamba_n_heads", "num_heads"])?.unwrap_or(absent[0]);
        let expand = self.count(&["mamba_expand", "expand"])?.unwrap_or(2);
        let is_auto = self.keys.get("mamba_d_head").and_then(Value::as_str) == Some("auto");
        let head_dim = match self.count(if is_auto { &[] } else { &["mamba_d_head", "head_dim"] })? {
            Some(length) => length,
            None => shape.hidden_size.saturating_mul(expand).checked_div(heads).unwrap_or(0),
        };
        Ok(Recurrence::DualStates(DualStates {
            heads,
            head_dim,
            state: self.count(&["mamba_d_state", "state_size"])?.unwrap_or(absent[1]),
            groups: self.count(&["mamba_n_groups", "n_groups"])?.unwrap_or(absent[2]),
            convolution: self.convolution()?,
            bias: self.first_flag(&["mamba_proj_bias", "use_bias"])?.unwrap_or(false),
            chunk: self.count(&["mamba_chunk_size", "chunk_size"])?.unwrap_or(256),
        }))
    }

    /// Reads the dimensions of the gated delta rule.
    pub(super) fn delta_rule(&self) -> Result<Recurrence, ShapeError> {
        Ok(Recurrence::DeltaRule(DeltaRule {
            key_heads: self.count(&["linear_num_key_heads"])?.unwrap_or(16),
            value_heads: self.count(&["linear_num_value_heads"])?.unwrap_or(32),
            key_dim: self.count(&["linear_key_head_dim"])?.unwrap_or(128),
            value_dim: self.count(&["linear_value_head_dim"])?.unwrap_or(128),
            kernel: self.count(&["linear_conv_kernel_dim"])?.unwrap_or(4),
        }))
    }

    /// Returns the first flag that exists under one of the names.
    fn first_flag(&self, names: &[&str]) -> Result<Option<bool>, ShapeError> {
        for name in names {
            if let Some(flag) = self.flag(name)? {
                return Ok(Some(flag));
            }
        }
        Ok(None)
    }
}
