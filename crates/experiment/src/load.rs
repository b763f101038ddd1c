//! The load that is offered to the engine, and the service level objectives. Defines what may be asked of both;
//! arrivals are drawn by workers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::field::Fields;
use super::prompts::MAX_PROMPTS;
use super::table::{Bounds, Choice, FieldType, Kind, fields, nested};

/// Maximum number of requests of one cycle: the maximum number of prompts of an experiment.
pub(super) const MAX_REQUESTS: u32 = MAX_PROMPTS;
const MAX_CONCURRENCY: u32 = 100_000;
const MAX_RATE: f64 = 10_000.0;
const MAX_DURATION_SEC: f64 = 86_400.0;
/// Natural logarithm of 10^12: an estimated maximum is exceeded in fewer than one of 10^12 cycles.
const CERTAINTY: f64 = 27.631_021_115_928_547;
const BURSTINESS: (f64, f64) = (0.01, 100.0);
const ACCEPTED: &str = "{\"closed\": {\"concurrency\": N}}, {\"open\": {\"rate_per_sec\": R, \"requests\": N}} or \
     {\"replay\": {\"file\": NAME}}";

/// The load that is offered to the engine in each cycle, over all ranks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(example = json!({"open": {"rate_per_sec": 2.0, "arrivals": "poisson", "requests": 100}}))]
pub enum Load {
    Closed {
        /// A fixed number of requests in flight: each answer is followed by the next request.
        closed: ClosedLoad,
    },
    Open {
        /// Requests that arrive at a rate, however many are in flight.
        open: OpenLoad,
    },
    Replay {
        /// Requests that arrive at the times of a recorded file.
        replay: ReplayLoad,
    },
}

/// A closed load: a fixed number of requests in flight, where each answer is followed by the next request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosedLoad {
    /// Requests in flight, including waiting ones; at least `batch_size` for each rank.
    #[schema(minimum = 1, maximum = 100_000)]
    pub concurrency: u32,
}

/// An open load: requests arrive at a rate, whether or not earlier ones have been answered. Give either `duration_sec`
/// or `requests`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenLoad {
    /// Mean requests per second, over all ranks.
    #[schema(exclusive_minimum = 0, maximum = 10_000)]
    pub rate_per_sec: f64,
    /// Distribution of the times between requests. Default `poisson`.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// Shape of the gamma distribution of the times between requests, for `gamma` arrivals: 1 is Poisson, less arrives
    /// in bursts, more arrives more evenly (as in vLLM's benchmark). The coefficient of variation is 1 /
    /// sqrt(burstiness). Default 1.
    #[serde(default)]
    #[schema(minimum = 0.01, maximum = 100)]
    pub burstiness: Option<f64>,
    /// Seed of the arrivals and of their assignment to ranks, 0 to 2^64 - 1; each cycle has its own draw. Default 0.
    #[serde(default)]
    #[schema(minimum = 0)]
    pub seed: u64,
    /// Seconds for which requests arrive in each cycle.
    #[serde(default)]
    #[schema(exclusive_minimum = 0, maximum = 86_400)]
    pub duration_sec: Option<f64>,
    /// Number of requests of each cycle.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000)]
    pub requests: Option<u32>,
}

/// Distribution of the times between the requests of an open load.
///
/// - `poisson`: exponential, as for many independent users
/// - `constant`: all equal
/// - `gamma`: a gamma distribution, in bursts or more evenly than `poisson`, by `burstiness`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    #[default]
    Poisson,
    Constant,
    Gamma,
}

impl Choice for Arrivals {}

/// A load whose requests arrive at the times of a recorded file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayLoad {
    /// Name of a JSONL file in the server's prompts folder. Each line has `timestamp`, in milliseconds, and may have
    /// its own prompt: `prompt`, `messages`, or `input_length`, a number of random tokens. A line with a prompt may
    /// also have `output_length`, the maximum number of output tokens. A file without prompts takes the experiment's
    /// prompts in order.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$",
        example = "trace.jsonl"
    )]
    pub file: String,
    /// Expected SHA-256 of the file: the submission is rejected if the file has another one. Default: the file as it is
    /// now.
    #[serde(default)]
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    pub sha256: Option<String>,
    /// Number of lines to take from the beginning of the file. Default: all.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000)]
    pub requests: Option<u32>,
    /// Whether the lines have prompts. The server finds out when it reads the file and ignores what is submitted.
    #[serde(default)]
    pub has_prompts: bool,
    /// Time of each request in seconds after the first; only in the spec that workers get.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(ignore)]
    pub due_sec: Vec<f64>,
}

