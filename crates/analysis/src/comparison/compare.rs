use super::comparability::{differences, differences_in, other_concurrency, other_power_limit};
use super::cpu_settings::other_cpu_settings;
use super::holm::holm;
use super::instrument::Instrument;
use super::log_ratio::{LogRatio, paired_t, welch};
use super::subject::{Series, Subject, geometric_mean};
use crate::metrics::Better;
use joulemark_experiment::comparison::{Comparison, ComparisonAnswer, ComparisonTest, NotCompared, Verdict};

/// Metrics that are compared by default.
pub const DEFAULT_METRICS: [&str; 5] = [
    "output_throughput",
    "mean_ttft_ms",
    "mean_tpot_ms",
    "joules_per_output_token",
    "tokens_per_joule",
];

/// Default margin: figures that differ by less are equivalent.
pub const DEFAULT_MARGIN: f64 = 0.02;

/// Significance level of the tests: the probability of finding a difference, or an equivalence, that does not exist.
const SIGNIFICANCE: f64 = 0.05;

/// Options of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct ComparisonOptions {
    /// Margin above 0: figures that differ by less are equivalent.
    pub margin: f64,
    /// Whether to compare results even if their work or the metering of their energy differed.
    pub force: bool,
}

/// Compares each candidate with the baseline in all given metrics. The p-values of a candidate are adjusted for the
/// number of metrics.
pub fn compare(baseline: &Subject, candidates: &[Subject], options: &ComparisonOptions) -> ComparisonAnswer {
    let mut answer = ComparisonAnswer {
        comparisons: Vec::new(),
        not_compared: Vec::new(),
    };
    for candidate in candidates {
        let pair = Pair {
            baseline,
            candidate,
            differences: differences(baseline, candidate),
            options,
        };
        let mut tested = Vec::new();
        for (one, other) in baseline.series.iter().zip(&candidate.series) {
            match pair.test(one, other) {
                Ok(found) => tested.push(found),
                Err(reason) => answer.not_compared.push(NotCompared {
                    metric: one.metric.name.to_owned(),
                    candidate: candidate.name.clone(),
                    reason,
                }),
            }
        }
        let p_values: Vec<_> = tested.iter().map(|found| found.comparison.p_value).collect();
        let judged = tested.into_iter().zip(holm(&p_values));
        answer
            .comparisons
            .extend(judged.map(|(found, p_adjusted)| found.judged(p_adjusted, options.margin)));
    }
    answer
}

/// A baseline and a candidate.
struct Pair<'a> {
    baseline: &'a Subject,
    candidate: &'a Subject,
    /// Reasons why none of their figures can be compared.
    differences: Vec<String>,
    options: &'a ComparisonOptions,
}

/// Test of a metric of two results, without a verdict.
struct Tested {
    comparison: Comparison,
    better: Better,
    ratio: Option<LogRatio>,
}

