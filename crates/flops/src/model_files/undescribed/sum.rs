//! Adds up what the tensors are, taken together.

use std::collections::{BTreeMap, BTreeSet};

use super::part::{Part, Place, place};
use crate::TensorInfo;

/// What the tensors are, taken together.
#[derive(Debug, Default)]
pub(super) struct Sum<'a> {
    stated_experts: Option<u64>,
    pub total: u64,
    pub in_experts: u64,
    /// The numbers of experts that single layers show.
    pub experts: BTreeSet<u64>,
    /// How many a router chooses among, where one tells.
    pub routes: Option<u64>,
    pub layers: BTreeSet<u64>,
    has_embedding: bool,
    /// What stands before the numbers of layers.
    pub stacks: BTreeSet<&'a str>,
    /// The first tensor that belongs to no plain stack, and how many there are.
    pub strange: Option<&'a str>,
    pub strange_count: u64,
    /// The numbered parts of each layer, by the word before the number.
    groups: BTreeMap<(u64, &'a str), Group<'a>>,
}

/// Parts of one layer that differ in their number.
#[derive(Debug)]
struct Group<'a> {
    numbers: BTreeSet<u64>,
    weights: u64,
    tensors: u64,
    first: &'a str,
    is_expert: bool,
    is_matrix: bool,
}

/// Matrices of one layer that bear numbers without being experts: `c_fc_0` and `c_fc_1`, `mlp.0` and `mlp.2`.
const MAX_PLAIN_NUMBERS: usize = 2;

impl<'a> Sum<'a> {
    pub fn new(stated_experts: Option<u64>) -> Self {
        Self {
            stated_experts: stated_experts.filter(|count| *count > 1),
            ..Self::default()
        }
    }

    /// Adds a tensor of so many weights.
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
            // Of a second table it is not known how many rows a token reads.
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

    /// Decides which numbered parts are experts, once all tensors are known.
    pub fn settle(&mut self) {
        for group in std::mem::take(&mut self.groups).into_values() {
            // Files may hold some of the numbers only.
            let count = group.numbers.last().map_or(0, |last| last.saturating_add(1));
            if group.is_expert || Some(count) == self.stated_experts {
                self.in_experts = self.in_experts.saturating_add(group.weights);
                self.experts.insert(count);
            } else if !group.is_matrix || group.numbers.len() > MAX_PLAIN_NUMBERS {
                self.strange(group.first, group.tensors);
            }
        }
    }

    fn strange(&mut self, name: &'a str, tensors: u64) {
        self.strange.get_or_insert(name);
        self.strange_count += tensors;
    }
}
