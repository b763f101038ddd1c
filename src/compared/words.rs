//! Words comparisons as sentences, the same in tables and on pages. Does no I/O.

/// Words for a metric: the verb after the candidate's name, the word for less, and what follows it.
struct Words {
    metric: &'static str,
    verb: &'static str,
    less: &'static str,
    of: &'static str,
}

const WORDS: [Words; 5] = [
    Words {
        metric: "output_throughput",
        verb: "generates",
        less: "fewer",
        of: "tokens per second",
    },
    Words {
        metric: "mean_ttft_ms",
        verb: "needs",
        less: "less",
        of: "time to the first token",
    },
    Words {
        metric: "mean_tpot_ms",
        verb: "needs",
        less: "less",
        of: "time per output token",
    },
    Words {
        metric: "joules_per_output_token",
        verb: "needs",
        less: "fewer",
        of: "joules per token",
    },
    Words {
        metric: "tokens_per_joule",
        verb: "generates",
        less: "fewer",
        of: "tokens per joule",
    },
];

/// Metrics of one candidate that share a sentence: their names, the candidate, and the sentence.
pub type Grouped<'a> = (Vec<&'a str>, &'a str, &'a str);

/// Returns the letter for a result by its index: A is the baseline. After Z follows `#27`.
pub fn letter(place: usize) -> String {
    match u8::try_from(place).ok().filter(|place| *place < 26) {
        Some(place) => char::from(b'A' + place).to_string(),
        None => format!("#{}", place + 1),
    }
}

/// Returns a candidate's ratio as a sentence: "B needs 34 % fewer joules per token: between 31 and 37 %".
pub fn in_words(metric: &str, candidate: &str, ratio: Option<f64>, interval: Option<(f64, f64)>) -> String {
    let found = WORDS.iter().find(|words| words.metric == metric);
    let (less, more) = found.map_or(("lower", "higher"), |words| (words.less, "more"));
    let change = |ratio: f64| Change { ratio, less, more };
    let Some(ratio) = ratio else {
        return format!("{candidate}: {metric} is unknown");
    };
    let change_of = change(ratio).in_words();
    let said = match found {
        Some(words) => format!("{candidate} {} {change_of} {}", words.verb, words.of),
        None => format!("{metric} of {candidate} is {change_of}"),
    };
    match interval {
        Some((low, high)) => format!("{said}: {}", between(change(low), change(high))),
        None => format!("{said}; the uncertainty is unknown"),
    }
}

/// A ratio, worded as a percentage more or less.
#[derive(Clone, Copy)]
struct Change<'a> {
    ratio: f64,
    less: &'a str,
    more: &'a str,
}

impl Change<'_> {
    fn direction(&self) -> &str {
        if self.ratio < 1.0 { self.less } else { self.more }
    }

    fn percent(&self) -> String {
        let percent = (self.ratio - 1.0).abs() * 100.0;
        match percent {
            small if small < 9.95 => format!("{small:.1}"),
            large => format!("{large:.0}"),
        }
    }

    fn in_words(self) -> String {
        format!("{} % {}", self.percent(), self.direction())
    }
}

fn between(low: Change<'_>, high: Change<'_>) -> String {
    match (low.ratio < 1.0, high.ratio < 1.0) {
        (true, true) => format!("between {} and {} %", high.percent(), low.percent()),
        (false, false) => format!("between {} and {} %", low.percent(), high.percent()),
        _ => format!("between {} and {}", low.in_words(), high.in_words()),
    }
}

/// Groups metrics by candidate and sentence. Each item is a metric, a candidate and a sentence.
pub fn grouped<'a>(said: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Vec<Grouped<'a>> {
    let mut groups: Vec<Grouped<'a>> = Vec::new();
    for (metric, candidate, what) in said {
        match groups
            .iter_mut()
            .find(|(_, of, known)| (*of, *known) == (candidate, what))
        {
            Some((metrics, ..)) => metrics.push(metric),
            None => groups.push((vec![metric], candidate, what)),
        }
    }
    groups
}