impl FieldType for Load {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        let object = fields.read(name, ACCEPTED, Value::as_object)?;
        let kinds: Vec<&str> = object.keys().map(String::as_str).collect();
        let (kind, read): (_, fn(&mut Fields<'_>) -> Option<Self>) = match kinds[..] {
            ["closed"] => ("closed", closed),
            ["open"] => ("open", open),
            ["replay"] => ("replay", replay),
            _ => {
                fields.problem(
                    name,
                    format!("is not one of closed, open and replay; accepted is {ACCEPTED}"),
                );
                return None;
            }
        };
        let base = fields.pointer(name);
        let mut outer = Fields::new(object, base, &["closed", "open", "replay"], fields.problems());
        read(&mut outer).or_else(|| {
            if outer.value(kind).is_none() {
                outer.problem(kind, format!("is null; accepted is {ACCEPTED}"));
            }
            None
        })
    }
}

/// Returns a reader of the object `kind`; `None` where it is bad. Notes a problem where `required` is missing.
fn inner<'a>(fields: &'a mut Fields<'_>, kind: &str, known: &[&str], required: &str) -> Option<Fields<'a>> {
    let object: &'a Map<String, Value> = fields.object(kind, &format!("an object with {}", known.join(", ")))?;
    let base = fields.pointer(kind);
    let mut inner = Fields::new(object, base, known, fields.problems());
    if inner.value(required).is_none() {
        inner.problem(required, "is required");
    }
    Some(inner)
}

fn closed(fields: &mut Fields<'_>) -> Option<Load> {
    let mut fields = inner(fields, "closed", &["concurrency"], "concurrency")?;
    let concurrency = fields.count("concurrency", 1, MAX_CONCURRENCY)?;
    Some(Load::Closed {
        closed: ClosedLoad { concurrency },
    })
}

fn open(fields: &mut Fields<'_>) -> Option<Load> {
    let known = [
        "rate_per_sec",
        "arrivals",
        "burstiness",
        "seed",
        "duration_sec",
        "requests",
    ];
    let mut fields = inner(fields, "open", &known, "rate_per_sec")?;
    let above_zero = |fields: &mut Fields<'_>, name: &str, most: f64| {
        let accepted = format!("a number above 0 and at most {most}");
        fields.number(name, &accepted, |number| number > 0.0 && number <= most)
    };
    let rate_per_sec = above_zero(&mut fields, "rate_per_sec", MAX_RATE);
    let duration_sec = above_zero(&mut fields, "duration_sec", MAX_DURATION_SEC);
    let requests = fields.count("requests", 1, MAX_REQUESTS);
    let arrivals = fields.choice("arrivals").unwrap_or_default();
    let (least, most) = BURSTINESS;
    let accepted = format!("a number from {least} to {most}");
    let burstiness = fields.number("burstiness", &accepted, |number| (least..=most).contains(&number));
    let seed = fields.integer("seed", 0, u64::MAX).unwrap_or(0);
    if arrivals != Arrivals::Gamma && burstiness.is_some_and(|shape| shape != 1.0) {
        fields.problem(
            "burstiness",
            "has an effect only with gamma arrivals; leave it out or set arrivals to gamma",
        );
        return None;
    }
    match (fields.value("duration_sec"), fields.value("requests")) {
        (Some(_), Some(_)) => fields.problem(
            "requests",
            "is given together with duration_sec; accepted is one of the two",
        ),
        (None, None) => fields.problem(
            "requests",
            "is absent, and so is duration_sec; accepted is one of the two",
        ),
        _ => {}
    }
    let open = OpenLoad {
        rate_per_sec: rate_per_sec?,
        arrivals,
        burstiness: (arrivals == Arrivals::Gamma).then(|| burstiness.unwrap_or(1.0)),
        seed,
        duration_sec,
        requests,
    };
    let all = duration_sec.map_or(0.0, |sec| sec * open.rate_per_sec);
    if all > f64::from(MAX_REQUESTS) {
        let detail = format!(
            "gives {all:.0} requests in a cycle at rate_per_sec {}; accepted are at most {MAX_REQUESTS}",
            open.rate_per_sec
        );
        fields.problem("duration_sec", detail);
    }
    Some(Load::Open { open })
}

fn replay(fields: &mut Fields<'_>) -> Option<Load> {
    let mut fields = inner(fields, "replay", &["file", "sha256", "requests", "has_prompts"], "file")?;
    let requests = fields.count("requests", 1, MAX_REQUESTS);
    let sha256 = super::choices::sha256(&mut fields, "sha256");
    let file = fields.text("file", 255)?;
    let replay = ReplayLoad {
        file,
        sha256,
        requests,
        has_prompts: fields.boolean("has_prompts").unwrap_or_default(),
        due_sec: Vec::new(),
    };
    Some(Load::Replay { replay })
}

impl Load {
    /// Returns the load that the example shows, with all its defaults.
    pub(super) fn example() -> Value {
        json!({"open": {"rate_per_sec": 2.0, "arrivals": "poisson", "seed": 0, "requests": 100}})
    }

