//! Sums over the parts that tensors are.

use std::collections::{BTreeMap, BTreeSet};

use super::part::{Part, Place, place};
use crate::TensorInfo;

/// Sums over a model's tensors.
#[derive(Debug, Default)]
pub(super) struct Sum<'a> {
    stated_experts: Option<u64>,
    pub total: u64,
    pub in_experts: u64,
    /// Numbers of experts in single layers.
    pub experts: BTreeSet<u64>,
    /// Number of experts among which a router chooses; `None` without a router.
    pub routes: Option<u64>,
    pub layers: BTreeSet<u64>,
    has_embedding: bool,
    /// Texts before the numbers of layers.
    pub stacks: BTreeSet<&'a str>,
    /// First tensor that belongs to no plain stack, and the number of such tensors.
    pub strange: Option<&'a str>,
    pub strange_count: u64,
    /// Numbered parts of each layer, by the word before the number.
    groups: BTreeMap<(u64, &'a str), Group<'a>>,
}

/// Parts of one layer that differ only in their number.
#[derive(Debug)]
struct Group<'a> {
    numbers: BTreeSet<u64>,
    weights: u64,
    tensors: u64,
    first: &'a str,
    is_expert: bool,
    is_matrix: bool,
}

/// Maximum number of numbered matrices of one layer that are not experts: `c_fc_0` and `c_fc_1`, `mlp.0` and `mlp.2`.
const MAX_PLAIN_NUMBERS: usize = 2;

impl<'a> Sum<'a> {
    /// Creates empty sums for a model with this number of experts by its configuration.
    pub fn new(stated_experts: Option<u64>) -> Self {
        Self {
            stated_experts: stated_experts.filter(|count| *count > 1),
            ..Self::default()
        }
    }

    /// Adds a tensor with its number of weights.
    pub fn add(&mut self, tensor: &'a TensorInfo, weights: u64) {
        self.total = self.total.saturating_add(weights);
        let Place { layer, part } = place(tensor, self.stated_experts);
        if let Some((stack, number)) = layer.filter(|_| part != Part::Strange) {
            self.layers.insert(number);
            self.stacks.insert(stack);
        }
        let layer = layer.map_or(0, |(_, number)| number);
        match part {
            Part::Plain => {}
            // It is unknown how many rows of a second table a token reads.
            Part::Embedding if std::mem::replace(&mut self.has_embedding, true) => self.strange(&tensor.name, 1),
            Part::Embedding => {}
            Part::Router(routes) => self.routes = self.routes.max(Some(routes)),
            Part::Stacked(experts) => {
                self.in_experts = self.in_experts.saturating_add(weights);
                self.experts.insert(experts);
            }
            Part::Numbered {
                word,
                number,
                is_expert,
                is_matrix,
            } => {
                let group = self.groups.entry((layer, word)).or_insert(Group {
                    numbers: BTreeSet::new(),
                    weights: 0,
                    tensors: 0,
                    first: &tensor.name,
                    is_expert,
                    is_matrix,
                });
                group.numbers.insert(number);
                group.weights = group.weights.saturating_add(weights);
                group.tensors += 1;
            }
            Part::Strange => self.strange(&tensor.name, 1),
        }
    }

    /// Decides which numbered parts are experts, after all tensors were added.
    pub fn settle(&mut self) {
        for group in std::mem::take(&mut self.groups).into_values() {
            // Files may contain only some of the numbers.
            let count = group.numbers.last().map_or(0, |last| last.saturating_add(1));
            if group.is_expert || Some(count) == self.stated_experts {
                self.in_experts = self.in_experts.saturating_add(group.weights);
                self.experts.insert(count);
            } else if !group.is_matrix || group.numbers.len() > MAX_PLAIN_NUMBERS {
                self.strange(group.first, group.tensors);
            }
        }
    }

    /// Adds tensors that belong to no plain stack.
    fn strange(&mut self, name: &'a str, tensors: u64) {
        self.strange.get_or_insert(name);
        self.strange_count += tensors;
    }
}
