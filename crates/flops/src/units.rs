//! Units of work: a schedule has a number of each, and an operator has a cost for each.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// A unit of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A token in the layers.
    Token,
    /// A pair of query and key, over the full T × S matrices.
    Pair,
    /// A pair of query and key in a layer with a sliding window: in decode the cache holds no more than the window,
    /// while a prefill computes the whole matrix and masks it.
    WindowedPair,
    /// A key that a pass sees: S, summed over passes.
    Key,
    /// A row of logits.
    LogitRow,
    /// The prefill of one request.
    Prefill,
    /// One decode step of one request.
    Step,
    /// A token of a prefill that is padded to whole chunks.
    ChunkedToken,
    /// A pair of states between chunks: (chunks + 1)² in a prefill.
    ChunkPair,
    /// A pair of tokens within one chunk of a prefill, whose last chunk is not padded.
    BlockPair,
    /// A token in the encoder.
    EncoderToken,
    /// A pair of tokens in the encoder.
    EncoderPair,
    /// A pair of a decoder's query and an encoder's key.
    CrossPair,
}

const UNITS: usize = Unit::CrossPair as usize + 1;

/// A number for each unit, as exact integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Units([u128; UNITS]);

impl Units {
    /// Creates numbers that are 0 except for one unit.
    pub fn of(unit: Unit, number: u128) -> Self {
        Self::default().with(unit, number)
    }

    /// Sets the number of a unit.
    pub fn with(mut self, unit: Unit, number: u128) -> Self {
        self.0[unit as usize] = number;
        self
    }

    /// Returns the number of a unit.
    pub fn get(&self, unit: Unit) -> u128 {
        self.0[unit as usize]
    }

    /// Returns the sum over units of the products of both numbers.
    pub fn times_each(&self, other: &Self) -> u128 {
        self.0.iter().zip(other.0).map(|(one, other)| one * other).sum()
    }

    /// Multiplies all numbers by a factor.
    pub fn times(mut self, factor: u128) -> Self {
        self.0.iter_mut().for_each(|number| *number *= factor);
        self
    }
}

impl AddAssign for Units {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(one, other)| *one += other);
    }
}

impl Add for Units {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl Sum for Units {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Add::add)
    }
}