    /// Returns the name of the load's kind in a submission.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::Replay { .. } => "replay",
        }
    }

    /// Returns whether requests arrive at their own times, whatever the engine does.
    pub fn comes_by_itself(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }

    /// Returns the replay; `None` for other loads.
    pub fn replay(&self) -> Option<&ReplayLoad> {
        match self {
            Self::Replay { replay } => Some(replay),
            _ => None,
        }
    }

    /// Returns the maximum number of requests of a cycle, over all ranks; `None` where there are as many as prompts.
    pub fn max_requests(&self) -> Option<u32> {
        match self {
            Self::Open { open } => Some(open.max_requests()),
            _ => self.requests(),
        }
    }

    /// Returns the number of requests of a cycle, over all ranks; the mean for an open load with a duration. `None`
    /// where there are as many as prompts.
    pub fn requests(&self) -> Option<u32> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { open } => {
                let by_duration = |sec: f64| (sec * open.rate_per_sec).round().max(1.0) as u32;
                open.requests.or(open.duration_sec.map(by_duration))
            }
            Self::Replay { replay } => replay.requests,
        }
    }
}

impl OpenLoad {
    /// Returns the maximum number of requests of a cycle. With a duration, fewer than one of 10^12 cycles would exceed
    /// it; in such a cycle, no more requests are sent.
    pub fn max_requests(&self) -> u32 {
        let mean = self.duration_sec.unwrap_or(0.0) * self.rate_per_sec;
        let shape = match (self.requests, self.arrivals) {
            (Some(requests), _) => return requests,
            (None, Arrivals::Constant) => return mean as u32 + 1,
            (None, Arrivals::Poisson) => 1.0,
            (None, Arrivals::Gamma) => self.burstiness.unwrap_or(1.0),
        };
        // The sum of n gaps has a gamma distribution of shape n · `shape`; Chernoff's bound of its lower tail.
        let is_certain = |n: f64| shape * (n * libm::log(n / mean) - n + mean) >= CERTAINTY;
        let (mut below, mut above) = (mean, mean + 1.0);
        while !is_certain(above) {
            (below, above) = (above, above * 2.0);
        }
        while above - below > 0.5 {
            let middle = f64::midpoint(below, above);
            match is_certain(middle) {
                true => above = middle,
                false => below = middle,
            }
        }
        above.ceil() as u32
    }
}

fields! {
    /// Service level objectives: a request that meets all of them counts in `goodput`. At least one has to be given.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[schema(example = json!({"ttft_ms": 500.0, "p99_itl_ms": 50.0, "e2e_ms": 10_000.0}))]
    pub struct SloRequest;
    /// Service level objectives: a request that meets all of them counts in `goodput`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    pub struct Slo;

    /// Maximum time to first token, in milliseconds from when the request was due.
    ttft_ms: f64 [exclusive_minimum = 0, maximum = 86_400_000] =>
        /// Maximum time to first token, in milliseconds; null for no limit.
        Option<f64> = None, "Maximum time to first token, milliseconds.";

    /// Maximum of the 99th percentile of a request's inter-token latencies, in milliseconds.
    p99_itl_ms: f64 [exclusive_minimum = 0, maximum = 86_400_000] =>
        /// Maximum of the 99th percentile of a request's inter-token latencies, in milliseconds; null for no limit.
        Option<f64> = None, "Maximum of the 99th percentile of a request's inter-token latencies, milliseconds.";

    /// Maximum time to the complete answer, in milliseconds from when the request was due.
    e2e_ms: f64 [exclusive_minimum = 0, maximum = 86_400_000] =>
        /// Maximum time to the complete answer, in milliseconds; null for no limit.
        Option<f64> = None, "Maximum time to the complete answer, milliseconds.";
}

impl FieldType for SloRequest {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        let asked = nested(fields, name, (Self::NAMES, ""), Self::read_all)?;
        if fields.value(name)?.as_object()?.values().all(Value::is_null) {
            fields.problem(
                name,
                format!(
                    "has no objective; accepted is at least one of {}",
                    Self::NAMES.join(", ")
                ),
            );
        }
        Some(asked)
    }
}

