//! Placement of tensors: finds the operator of every tensor of a model's files. The count is traced only where every
//! tensor has an operator and every operator has its tensors.

mod head;
mod part;

use std::collections::{BTreeSet, HashSet};

use thiserror::Error;

pub(super) use self::head::scores;
use self::part::Part;
use super::companion::is_buffer;
use super::names::{Name, Naming, Parsed};
use super::operator::{Kind, Operator, Scope};
use super::shape::ModelShape;
use super::tensor::TensorInfo;

/// Result of assigning tensors to operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// Bytes of each operator in the files, with its biases and scales.
    pub bytes: Vec<u64>,
    /// Tensors without an operator and operators without their tensor, each as part of a sentence.
    pub problems: Vec<String>,
    /// Number of elements outside the text model (a vision tower).
    pub outside_elements: u64,
    /// Whether all tensors of each operator were found.
    pub complete: Vec<bool>,
    /// Number of elements of tensors without an operator, and of operators without their tensor.
    pub differing_elements: u128,
}

/// Reason why a tensor belongs to no operator.
#[derive(Debug, Error)]
enum Unplaced {
    /// The model is of another family, or its files use another naming.
    #[error("no operator of {family} has the tensor `{tensor}`")]
    Unknown { tensor: String, family: &'static str },
    /// The configuration is not that of the files.
    #[error("`{tensor}` {misfit}")]
    Misfit { tensor: String, misfit: Misfit },
    /// The files contain more than the model.
    #[error("`{tensor}` repeats weights of {operator}")]
    Repeated { tensor: String, operator: &'static str },
}

/// Reason why a tensor does not fit the operator with its name.
#[derive(Debug, Error)]
enum Misfit {
    #[error("is in a place where {family} has no {operator}")]
    NoSuchPlace {
        family: &'static str,
        operator: &'static str,
    },
    #[error("is a bias, and {operator} has none by the configuration")]
    NoBias { operator: &'static str },
    #[error("has the shape {found:?} instead of {expected:?}")]
    Shape { found: Vec<u64>, expected: Vec<u64> },
}

/// Maximum number of problems that are named.
const NAMED_PROBLEMS: usize = 20;

/// Assigns the tensors to the operators.
pub(super) fn place(shape: &ModelShape, operators: &[Operator], naming: Naming, tensors: &[TensorInfo]) -> Placement {
    let mut placer = Placer {
        shape,
        operators,
        naming,
        weights: vec![HashSet::new(); operators.len()],
        biases: vec![HashSet::new(); operators.len()],
        names: vec![None; operators.len()],
        prefix: String::new(),
        placement: Placement {
            bytes: vec![0; operators.len()],
            problems: Vec::new(),
            outside_elements: 0,
            complete: vec![true; operators.len()],
            differing_elements: 0,
        },
    };
    let mut seen = BTreeSet::new();
    for tensor in tensors {
        if !seen.insert(tensor.name.as_str()) {
            placer.problem(format!("`{}` occurs twice", tensor.name));
        } else if naming.is_outside_the_text_model(&tensor.name) || placer.is_idle(&tensor.name) {
            let sum = placer.placement.outside_elements.saturating_add(tensor.elements());
            placer.placement.outside_elements = sum;
        } else if !is_buffer(tensor)
            && !naming.repeats_embedding(&tensor.name)
            && let Err(problem) = placer.place(tensor)
        {
            placer.placement.differing_elements += u128::from(tensor.elements());
            placer.problem(problem.to_string());
        }
    }
    placer.name_what_is_missing();
    placer.placement
}

/// Layer of a copy, and its expert where experts are separate.
type Copy = (u64, Option<u64>);

/// Assignment of tensors that is being made.
struct Placer<'a> {
    shape: &'a ModelShape,
    operators: &'a [Operator],
    naming: Naming,
    weights: Vec<HashSet<Copy>>,
    biases: Vec<HashSet<Copy>>,
    /// Name of each operator in the files, once it was found.
    names: Vec<Option<&'static Name>>,
    prefix: String,
    placement: Placement,
}

impl Placer<'_> {
    /// Adds a problem.
    fn problem(&mut self, problem: String) {
        self.placement.problems.push(problem);
    }

    /// Returns whether text generation does not use the tensor: it belongs to an additional layer that predicts further
    /// tokens, or to keys and values of a layer that uses those of another one. Gemma 3n's files contain such tensors.
    fn is_idle(&self, tensor: &str) -> bool {
        let layers = self.shape.layers();
        let further = layers.saturating_add(self.shape.particulars.further_layers);
        let keyed = layers.saturating_sub(self.shape.particulars.layers_without_keys);
        if further == keyed {
            return false;
        }
        let Some((parsed, layer)) = self.naming.parse(tensor).and_then(|parsed| {
            let layer = parsed.layer?;
            Some((parsed, layer))
        }) else {
            return false;
        };
        let (stem, _) = part::split(&parsed.rest);
        let makes_keys = |name: &Name| {
            let members = self.members(name).filter(|_| name.stem == stem);
            members.is_some_and(|members| {
                members
                    .iter()
                    .all(|index| self.operators[*index].scope == Scope::KeyedLayers)
            })
        };
        (layers..further).contains(&layer) || (keyed..layers).contains(&layer) && self.naming.table().any(makes_keys)
    }

    /// Assigns a tensor to its operators.
    fn place(&mut self, tensor: &TensorInfo) -> Result<(), Unplaced> {
        if let Some(placed) = self.place_score(tensor) {
            return placed;
        }
        let unknown = || Unplaced::Unknown {
            tensor: tensor.name.clone(),
            family: self.shape.family(),
        };
        let parsed = self.naming.parse(&tensor.name).ok_or_else(unknown)?;
        let (stem, part) = part::split(&parsed.rest);
        let mut misfit = None;
        for name in self.naming.table().filter(|name| name.stem == stem) {
            let Some(members) = self.members(name) else { continue };
            match self.fits(tensor, &parsed, name, &members, part) {
                Ok(()) => return self.book(tensor, &parsed, name, &members, part),
                Err(reason) => misfit = misfit.or(Some(reason)),
            }
        }
        Err(match misfit {
            Some(misfit) => Unplaced::Misfit {
                tensor: tensor.name.clone(),
                misfit,
            },
            None => unknown(),
        })
    }

    /// Returns the indices of a name's operators; `None` where the model lacks one of them.
    fn members(&self, name: &Name) -> Option<Vec<usize>> {
        let position = |wanted: &&str| self.operators.iter().position(|operator| operator.name == *wanted);
        name.operators.iter().map(position).collect()
    }

    /// Returns an error where a tensor does not fit these operators.
    fn fits(
        &self,
        tensor: &TensorInfo,
        parsed: &Parsed<'_>,
        name: &Name,
        members: &[usize],
        part: Part,
    ) -> Result<(), Misfit> {
        let first = &self.operators[members[0]];
        if !self.has_copy(first.scope, parsed) {
            return Err(Misfit::NoSuchPlace {
                family: self.shape.family(),
                operator: first.name,
            });
        }
        let rows: u64 = members.iter().map(|index| self.operators[*index].rows).sum();
        let is_stacked = first.scope == Scope::Experts && parsed.expert.is_none();
        let expected = match part {
            Part::Companion => return Ok(()),
            Part::Bias if !members.iter().all(|index| self.operators[*index].bias) => {
                return Err(Misfit::NoBias { operator: first.name });
            }
            Part::Bias if first.kind == Kind::Norm => vec![first.columns],
            Part::Bias if is_stacked => vec![self.shape.experts().unwrap_or(0), rows],
            Part::Bias => vec![rows],
            Part::Weight | Part::Packed if rows == 1 && matches!(tensor.shape[..], [_]) => vec![first.columns],
            Part::Weight | Part::Packed if is_stacked => {
                let experts = self.shape.experts().unwrap_or(0);
                vec![experts, rows, first.columns]
            }
            Part::Weight | Part::Packed => vec![rows, first.columns],
        };
        let turned = match expected[..] {
            [experts, rows, columns] => vec![experts, columns, rows],
            _ => vec![first.columns, rows],
        };
        let elements = expected.iter().map(|length| u128::from(*length)).product();
        let transposed = name.transposed && part != Part::Bias && tensor.shape == turned;
        let by_heads =
            first.kind == Kind::LatentExpansion && tensor.shape.len() == 3 && u128::from(tensor.elements()) == elements;
        // A convolution with one channel, and a norm of all heads stored by heads, contain the same numbers.
        let regrouped = matches!(first.kind, Kind::Convolution | Kind::Norm | Kind::Vector)
            && u128::from(tensor.elements()) == elements;
        if tensor.shape == expected || transposed || by_heads || regrouped || part.packs(tensor, elements) {
            return Ok(());
        }
        Err(Misfit::Shape {
            found: tensor.shape.clone(),
            expected,
        })
    }

    /// Returns whether the model has the copy that a name refers to.
    fn has_copy(&self, scope: Scope, parsed: &Parsed<'_>) -> bool {
        let Some(layer) = parsed.layer else {
            return match (scope, parsed.expert) {
                (Scope::Model, expert) => expert.is_none(),
                (Scope::Streams, Some(stream)) => stream < self.shape.streams_beside_the_first(),
                _ => false,
            };
        };
        let expert_exists = match (scope, parsed.expert) {
            (Scope::Experts, Some(expert)) => self.shape.experts().is_some_and(|count| expert < count),
            (_, expert) => expert.is_none(),
        };
        expert_exists && self.shape.has_layer(scope, layer)
    }

    /// Adds a tensor's bytes to its operators.
    fn book(
        &mut self,
        tensor: &TensorInfo,
        parsed: &Parsed<'_>,
        name: &'static Name,
        members: &[usize],
        part: Part,
    ) -> Result<(), Unplaced> {
        if parsed.layer.is_some() && self.prefix.is_empty() {
            parsed.prefix.clone_into(&mut self.prefix);
        }
        let copy = (parsed.layer.unwrap_or(0), parsed.expert);
        let rows: u64 = members.iter().map(|index| self.operators[*index].rows).sum();
        let mut left = tensor.bytes;
        for (position, index) in members.iter().enumerate() {
            let is_last = position + 1 == members.len();
            let share = u128::from(tensor.bytes) * u128::from(self.operators[*index].rows) / u128::from(rows.max(1));
            let share = if is_last {
                left
            } else {
                u64::try_from(share).unwrap_or(left).min(left)
            };
            left -= share;
            let covered = match part {
                Part::Companion => None,
                Part::Bias => Some(&mut self.biases[*index]),
                Part::Weight | Part::Packed => Some(&mut self.weights[*index]),
            };
            if let Some(covered) = covered {
                if !covered.insert(copy) {
                    return Err(Unplaced::Repeated {
                        tensor: tensor.name.clone(),
                        operator: self.operators[*index].name,
                    });
                }
                self.names[*index] = Some(name);
            }
            self.placement.bytes[*index] = self.placement.bytes[*index].saturating_add(share);
        }
        Ok(())
    }

    /// Adds the operators without their tensors to the problems.
    fn name_what_is_missing(&mut self) {
        for index in 0..self.operators.len() {
            let operator = &self.operators[index];
            let mut missing = self.missing(operator, &self.weights[index], "weight");
            // Only the first missing expert of each layer is named: experts are stacked, or missing together.
            let copies = match operator.scope {
                Scope::Experts => self.shape.experts().unwrap_or(1),
                _ => 1,
            };
            self.placement.differing_elements += operator.elements() * missing.len() as u128 * u128::from(copies);
            if operator.bias {
                missing.extend(self.missing(operator, &self.biases[index], "bias"));
            }
            self.placement.complete[index] = missing.is_empty();
            self.placement.problems.extend(missing);
        }
        let all = self.placement.problems.len();
        if all > NAMED_PROBLEMS {
            self.placement.problems.truncate(NAMED_PROBLEMS);
            self.problem(format!("and {} more", all - NAMED_PROBLEMS));
        }
    }

    /// Returns the missing tensors of an operator, in words.
    fn missing(&self, operator: &Operator, covered: &HashSet<Copy>, suffix: &str) -> Vec<String> {
        if operator.scope == Scope::Streams {
            let gone = (0..self.shape.streams_beside_the_first()).find(|stream| !covered.contains(&(0, Some(*stream))));
            return gone
                .map(|stream| self.describe(operator, 0, Some(stream), suffix))
                .into_iter()
                .collect();
        }
        let layers = match operator.scope {
            Scope::Model => (0..self.shape.stored(operator).max(u64::from(suffix == "bias"))).collect(),
            scope => self.shape.layers_with(scope),
        };
        let mut missing = Vec::new();
        for layer in layers {
            if covered.contains(&(layer, None)) {
                continue;
            }
            match operator.scope {
                Scope::Experts => {
                    let experts = 0..self.shape.experts().unwrap_or(0);
                    // The first one is enough: stacked experts are all missing together.
                    let first = experts
                        .into_iter()
                        .find(|expert| !covered.contains(&(layer, Some(*expert))));
                    missing.extend(first.map(|expert| self.describe(operator, layer, Some(expert), suffix)));
                }
                _ => missing.push(self.describe(operator, layer, None, suffix)),
            }
        }
        missing
    }

    /// Names a missing tensor as these files would name it.
    fn describe(&self, operator: &Operator, layer: u64, expert: Option<u64>, suffix: &str) -> String {
        let seen = self
            .operators
            .iter()
            .zip(&self.names)
            .find(|(other, _)| other.name == operator.name);
        let usual = || self.naming.table().find(|name| name.operators.contains(&operator.name));
        let Some(name) = seen.and_then(|(_, name)| *name).or_else(usual) else {
            let scores = &self.shape.head.scores;
            let is_it = |position: &usize| self.shape.head.operator(*position) == operator.name;
            return match (0..scores.len()).find(is_it) {
                Some(position) => format!("`{}.{suffix}` is missing", scores[position].stem),
                None => format!("{} is missing", operator.name),
            };
        };
        let stem = match expert {
            Some(expert) => name.stem.replace('*', &expert.to_string()),
            None => name.stem.to_owned(),
        };
        let full = match operator.scope {
            // lm_head is outside the module of the other operators.
            Scope::Model | Scope::Streams if operator.kind != Kind::Logits => {
                format!("{}{stem}.{suffix}", outer_module(&self.prefix))
            }
            Scope::Model | Scope::Streams => format!("{stem}.{suffix}"),
            _ => format!("{}{layer}.{stem}.{suffix}", self.prefix),
        };
        format!("`{full}` is missing")
    }
}

/// Returns the module around the layers: `model.` for `model.layers.`, and nothing for `blk.`.
fn outer_module(layers: &str) -> &str {
    let module = layers.trim_end_matches('.');
    module.rfind('.').map_or("", |dot| &module[..=dot])
}
