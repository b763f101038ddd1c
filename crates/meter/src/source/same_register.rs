//! Finds counters that show one register under several names, by readings alone.
//!
//! Owns the comparison: each counter is read between two readings of the other, repeatedly. When its value lies between
//! theirs every time while both move, they show one register. Names do not decide. Does not know files or events.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;

/// Number of moves after which two counters can be found equal. Registers tick about every millisecond, so these take
/// ten.
const MOVES_NEEDED: u32 = 8;

/// Number of agreements for each disagreement that is tolerated: a reading between the two writes of a copied value may
/// disagree.
const AGREEMENTS_PER_SLIP: u32 = 10;

/// Minimum number of disagreements for different registers. They must also be more than one in five.
const DISAGREEMENTS_NEEDED: u32 = 5;

/// Difference in J beyond which two counters are different, however late one of them shows the register.
const FAR_APART_J: f64 = 20.0;

/// Maximum difference in J of two copies of one register, which dies of one package may have with a small delay.
const COPY_TOLERANCE_J: f64 = 0.02;
/// Distance, in tolerances, over which the difference must stay within the tolerance. Different registers, which began
/// to count at different moments, do not stay this close while they move this far.
const TOLERANCES_TRAVELLED: i128 = 20;

/// Maximum duration in seconds of the comparison at the start.
const LONGEST_LOOK_SEC: f64 = 0.08;
/// Maximum duration in seconds without any move, after which the comparison at the start ends.
const LONGEST_STANDSTILL_SEC: f64 = 0.02;
/// Pause between two rounds of readings.
const BETWEEN_ROUNDS: Duration = Duration::from_micros(200);

/// Number of recent values that are stored of each counter. A copy that is written after its original shows a recent
/// value.
const REMEMBERED: usize = 32;

/// The properties of a counter that the comparison needs.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    /// Energy of one count in J.
    pub joules_per_count: f64,
    /// Number of counts after which the counter restarts from 0; `None` when it is unknown.
    pub range: Option<u64>,
    /// Whether it counts from its opening, so that two counters of one register differ by a constant.
    pub counts_from_opening: bool,
    /// Group of the counter. Counters of different groups are not compared.
    pub group: u32,
    /// Number of its package, where it has one. Counters of one package may be copies of one register.
    pub package: Option<u32>,
    /// Whether it is the one to leave out when it shows the same register as another.
    pub is_second_choice: bool,
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Undecided,
    Same,
    Different,
}

/// Two counters and what their readings have shown.
#[derive(Debug)]
struct Pair {
    kept: usize,
    other: usize,
    range: Option<i128>,
    far_apart: i128,
    /// Range of the constant difference between the two.
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
    /// Creates the comparison of two counters, of which `kept` stays when they show one register.
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

    /// Reads the kept counter around the other one, then the other around the kept one. Returns whether the kept one
    /// moved.
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

    /// Stores recent values.
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

    /// Returns by how much the first is ahead of the second, across a wrap of either.
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

    /// Updates the verdict with the range of the difference that the last readings allow.
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
    /// Creates the comparisons of `registers`, each given with its number in the source.
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

    /// Compares the counters at start-up, for less than a tenth of a second.
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

    /// Compares once more the pairs that are undecided. Returns whether a counter moved.
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

    /// Returns whether a pair is undecided.
    pub fn is_undecided(&self) -> bool {
        self.pairs.iter().any(|pair| self.is_open(pair))
    }

    /// Returns the counter whose register number `index` shows too, and the number of moves in which that was seen;
    /// `None` when it repeats no other.
    pub fn original_of(&self, index: usize) -> Option<(usize, u32)> {
        let same = |pair: &&Pair| pair.other == index && pair.verdict == Verdict::Same;
        self.pairs.iter().find(same).map(|pair| (pair.kept, pair.moves))
    }

    /// Returns a counter whose register number `index` may show too, which is undecided; `None` when there is none.
    pub fn maybe_same_as(&self, index: usize) -> Option<usize> {
        let open = |pair: &&Pair| pair.other == index && self.is_open(pair);
        self.pairs.iter().find(open).map(|pair| pair.kept)
    }

    /// Returns whether a pair is undecided, and neither of its counters repeats another.
    fn is_open(&self, pair: &Pair) -> bool {
        pair.verdict == Verdict::Undecided
            && self.original_of(pair.other).is_none()
            && self.original_of(pair.kept).is_none()
    }
}

#[cfg(test)]
mod tests;