impl Pair<'_> {
    /// Tests one metric.
    ///
    /// # Errors
    /// Returns the reason why it cannot be compared.
    fn test(&self, one: &Series, other: &Series) -> Result<Tested, String> {
        let mut reasons = self.differences.clone();
        reasons.extend(differences_in(one.metric, self.baseline, self.candidate));
        if let (Some(one), Some(other)) = (&one.instrument, &other.instrument) {
            reasons.extend(one.differences(other));
        }
        if !reasons.is_empty() && !self.options.force {
            return Err(reasons.join("; "));
        }
        let values = |series: &Series, whose: &str| series.values.clone().map_err(|why| format!("{whose}: {why}"));
        let baseline = values(one, "the baseline's figure cannot be used")?;
        let candidate = values(other, "the candidate's figure cannot be used")?;
        let mut notes: Vec<String> = reasons.iter().map(|why| format!("compared by force: {why}")).collect();
        let (test, baseline, candidate) = match self.pairs(&baseline, &candidate) {
            Some((baseline, candidate)) => (ComparisonTest::PairedT, baseline, candidate),
            None => (ComparisonTest::Welch, baseline, candidate),
        };
        let by_chance = match test {
            ComparisonTest::Welch => welch(&baseline, &candidate),
            ComparisonTest::PairedT => paired_t(&baseline, &candidate),
        };
        if by_chance.is_none() {
            notes.push(no_interval(&baseline, &candidate, self.candidate.unit));
        }
        let ratio = by_chance.and_then(|ratio| self.with_instruments(ratio, (one, other), &mut notes));
        notes.extend(self.remarks(one, other));
        let interval = ratio.and_then(|ratio| ratio.interval());
        let known = |values: &[f64]| geometric_mean(values).unwrap_or(f64::NAN);
        let (baseline_mean, candidate_mean) = (known(&baseline), known(&candidate));
        Ok(Tested {
            better: one.metric.better,
            ratio,
            comparison: Comparison {
                metric: one.metric.name.to_owned(),
                unit: one.metric.unit.to_owned(),
                baseline: self.baseline.name.clone(),
                candidate: self.candidate.name.clone(),
                baseline_mean,
                candidate_mean,
                ratio: candidate_mean / baseline_mean,
                ci_low: interval.map(|(low, _)| low),
                ci_high: interval.map(|(_, high)| high),
                test: ratio.map(|_| test),
                n_baseline: baseline.len() as u32,
                n_candidate: candidate.len() as u32,
                p_value: ratio.and_then(|ratio| ratio.p_value()),
                p_adjusted: None,
                verdict: None,
                notes,
            },
        })
    }

    /// Returns the figures of the turns that both have; `None` where they did not take turns.
    fn pairs(&self, baseline: &[f64], candidate: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
        let (one, other) = (self.baseline.turns.as_ref()?, self.candidate.turns.as_ref()?);
        if one.among != other.among || one.turn.len() != baseline.len() || other.turn.len() != candidate.len() {
            return None;
        }
        let pairs = one.turn.iter().zip(baseline).filter_map(|(turn, figure)| {
            let place = other.turn.iter().position(|of| of == turn)?;
            Some((*figure, candidate[place]))
        });
        Some(pairs.unzip())
    }

    /// Adds the part of the instruments' uncertainty that does not cancel in the ratio; all of it cancels where host
    /// and sources are the same. `None` where it does not cancel and is unknown.
    fn with_instruments(
        &self,
        ratio: LogRatio,
        (one, other): (&Series, &Series),
        notes: &mut Vec<String>,
    ) -> Option<LogRatio> {
        let (Some(one), Some(other)) = (&one.instrument, &other.instrument) else {
            return Some(ratio);
        };
        if one.is_estimate() && other.is_estimate() {
            notes.push("two estimates are compared: no energy was measured in either".to_owned());
        }
        let has_same_host = self.baseline.host == self.candidate.host;
        if has_same_host && one.has_sources_of(other) {
            return Some(ratio);
        }
        let what = if has_same_host {
            "the sources of energy"
        } else {
            "the hosts"
        };
        let Some((one_off, other_off)) = one.deviation.zip(other.deviation) else {
            notes.push(format!(
                "{what} differ, so the instruments' errors do not cancel, and their size is unknown"
            ));
            return None;
        };
        notes.push(widening(what, (one, other)));
        Some(ratio.widened(one_off.hypot(other_off)))
    }

    /// Returns remarks on conditions in which both results differ or which weaken the comparison.
    fn remarks(&self, one: &Series, other: &Series) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.baseline.host != self.candidate.host && one.instrument.is_none() {
            remarks.push(format!(
                "the hosts differ: {} and {}",
                self.baseline.host, self.candidate.host
            ));
        }
        remarks.extend(other_concurrency(self.baseline, self.candidate));
        remarks.extend(other_power_limit(self.baseline, self.candidate));
        let (one_cpu, other_cpu) = (&self.baseline.conditions.cpu, &self.candidate.conditions.cpu);
        remarks.extend(other_cpu_settings(one_cpu, other_cpu));
        remarks.extend(self.other_tokens());
        for (whose, subject, series) in [("baseline", self.baseline, one), ("candidate", self.candidate, other)] {
            if subject.is_partial {
                remarks.push(format!(
                    "the {whose} was cancelled: its figures cover only the finished cycles"
                ));
            }
            if subject.is_stopped_by_rule {
                remarks.push(format!(
                    "a stop rule ended the {whose}, which makes intervals a little too narrow"
                ));
            }
            if let Some(correlation) = series.drift() {
                remarks.push(format!(
                    "the {whose}'s {} depend on each other (lag-1 autocorrelation {correlation:.2}): the interval is too narrow",
                    subject.unit
                ));
            }
        }
        remarks
    }

    /// Returns a remark where the numbers of tokens of a cycle differ.
    fn other_tokens(&self) -> Option<String> {
        let (one, other) = self.baseline.tokens.zip(self.candidate.tokens)?;
        let why = match (one.0 == other.0, one.1 == other.1) {
            (true, true) => return None,
            (true, false) => "its answers had different lengths",
            (false, _) => "a token may stand for more text in one than in the other",
        };
        Some(format!(
            "a cycle had {:.0} input and {:.0} output tokens in the baseline, {:.0} and {:.0} in the candidate: {why}",
            one.0, one.1, other.0, other.1
        ))
    }
}

/// Returns the note on an interval that includes the instruments' errors.
fn widening(what: &str, (one, other): (&Instrument, &Instrument)) -> String {
    let lacking = if one.lacks_accuracy || other.lacks_accuracy {
        ", except for the accuracy of sources whose makers state none"
    } else {
        ""
    };
    format!("{what} differ, so the instruments' errors do not cancel: the interval includes them{lacking}")
}

/// Returns the note on a missing interval.
fn no_interval(baseline: &[f64], candidate: &[f64], unit: &str) -> String {
    match baseline.len().min(candidate.len()) {
        0 | 1 => format!("no interval: at least two {unit} on each side are needed to estimate the scatter"),
        _ => format!("no interval: the {unit} do not differ at all, so their scatter is unknown"),
    }
}

impl Tested {
    /// Adds the adjusted p-value and the verdict.
    fn judged(self, p_adjusted: Option<f64>, margin: f64) -> Comparison {
        let is_equivalent = self
            .ratio
            .and_then(|ratio| ratio.equivalence_p_value(margin))
            .is_some_and(|p| p < SIGNIFICANCE);
        let is_significant = p_adjusted.is_some_and(|p| p < SIGNIFICANCE);
        let is_less = self.comparison.ratio < 1.0;
        let verdict = match self.better {
            Better::Neither => None,
            _ if is_equivalent => Some(Verdict::Equivalent),
            _ if !is_significant => Some(Verdict::Inconclusive),
            Better::Lower if is_less => Some(Verdict::Better),
            Better::Higher if !is_less => Some(Verdict::Better),
            _ => Some(Verdict::Worse),
        };
        Comparison {
            p_adjusted,
            verdict,
            ..self.comparison
        }
    }
}

#[cfg(test)]
mod tests;
