use std::collections::{BTreeMap, BTreeSet};

use super::warning::warning;
use joulemark_experiment::{Spec, Warning, WarningCode};
use joulemark_measurement::RankCycle;

/// Checks that greedy output of each prompt is the same in every cycle. A difference means that cycles did not do the
/// same work. Sampled output is not compared.
pub fn check(spec: &Spec, cycles: &[RankCycle]) -> Option<Warning> {
    if spec.decoder.do_sample {
        return None;
    }
    let mut outputs: BTreeMap<(u32, u32), (u32, &[u32])> = BTreeMap::new();
    let mut differing = BTreeSet::new();
    let mut example = None;
    for cycle in cycles {
        for request in &cycle.requests {
            let prompt = (cycle.rank, request.prompt_index);
            let (first_cycle, first) = *outputs
                .entry(prompt)
                .or_insert((cycle.cycle, &request.output_token_ids));
            if first != request.output_token_ids {
                differing.insert(prompt);
                example.get_or_insert((prompt, first_cycle, cycle.cycle));
            }
        }
    }
    let ((rank, prompt), a, b) = example?;
    let message = format!(
        "greedy output of {} of {} prompts differed between cycles, e.g. prompt {prompt} of rank {rank} in cycles {a} \
         and {b}",
        differing.len(),
        outputs.len(),
    );
    Some(warning(WarningCode::OutputDiffers, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{rank_cycle, spec};

    fn three_cycles() -> Vec<RankCycle> {
        (0..3).map(|cycle| rank_cycle(0, cycle, 0.0, 1.0)).collect()
    }

    #[test]
    fn the_same_output_in_every_cycle_is_fine() {
        assert_eq!(check(&spec(1, 3), &three_cycles()), None);
    }

    #[test]
    fn one_other_token_is_noticed_and_named() {
        let mut cycles = three_cycles();
        cycles[2].requests[0].output_token_ids[3] += 1;
        let warning = check(&spec(1, 3), &cycles).unwrap();
        assert_eq!(warning.code, WarningCode::OutputDiffers);
        assert!(warning.message.contains("1 of 1 prompts"), "{}", warning.message);
        assert!(warning.message.contains("cycles 0 and 2"), "{}", warning.message);
    }

    #[test]
    fn a_shorter_output_is_another_output() {
        let mut cycles = three_cycles();
        cycles[1].requests[0].output_token_ids.pop();
        assert!(check(&spec(1, 3), &cycles).is_some());
    }

    #[test]
    fn sampled_output_may_differ() {
        let mut cycles = three_cycles();
        cycles[2].requests[0].output_token_ids[3] += 1;
        let mut sampling = spec(1, 3);
        sampling.decoder.do_sample = true;
        assert_eq!(check(&sampling, &cycles), None);
    }
}
