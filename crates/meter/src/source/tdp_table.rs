//! Holds nameplate facts of CPUs from the makers' product pages. The data are in `tdp_table.csv`, whose head names
//! their source.

use std::sync::OnceLock;

/// The table: model, watts, threads.
const CSV: &str = include_str!("tdp_table.csv");

/// The nameplate of one CPU model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nameplate {
    /// Model as in the kernel's `model name`, up to the end of a word, without (R), (TM) and `CPU`.
    pub model: &'static str,
    /// Thermal design power of one socket in W: AMD's default TDP, Intel's processor base power.
    pub watts: f64,
    /// Number of logical CPUs of one socket; `None` when the source does not state it.
    pub threads: Option<u32>,
}

/// Returns the table, which is parsed once.
fn nameplates() -> &'static [Nameplate] {
    static TABLE: OnceLock<Vec<Nameplate>> = OnceLock::new();
    TABLE.get_or_init(|| {
        CSV.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(read)
            .collect()
    })
}

/// Parses a line of the table.
fn read(line: &'static str) -> Option<Nameplate> {
    let (rest, threads) = line.rsplit_once(',')?;
    let (model, watts) = rest.rsplit_once(',')?;
    Some(Nameplate {
        model,
        watts: watts.parse().ok()?,
        threads: threads.parse().ok(),
    })
}

/// Returns the nameplate of `model`, as the kernel names it; `None` when it is not in the table. Whole words must
/// match: a 6248 is not a 6248R, nor a 13900K a 13900KS.
pub fn find(model: &str) -> Option<&'static Nameplate> {
    let plain = model.replace("(R)", "").replace("(TM)", "").replace("CPU ", "");
    // The kernel has some names in upper case: `AMD RYZEN AI MAX+ 395`.
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let stands_in = |plate: &&Nameplate| {
        words.match_indices(&plate.model.to_lowercase()).any(|(start, found)| {
            let (before, after) = (&words[..start], &words[start + found.len()..]);
            !before.ends_with(|last: char| last.is_alphanumeric() || last == '-')
                && !after.starts_with(|next: char| next.is_alphanumeric() || next == '+')
                && !is_another_version(after)
        })
    };
    // The longest match counts: `Threadripper PRO 3995WX` before a part of it.
    nameplates()
        .iter()
        .filter(stands_in)
        .max_by_key(|plate| plate.model.len())
}

/// Returns whether a version follows the match: an `E5-2680 v4` is not an `E5-2680`.
fn is_another_version(after: &str) -> bool {
    let version = after.strip_prefix(" v");
    version.is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watts(model: &str) -> Option<f64> {
        find(model).map(|plate| plate.watts)
    }

    #[test]
    fn a_model_is_found_inside_the_kernel_s_name_for_it() {
        for (model, tdp_w) in [
            ("AMD EPYC 7763 64-Core Processor", 280.0),
            ("AMD EPYC 9965 192-Core Processor", 500.0),
            ("Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz", 150.0),
            ("Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz", 205.0),
            ("Intel(R) Xeon(R) Platinum 8480+", 350.0),
            ("Intel(R) Xeon(R) CPU Max 9480", 350.0),
            ("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", 120.0),
            ("Intel(R) Xeon(R) CPU E5-2680 0 @ 2.70GHz", 130.0),
            ("Intel(R) Xeon(R) W-2295 CPU @ 3.00GHz", 165.0),
            ("AMD Ryzen Threadripper PRO 3995WX 64-Cores", 280.0),
            ("AMD Ryzen 7 5800X3D 8-Core Processor", 105.0),
            ("12th Gen Intel(R) Core(TM) i9-12900K", 125.0),
            ("13th Gen Intel(R) Core(TM) i9-13900KS", 150.0),
            ("Intel(R) Core(TM) Ultra 9 285K", 125.0),
            ("AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", 55.0),
        ] {
            assert_eq!(watts(model), Some(tdp_w), "{model}");
        }
    }

    #[test]
    fn a_name_that_is_only_like_one_is_not_taken_for_it() {
        for model in [
            "AMD EPYC",
            "AMD EPYC 7763B",
            "Intel(R) Xeon(R) Processor @ 2.80GHz",
            "Platinum 8480C",
        ] {
            assert_eq!(watts(model), None, "{model}");
        }
    }

    #[test]
    fn every_line_is_read_once_and_is_plausible() {
        let lines = CSV.lines().filter(|line| !line.starts_with('#')).count();
        let mut models = nameplates().iter().map(|plate| plate.model).collect::<Vec<_>>();
        assert_eq!(models.len(), lines);
        models.sort_unstable();
        assert!(models.windows(2).all(|pair| pair[0] != pair[1]));
        for plate in nameplates() {
            assert!((6.0..=500.0).contains(&plate.watts), "{plate:?}");
            assert!(
                plate.threads.is_none_or(|threads| (1..=384).contains(&threads)),
                "{plate:?}"
            );
        }
    }
}
