//! The units that work is measured in: a schedule has so many of each, an operator costs so much for each.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// One thing that costs are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A token that passes the layers.
    Token,
    /// A pair of query and key over the full T × S matrices.
    Pair,
    /// The same in layers that slide: in decode the cache keeps no more than the window. A prefill computes the whole
    /// matrix and masks it.
    WindowedPair,
    /// A key in sight of a pass, S summed over passes.
    Key,
    /// A row of logits.
    LogitRow,
    /// The prefill of one request.
    Prefill,
    /// One decode step of one request.
    Step,
    /// A token of a prefill that is filled up to whole chunks.
    ChunkedToken,
    /// (chunks + 1)² of a prefill: the states between chunks, each with each.
    ChunkPair,
    /// A pair of tokens within one chunk of a prefill; the last chunk is as long as it is.
    BlockPair,
    /// A token that passes the encoder.
    EncoderToken,
    /// A pair of tokens in the encoder.
    EncoderPair,
    /// A pair of a decoder's query and an encoder's key.
    CrossPair,
}

const UNITS: usize = Unit::CrossPair as usize + 1;

/// A number for each unit, exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Units([u128; UNITS]);

impl Units {
    pub fn of(unit: Unit, number: u128) -> Self {
        Self::default().with(unit, number)
    }

    /// Returns the same with another number for the unit.
    pub fn with(mut self, unit: Unit, number: u128) -> Self {
        self.0[unit as usize] = number;
        self
    }

    pub fn get(&self, unit: Unit) -> u128 {
        self.0[unit as usize]
    }

    /// Returns the sum over the units of one's number times the other's.
    pub fn times_each(&self, other: &Self) -> u128 {
        self.0.iter().zip(other.0).map(|(one, other)| one * other).sum()
    }

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
