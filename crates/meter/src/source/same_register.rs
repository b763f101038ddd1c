//! Tells counters that show one register from counters with registers of their own, by readings alone.
//!
//! Owns the comparison: one counter is read between two readings of another, again and again. What lies between them
//! every time, while both move, is the same register. Names do not decide. Deliberately does not know files or events.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;

/// Registers tick every millisecond or so: this many moves take ten.
const MOVES_NEEDED: u32 = 8;

/// A reading that was caught between two writes of a copied value may disagree; one in so many is let pass.
const AGREEMENTS_PER_SLIP: u32 = 10;

/// So many disagreements, and more than one in five, are no slip.
const DISAGREEMENTS_NEEDED: u32 = 5;

/// Joules apart beyond which two counters are not one register, however late one of them shows it.
const FAR_APART_J: f64 = 20.0;

/// Dies of one package may be given copies of one register a moment apart. Registers of their own, which began to count
/// at different moments, stay this close by no chance while they move on by many times as much.
const COPY_TOLERANCE_J: f64 = 0.02;
const TOLERANCES_TRAVELLED: i128 = 20;

/// The start-up waits no longer than this, and less where nothing moves at all.
const LONGEST_LOOK_SEC: f64 = 0.08;
const LONGEST_STANDSTILL_SEC: f64 = 0.02;
const BETWEEN_ROUNDS: Duration = Duration::from_micros(200);

/// Values of a copy that is written after its original were the original's a moment before.
const REMEMBERED: usize = 32;

/// A counter as far as the comparison needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    /// Joules that one count stands for.
    pub joules_per_count: f64,
    /// Counts at which it starts again from 0.
    pub range: Option<u64>,
    /// Whether it began to count when it was opened, so that two of one register differ by a constant.
    pub counts_from_opening: bool,
    /// Counters of different groups are never compared.
    pub group: u32,
    /// The package it is of, by name: two of one package are likelier to be one.
    pub package: Option<u32>,
    /// Left out rather than kept where it shows the same as another.
    pub is_second_choice: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Undecided,
    Same,
    Different,
}

/// Two counters and what their readings have shown so far.
#[derive(Debug)]
struct Pair {
    kept: usize,
    other: usize,
    range: Option<i128>,
    far_apart: i128,
    /// Where the constant difference between the two can lie.
    offset: (i128, i128),
    is_offset_fixed: bool,
    tolerance: i128,
    travelled: i128,
    moves: u32,
    agreements: u32,
    disagreements: u32,
    recent: [VecDeque<u64>; 2],
    verdict: Verdict,
}

impl Pair {
    fn new((kept, one): (usize, &Register), (other, two): (usize, &Register)) -> Self {
        let far_apart = (FAR_APART_J / one.joules_per_count) as i128;
        let is_offset_fixed = !one.counts_from_opening && !two.counts_from_opening;
        Self {
            kept,
            other,
            range: one.range.filter(|range| two.range == Some(*range)).map(i128::from),
            far_apart,
            offset: if is_offset_fixed {
                (0, 0)
            } else {
                (-far_apart, far_apart)
            },
            is_offset_fixed,
            tolerance: if is_offset_fixed && one.package.is_some() && one.package == two.package {
                (COPY_TOLERANCE_J / one.joules_per_count) as i128
            } else {
                0
            },
            travelled: 0,
            moves: 0,
            agreements: 0,
            disagreements: 0,
            recent: [VecDeque::new(), VecDeque::new()],
            verdict: Verdict::Undecided,
        }
    }

    /// Reads the kept counter around the other one, then the other around the kept one. Returns whether anything moved.
    fn observe(&mut self, read: &mut dyn FnMut(usize) -> Option<u64>) -> bool {
        let readings: Option<Vec<u64>> = [self.kept, self.other, self.kept, self.other]
            .into_iter()
            .map(read)
            .collect();
        let Some([kept, other, kept_after, other_after]) = readings.and_then(|all| <[u64; 4]>::try_from(all).ok())
        else {
            return false;
        };
        let step = self.recent[0]
            .back()
            .map_or(0, |last| self.difference(kept_after, *last));
        let moved = step != 0;
        self.travelled += step.max(0);
        self.moves += u32::from(moved);
        let is_copy = self.is_offset_fixed && (self.recent[0].contains(&other) || self.recent[1].contains(&kept_after));
        self.remember([kept, kept_after], [other, other_after]);
        self.judge(
            (self.difference(kept, other), self.difference(kept_after, other)),
            is_copy,
        );
        self.judge(
            (
                self.difference(kept_after, other_after),
                self.difference(kept_after, other),
            ),
            is_copy,
        );
        moved
    }

