//! Operators of recurrent layers, as in transformers 5.24.

use super::{Kind, ModelShape, Scope, Walk};
use crate::shape::{DeltaRule, DualStates, Recurrence, Scan};

const SCOPE: Scope = Scope::RecurrentLayers;

impl ModelShape {
    /// Adds the operators of the recurrent layers.
    pub(super) fn recurrence(&self, walk: &mut Walk) {
        match self
            .particulars
            .recurrent
            .as_ref()
            .map(|recurrent| recurrent.recurrence)
        {
            None => {}
            Some(Recurrence::Scan(scan)) => self.scan(walk, &scan),
            Some(Recurrence::DualStates(states)) => self.dual_states(walk, &states),
            Some(Recurrence::DeltaRule(rule)) => self.delta_rule(walk, &rule),
            Some(Recurrence::Lightning { .. }) => self.lightning(walk),
        }
    }

    /// Adds the operators of Mamba.
    fn scan(&self, walk: &mut Walk, scan: &Scan) {
        let (inner, hidden) = (scan.inner, self.hidden_size);
        walk.linear("in_proj", SCOPE, [2 * inner, hidden], scan.bias);
        walk.push("conv1d", Kind::Convolution, SCOPE, [inner, scan.convolution.kernel]);
        walk.bias_of_last(scan.convolution.bias);
        walk.linear("x_proj", SCOPE, [scan.step_rank + 2 * scan.state, inner], false);
        walk.linear("dt_proj", SCOPE, [inner, scan.step_rank], true);
        walk.vector("a_log", SCOPE, [inner, scan.state]);
        walk.vector("d", SCOPE, [1, inner]);
        if scan.norms {
            walk.norm("dt_norm", SCOPE, scan.step_rank, false);
            walk.norm("b_norm", SCOPE, scan.state, false);
            walk.norm("c_norm", SCOPE, scan.state, false);
        }
        walk.linear("out_proj", SCOPE, [hidden, inner], scan.bias);
    }

    /// Adds the operators of Mamba-2.
    fn dual_states(&self, walk: &mut Walk, states: &DualStates) {
        let inner = states.heads * states.head_dim;
        let channels = inner + 2 * states.groups * states.state;
        walk.linear(
            "in_proj",
            SCOPE,
            [inner + channels + states.heads, self.hidden_size],
            states.bias,
        );
        walk.push(
            "conv1d",
            Kind::Convolution,
            SCOPE,
            [channels, states.convolution.kernel],
        );
        walk.bias_of_last(states.convolution.bias);
        for name in ["dt_bias", "a_log", "d"] {
            walk.vector(name, SCOPE, [1, states.heads]);
        }
        walk.norm("state_norm", SCOPE, inner, false);
        walk.linear("out_proj", SCOPE, [self.hidden_size, inner], states.bias);
    }

    /// Adds the operators of the gated delta rule.
    fn delta_rule(&self, walk: &mut Walk, rule: &DeltaRule) {
        let keys = rule.key_heads * rule.key_dim;
        let values = rule.value_heads * rule.value_dim;
        walk.linear("in_proj_qkv", SCOPE, [2 * keys + values, self.hidden_size], false);
        walk.linear("in_proj_z", SCOPE, [values, self.hidden_size], false);
        walk.linear("in_proj_b", SCOPE, [rule.value_heads, self.hidden_size], false);
        walk.linear("in_proj_a", SCOPE, [rule.value_heads, self.hidden_size], false);
        walk.push("conv1d", Kind::Convolution, SCOPE, [2 * keys + values, rule.kernel]);
        walk.vector("dt_bias", SCOPE, [1, rule.value_heads]);
        walk.vector("a_log", SCOPE, [1, rule.value_heads]);
        walk.norm("state_norm", SCOPE, rule.value_dim, false);
        walk.linear("out_proj", SCOPE, [self.hidden_size, values], false);
    }

    /// Adds the operators of lightning attention.
    fn lightning(&self, walk: &mut Walk) {
        let inner = self.heads * self.head_dim;
        walk.linear("qkv_proj", SCOPE, [3 * inner, self.hidden_size], false);
        walk.norm("state_norm", SCOPE, inner, false);
        walk.linear("output_gate", SCOPE, [inner, self.hidden_size], false);
        walk.linear("out_proj", SCOPE, [self.hidden_size, inner], false);
    }

    /// Returns the number of state elements that a decode step reads in all recurrent layers.
    pub(crate) fn state_elements(&self) -> u64 {
        let of_layer = match self
            .particulars
            .recurrent
            .as_ref()
            .map(|recurrent| recurrent.recurrence)
        {
            None => 0,
            Some(Recurrence::Scan(scan)) => scan.inner * (scan.state + scan.convolution.kernel),
            Some(Recurrence::DualStates(states)) => {
                let inner = states.heads * states.head_dim;
                let channels = inner + 2 * states.groups * states.state;
                inner * states.state + channels * states.convolution.kernel
            }
            Some(Recurrence::DeltaRule(rule)) => {
                let values = rule.value_heads * rule.value_dim;
                let channels = 2 * rule.key_heads * rule.key_dim + values;
                values * rule.key_dim + channels * rule.kernel
            }
            Some(Recurrence::Lightning { .. }) => self.heads * self.head_dim * self.head_dim,
        };
        of_layer * self.recurrent_layers().len() as u64
    }
}
