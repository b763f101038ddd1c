use super::line::{Line, lines};
use super::operator::Operator;
use super::schedule::Schedule;
use super::shape::ModelShape;
use super::units::Units;

/// FLOPs of one schedule, as exact integers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flops {
    /// FLOPs of the matrix products of the prefills.
    pub prefill: u128,
    /// FLOPs of the matrix products of the decode steps.
    pub decode: u128,
    /// FLOPs of prefill and decode, with only those pairs of attention whose key is not later than the query.
    pub causal_total: u128,
    /// FLOPs of prefill and decode if every layer saw the whole context in decode.
    pub unwindowed_total: u128,
    /// FLOPs of the elementwise operators, which are not part of the other figures.
    pub elementwise: u128,
}

impl Flops {
    /// Returns the FLOPs of prefill and decode.
    pub fn total(&self) -> u128 {
        self.prefill + self.decode
    }
}

/// Counts the FLOPs of a schedule over the model's operators.
pub(super) fn count(shape: &ModelShape, operators: &[Operator], schedule: &Schedule) -> Flops {
    let in_prefill = lines(shape, operators, schedule.latents.in_prefill());
    let in_decode = lines(shape, operators, schedule.latents);
    let passes = shape.passes();
    let (prefill, decode) = (schedule.prefill(passes), schedule.decode(passes));
    let products = |lines: &[Line], work: &Units| sum(lines, work, true);
    let causal = schedule.causal_prefill(passes);
    let unwindowed = schedule.decode(passes.without_window());
    Flops {
        prefill: products(&in_prefill, &prefill),
        decode: products(&in_decode, &decode),
        causal_total: products(&in_prefill, &causal) + products(&in_decode, &decode),
        unwindowed_total: products(&in_prefill, &prefill) + products(&in_decode, &unwindowed),
        elementwise: sum(&in_prefill, &prefill, false) + sum(&in_decode, &decode, false),
    }
}

/// Sums the FLOPs of matrix products, or of all other operators.
fn sum(lines: &[Line], work: &Units, products: bool) -> u128 {
    let wanted = lines.iter().filter(|line| line.counts() == products);
    wanted.map(|line| line.flops(work)).sum()
}