impl From<SloRequest> for Option<Slo> {
    fn from(asked: SloRequest) -> Self {
        Some(asked.filled())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{FieldProblem, parse};

    fn asked(load: Value) -> Result<Option<Load>, Vec<String>> {
        let document = json!({"model_name": "m", "load": load});
        let said = |problem: FieldProblem| format!("{} {}", problem.pointer, problem.detail);
        let read = parse(&document).map_err(|problems| problems.into_iter().map(said).collect::<Vec<_>>())?;
        Ok(read.load)
    }

    #[test]
    fn what_is_shown_of_a_load_is_accepted_again() {
        for load in [
            json!({"closed": {"concurrency": 8}}),
            json!({"open": {"rate_per_sec": 0.5, "requests": 10}}),
            json!({"open": {"rate_per_sec": 7, "arrivals": "constant", "duration_sec": 2.5, "seed": 9, "requests": null}}),
            json!({"open": {"rate_per_sec": 7, "arrivals": "gamma", "burstiness": 0.25, "duration_sec": 2.5}}),
            json!({"replay": {"file": "trace.jsonl", "requests": 3}}),
        ] {
            let read = asked(load.clone()).unwrap().unwrap();
            let shown = serde_json::to_value(&read).unwrap();
            assert_eq!(asked(shown.clone()).unwrap().as_ref(), Some(&read), "{shown}");
            assert_eq!(serde_json::from_value::<Load>(shown).unwrap(), read);
        }
        assert_eq!(asked(Value::Null).unwrap(), None);
    }

    #[test]
    fn a_bad_load_is_rejected_with_its_pointer() {
        for (load, expected) in [
            (json!(4), "/load is 4; accepted is {\"closed\""),
            (json!({}), "/load is not one of closed, open and replay"),
            (json!({"closed": {"concurrency": 1}, "open": {}}), "/load is not one of"),
            (json!({"opened": {}}), "/load is not one of"),
            (json!({"open": null}), "/load/open is null"),
            (json!({"closed": {}}), "/load/closed/concurrency is required"),
            (
                json!({"closed": {"concurrency": 0}}),
                "/load/closed/concurrency is 0; accepted is an integer from 1",
            ),
            (json!({"open": {"requests": 3}}), "/load/open/rate_per_sec is required"),
            (
                json!({"open": {"rate_per_sec": 0, "requests": 3}}),
                "/load/open/rate_per_sec is 0; accepted is a number above 0",
            ),
            (
                json!({"open": {"rate_per_sec": 1}}),
                "/load/open/requests is absent, and so is duration_sec",
            ),
            (
                json!({"open": {"rate_per_sec": 1, "requests": 1, "duration_sec": 1}}),
                "/load/open/requests is given together",
            ),
            (
                json!({"open": {"rate_per_sec": 1, "requests": 1, "burstiness": 2}}),
                "/load/open/burstiness has an effect only",
            ),
            (
                json!({"open": {"rate_per_sec": 1, "requests": 1, "arrivals": "pareto"}}),
                "/load/open/arrivals is \"pareto\"",
            ),
            (
                json!({"open": {"rate_per_sec": 1000, "duration_sec": 1000}}),
                "/load/open/duration_sec gives 1000000 requests",
            ),
            (
                json!({"open": {"rate_per_sec": 1, "requests": 1, "rate": 2}}),
                "/load/open/rate is not a known field",
            ),
            (json!({"replay": {}}), "/load/replay/file is required"),
            (
                json!({"replay": {"file": "a", "sha256": "x"}}),
                "/load/replay/sha256 is",
            ),
        ] {
            let said = asked(load.clone()).expect_err(&load.to_string());
            assert!(said.iter().any(|said| said.starts_with(expected)), "{load}: {said:?}");
        }
    }

    #[test]
    fn the_maximum_of_requests_is_practically_never_exceeded() {
        let most = |load: Value| asked(json!({"open": load})).unwrap().unwrap().max_requests().unwrap();
        let of = |arrivals: &str, burstiness: Value| {
            most(json!({"rate_per_sec": 10, "duration_sec": 10, "arrivals": arrivals, "burstiness": burstiness}))
        };
        assert_eq!(most(json!({"rate_per_sec": 10, "requests": 7})), 7);
        assert_eq!(of("constant", Value::Null), 101);
        // Seven to eight standard deviations of a Poisson number of mean 100; more in bursts, less where they come
        // evenly.
        let poisson = of("poisson", Value::Null);
        assert!((170..=185).contains(&poisson), "{poisson}");
        assert_eq!(of("gamma", json!(1)), poisson);
        assert!(of("gamma", json!(100)) < 110 && of("gamma", json!(0.01)) > 1000);
    }

    #[test]
    fn good_service_is_at_least_one_bound() {
        let read = |slo: Value| parse(&json!({"model_name": "m", "slo": slo}));
        let slo = read(json!({"ttft_ms": 200, "e2e_ms": null}))
            .unwrap()
            .slo
            .unwrap()
            .filled();
        assert_eq!((slo.ttft_ms, slo.p99_itl_ms, slo.e2e_ms), (Some(200.0), None, None));
        for (slo, pointer) in [
            (json!({}), "/slo"),
            (json!({"e2e_ms": 0}), "/slo/e2e_ms"),
            (json!({"itl_ms": 1}), "/slo/itl_ms"),
        ] {
            assert_eq!(read(slo).unwrap_err()[0].pointer, pointer);
        }
    }
}
