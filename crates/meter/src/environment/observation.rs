//! Combines the observations of single windows into one warning. Pure.

use joulemark_measurement::{Warning, WarningCode};

/// An observation in one window that is worth a warning.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Number of the window, which the text calls a cycle.
    pub cycle: u32,
    /// Severity in the check's unit. The warning shows the text of the window with the highest severity.
    pub weight: f64,
    /// Text of the observation, without the window's number.
    pub words: String,
}

/// Returns one warning with the worst observation and the numbers of the other windows; `None` when there is no
/// observation. The message begins with `subject`, unless that is empty.
pub fn worst(code: WarningCode, subject: &str, observations: &[Observation]) -> Option<Warning> {
    let worst = observations
        .iter()
        .max_by(|a, b| a.weight.total_cmp(&b.weight).then(b.cycle.cmp(&a.cycle)))?;
    let others: Vec<u32> = observations
        .iter()
        .map(|seen| seen.cycle)
        .filter(|cycle| *cycle != worst.cycle)
        .collect();
    let also = match others.as_slice() {
        [] => String::new(),
        [one] => format!("; less so in cycle {one}"),
        many => format!("; less so in cycles {}", listed(many)),
    };
    let subject = match subject {
        "" => String::new(),
        named => format!("{named}: "),
    };
    Some(Warning {
        code,
        message: format!("{subject}{} in cycle {}{also}", worst.words, worst.cycle),
    })
}

/// Returns numbers of windows as text in which runs are joined: `0 to 3, 5`.
fn listed(cycles: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &cycle in cycles {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == cycle => *last = cycle,
            _ => runs.push((cycle, cycle)),
        }
    }
    let shown = runs.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first} to {last}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_listed_in_runs() {
        assert_eq!(listed(&[0, 1, 2, 5, 7, 8]), "0 to 2, 5, 7, 8");
    }
}
