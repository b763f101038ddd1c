//! Scores of reward models and classifiers, which each training framework names differently.

use super::part::{self, Part};
use super::{Misfit, Placer, Unplaced};
use crate::names::inner_name;
use crate::shape::{MAX_SCORES, Score};
use crate::tensor::TensorInfo;

/// First words of the names of scores: transformers' `score`, `classifier`, `classification_head`, `qa_outputs` and
/// `multiple_choice_head`; TRL's, LLaMA-Factory's and DeepSpeed-Chat's `v_head`; those of published reward models;
/// llama.cpp's `cls`.
const HEADS: [&str; 13] = [
    "score",
    "classifier",
    "classification_head",
    "qa_outputs",
    "multiple_choice_head",
    "v_head",
    "value_head",
    "reward_head",
    "rm_head",
    "regression_head",
    "regression_layer",
    "critic_head",
    "cls",
];
/// Words that may follow the first word, in addition to numbers.
const PARTS: [&str; 7] = ["summary", "dense", "out_proj", "proj", "linear", "fc", "output"];

/// Returns the stem of a score's tensor, and the part of the score that the tensor is; `None` for other tensors.
fn parse(tensor: &str) -> Option<(&str, Part)> {
    let name = inner_name(tensor);
    let (first, _) = name.split_once('.')?;
    if !HEADS.contains(&first) {
        return None;
    }
    let (stem, part) = part::split(name);
    let is_part = |word: &str| PARTS.contains(&word) || word.parse::<u64>().is_ok();
    stem.split('.').skip(1).all(is_part).then_some((stem, part))
}

/// Returns the matrices of the scores that the files contain, sorted by name, which is the order in which they are
/// applied (`score.0`, `score.2`; `dense`, `out_proj`). Empty where there are none, or more than any model has.
pub(crate) fn scores(tensors: &[TensorInfo]) -> Vec<Score> {
    let parsed = || tensors.iter().filter_map(|tensor| Some((parse(&tensor.name)?, tensor)));
    let mut scores: Vec<Score> = parsed()
        .filter_map(|((stem, part), tensor)| match (part, &tensor.shape[..]) {
            (Part::Weight, [rows, columns]) => Some(Score {
                stem: stem.to_owned(),
                rows: *rows,
                columns: *columns,
                bias: parsed().any(|((other, part), _)| other == stem && part == Part::Bias),
            }),
            _ => None,
        })
        .collect();
    if scores.len() > MAX_SCORES {
        return Vec::new();
    }
    scores.sort_by(|left, right| left.stem.cmp(&right.stem));
    scores
}

impl Placer<'_> {
    /// Assigns a tensor of a score to its operator; `None` for other tensors.
    pub(super) fn place_score(&mut self, tensor: &TensorInfo) -> Option<Result<(), Unplaced>> {
        if self.shape.head.scores.is_empty() {
            return None;
        }
        let (stem, part) = parse(&tensor.name)?;
        let position = self.shape.head.scores.iter().position(|score| score.stem == stem)?;
        let name = self.shape.head.operator(position);
        let index = self.operators.iter().position(|operator| operator.name == name)?;
        let operator = &self.operators[index];
        let expected = match part {
            Part::Bias => vec![operator.rows],
            Part::Weight | Part::Packed | Part::Companion => vec![operator.rows, operator.columns],
        };
        if part != Part::Companion && tensor.shape != expected && !part.packs(tensor, operator.elements()) {
            let misfit = Misfit::Shape {
                found: tensor.shape.clone(),
                expected,
            };
            let tensor = tensor.name.clone();
            return Some(Err(Unplaced::Misfit { tensor, misfit }));
        }
        let is_new = match part {
            Part::Companion => true,
            Part::Bias => self.biases[index].insert((0, None)),
            Part::Weight | Part::Packed => self.weights[index].insert((0, None)),
        };
        if !is_new {
            let (tensor, operator) = (tensor.name.clone(), name);
            return Some(Err(Unplaced::Repeated { tensor, operator }));
        }
        self.placement.bytes[index] = self.placement.bytes[index].saturating_add(tensor.bytes);
        Some(Ok(()))
    }
}
