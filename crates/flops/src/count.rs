use super::line::{Line, lines};
use super::operator::Operator;
use super::schedule::Schedule;
use super::shape::ModelShape;
use super::units::Units;

/// FLOPs of one schedule, exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flops {
    /// Matrix products of the prefills.
    pub prefill: u128,
    /// Matrix products of the decode steps.
    pub decode: u128,
    /// The whole, with only those pairs in attention whose key is not later than the query.
    pub causal_total: u128,
    /// The whole, as if every layer saw the whole context in decode.
    pub unwindowed_total: u128,
    /// The small operators, not part of the others.
    pub elementwise: u128,
}

impl Flops {
    /// Returns the FLOPs of prefill and decode together.
    pub fn total(&self) -> u128 {
        self.prefill + self.decode
    }
}

/// Counts the FLOPs of the schedule by the model's operators.
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

fn sum(lines: &[Line], work: &Units, products: bool) -> u128 {
    let wanted = lines.iter().filter(|line| line.counts() == products);
    wanted.map(|line| line.flops(work)).sum()
}