    fn remember(&mut self, kept: [u64; 2], other: [u64; 2]) {
        for (recent, values) in self.recent.iter_mut().zip([kept, other]) {
            for value in values {
                if recent.back() != Some(&value) {
                    recent.push_back(value);
                }
            }
            while recent.len() > REMEMBERED {
                recent.pop_front();
            }
        }
    }

    /// How far the first is ahead of the second, whichever of the two has wrapped.
    fn difference(&self, kept: u64, other: u64) -> i128 {
        let plain = i128::from(kept) - i128::from(other);
        match self.range {
            Some(range) => {
                let within = plain.rem_euclid(range);
                if within > range / 2 { within - range } else { within }
            }
            None => plain,
        }
    }

    fn judge(&mut self, (least, most): (i128, i128), is_copy: bool) {
        if self.verdict != Verdict::Undecided || least > most {
            return;
        }
        let (least, most) = (least - self.tolerance, most + self.tolerance);
        let (from, to) = (self.offset.0.max(least), self.offset.1.min(most));
        if from <= to {
            self.agreements += 1;
            if !self.is_offset_fixed {
                self.offset = (from, to);
            }
        } else if is_copy {
            self.agreements += 1;
        } else {
            self.disagreements += 1;
        }
        if from - to > self.far_apart
            || (self.disagreements >= DISAGREEMENTS_NEEDED && self.disagreements * 4 > self.agreements)
        {
            self.verdict = Verdict::Different;
        } else if self.moves >= MOVES_NEEDED
            && self.travelled >= TOLERANCES_TRAVELLED * self.tolerance
            && self.disagreements * AGREEMENTS_PER_SLIP <= self.agreements
        {
            self.verdict = Verdict::Same;
        }
    }
}

/// The comparisons between all counters of one source.
#[derive(Debug, Default)]
pub struct SameRegister {
    pairs: Vec<Pair>,
}

impl SameRegister {
    /// Plans the comparison of `registers`, each with its number in the source.
    pub fn new(registers: &[(usize, Register)]) -> Self {
        let mut ordered: Vec<&(usize, Register)> = registers.iter().collect();
        ordered.sort_by_key(|(_, register)| register.is_second_choice);
        let mut pairs = Vec::new();
        for (place, (kept, one)) in ordered.iter().enumerate() {
            let later = ordered[place + 1..].iter().filter(|(_, two)| two.group == one.group);
            pairs.extend(later.map(|(other, two)| Pair::new((*kept, one), (*other, two))));
        }
        Self { pairs }
    }

    /// Compares at start-up, for less than a tenth of a second.
    pub fn look(&mut self, read: &mut dyn FnMut(usize) -> Option<u64>) {
        let began = Monotonic::now();
        let (mut moved_at, mut now) = (began, began);
        while self.is_undecided()
            && now.sec_since(began) < LONGEST_LOOK_SEC
            && now.sec_since(moved_at) < LONGEST_STANDSTILL_SEC
        {
            let moved = self.look_once(read);
            now = Monotonic::now();
            if moved {
                moved_at = now;
            }
            thread::sleep(BETWEEN_ROUNDS);
        }
    }

    /// Compares once more what is still undecided. Returns whether anything moved.
    pub fn look_once(&mut self, read: &mut dyn FnMut(usize) -> Option<u64>) -> bool {
        let mut moved = false;
        for place in 0..self.pairs.len() {
            let pair = &self.pairs[place];
            let is_settled = pair.verdict != Verdict::Undecided;
            if !is_settled && self.original_of(pair.other).is_none() && self.original_of(pair.kept).is_none() {
                moved |= self.pairs[place].observe(read);
            }
        }
        moved
    }

    /// Returns whether a pair is left that readings have not decided yet.
    pub fn is_undecided(&self) -> bool {
        self.pairs.iter().any(|pair| self.is_open(pair))
    }

    /// Returns the counter whose register number `index` shows once more, with the moves in which that was seen.
    pub fn original_of(&self, index: usize) -> Option<(usize, u32)> {
        let same = |pair: &&Pair| pair.other == index && pair.verdict == Verdict::Same;
        self.pairs.iter().find(same).map(|pair| (pair.kept, pair.moves))
    }

    /// Returns a counter that number `index` may show once more, which nothing has decided yet.
    pub fn maybe_same_as(&self, index: usize) -> Option<usize> {
        let open = |pair: &&Pair| pair.other == index && self.is_open(pair);
        self.pairs.iter().find(open).map(|pair| pair.kept)
    }

    fn is_open(&self, pair: &Pair) -> bool {
        pair.verdict == Verdict::Undecided
            && self.original_of(pair.other).is_none()
            && self.original_of(pair.kept).is_none()
    }
}

#[cfg(test)]
mod tests;
