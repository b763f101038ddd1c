//! What is offered to the engine, and what counts as good service. Owns what may be asked of both; draws no arrivals.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::field::Fields;
use super::prompts::MAX_PROMPTS;
use super::table::{Asked, Bounds, Choice, Kind, fields, nested};

/// Requests of one cycle, as many as an experiment may have prompts.
pub(super) const MAX_REQUESTS: u32 = MAX_PROMPTS;
const MAX_CONCURRENCY: u32 = 100_000;
const MAX_RATE: f64 = 10_000.0;
const MAX_DURATION_SEC: f64 = 86_400.0;
/// The logarithm of 10^12.
const SURE: f64 = 27.631_021_115_928_547;
const BURSTINESS: (f64, f64) = (0.01, 100.0);
const ACCEPTED: &str = "{\"closed\": {\"concurrency\": N}}, {\"open\": {\"rate_per_sec\": R, \"requests\": N}} or \
     {\"replay\": {\"file\": NAME}}";

/// What is offered to the engine in each cycle, over all ranks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(example = json!({"open": {"rate_per_sec": 2.0, "arrivals": "poisson", "requests": 100}}))]
pub enum Load {
    Closed {
        /// So many requests in flight, the next one as soon as one has its answer.
        closed: ClosedLoad,
    },
    Open {
        /// Requests that come when they come, however many are in flight.
        open: OpenLoad,
    },
    Replay {
        /// Requests that come when those of a file came.
        replay: ReplayLoad,
    },
}

/// A closed load: each answer is followed by the next request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosedLoad {
    /// Requests in flight, those that wait included; at least `batch_size` for each rank.
    #[schema(minimum = 1, maximum = 100_000)]
    pub concurrency: u32,
}

/// An open load: requests come at a rate, whether or not those before have their answers. Of `duration_sec` and `requests` it has
/// one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenLoad {
    /// Requests a second, the mean over all ranks.
    #[schema(exclusive_minimum = 0, maximum = 10_000)]
    pub rate_per_sec: f64,
    /// How the times between requests are spread. Default `poisson`.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// Of `gamma` arrivals, the shape of the gamma distribution that times between requests have: 1 is Poisson, less comes in
    /// bursts, more comes evenly (as in vLLM's benchmark). Their coefficient of variation is 1 / sqrt(burstiness). Default 1.
    #[serde(default)]
    #[schema(minimum = 0.01, maximum = 100)]
    pub burstiness: Option<f64>,
    /// Seed of the arrivals and of which rank gets which, 0 to 2^64 - 1; each cycle draws its own. Default 0.
    #[serde(default)]
    #[schema(minimum = 0)]
    pub seed: u64,
    /// Seconds for which requests come in each cycle.
    #[serde(default)]
    #[schema(exclusive_minimum = 0, maximum = 86_400)]
    pub duration_sec: Option<f64>,
    /// How many requests come in each cycle.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000)]
    pub requests: Option<u32>,
}

/// How the times between the requests of an open load are spread.
///
/// - `poisson`: exponentially, as of many users who know nothing of each other
/// - `constant`: not at all
/// - `gamma`: by a gamma distribution, in bursts or more evenly than `poisson`, as `burstiness` says
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    #[default]
    Poisson,
    Constant,
    Gamma,
}

impl Choice for Arrivals {}

/// A load whose requests come when those of a file came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayLoad {
    /// A file in the server's prompts folder, by its name: JSONL, each line with `timestamp`, in milliseconds since the first.
    /// A line may have its prompt as well: `prompt`, `messages`, or `input_length`, a number of random tokens; and
    /// `output_length`, the most tokens of its answer. Lines without take the experiment's prompts in order.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$",
        example = "trace.jsonl"
    )]
    pub file: String,
    /// SHA-256 of the file, for a submission that is refused once the file has changed. Default: whatever it has.
    #[serde(default)]
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    pub sha256: Option<String>,
    /// How many of its lines, from the first. Default: all.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000)]
    pub requests: Option<u32>,
    /// Whether its lines have their prompts; found where the file is read, whatever is submitted.
    #[serde(default)]
    pub has_prompts: bool,
    /// When each comes, in seconds from the first: for workers alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(ignore)]
    pub due_sec: Vec<f64>,
}

impl Asked for Load {
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
            "has no effect but on gamma arrivals; leave it out or set arrivals to gamma",
        );
        return None;
    }
    match (fields.value("duration_sec"), fields.value("requests")) {
        (Some(_), Some(_)) => fields.problem("requests", "stands beside duration_sec; accepted is one of the two"),
        (None, None) => fields.problem("requests", "is absent, as is duration_sec; accepted is one of the two"),
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
            "makes {all:.0} requests of a cycle at rate_per_sec {}; accepted are at most {MAX_REQUESTS}",
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
    /// Returns one as an example has it, with all its defaults.
    pub(super) fn example() -> Value {
        json!({"open": {"rate_per_sec": 2.0, "arrivals": "poisson", "seed": 0, "requests": 100}})
    }

    /// Returns the words that the load has in a submission.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::Replay { .. } => "replay",
        }
    }

    /// Returns whether its requests come at their own times, whatever the engine does.
    pub fn comes_by_itself(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }

    /// Returns the replay, where it is one.
    pub fn replay(&self) -> Option<&ReplayLoad> {
        match self {
            Self::Replay { replay } => Some(replay),
            _ => None,
        }
    }

    /// Returns how many requests come in a cycle at most, over all ranks; `None` where they are as many as the prompts.
    pub fn most_requests(&self) -> Option<u32> {
        match self {
            Self::Open { open } => Some(open.most_requests()),
            _ => self.requests(),
        }
    }

    /// Returns how many requests come in a cycle, over all ranks: of an open load by its duration the mean; `None` where they
    /// are as many as the prompts.
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
    /// Returns how many requests come in a cycle at most. By a duration it is a number that less than one of 10^12 cycles would
    /// have more than, and where one would, no more come.
    pub fn most_requests(&self) -> u32 {
        let mean = self.duration_sec.unwrap_or(0.0) * self.rate_per_sec;
        let shape = match (self.requests, self.arrivals) {
            (Some(requests), _) => return requests,
            (None, Arrivals::Constant) => return mean as u32 + 1,
            (None, Arrivals::Poisson) => 1.0,
            (None, Arrivals::Gamma) => self.burstiness.unwrap_or(1.0),
        };
        // The sum of n gaps has a gamma distribution of shape n · `shape`; Chernoff's bound of its lower tail.
        let is_sure = |n: f64| shape * (n * libm::log(n / mean) - n + mean) >= SURE;
        let (mut below, mut above) = (mean, mean + 1.0);
        while !is_sure(above) {
            (below, above) = (above, above * 2.0);
        }
        while above - below > 0.5 {
            let middle = f64::midpoint(below, above);
            match is_sure(middle) {
                true => above = middle,
                false => below = middle,
            }
        }
        above.ceil() as u32
    }
}

fields! {
    /// What counts as good service: a request that has all of these is counted in `goodput`. At least one of them.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[schema(example = json!({"ttft_ms": 500.0, "p99_itl_ms": 50.0, "e2e_ms": 10_000.0}))]
    pub struct SloRequest;
    /// What counts as good service.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    pub struct Slo;

    /// Longest time to first token, milliseconds, from when the request was due.
    ttft_ms: f64 [exclusive_minimum = 0, maximum = 86_400_000] =>
        /// Longest time to first token, milliseconds; null for any.
        Option<f64> = None, "Longest time to first token, milliseconds.";

    /// Longest 99th percentile of the times between a request's tokens, milliseconds.
    p99_itl_ms: f64 [exclusive_minimum = 0, maximum = 86_400_000] =>
        /// Longest 99th percentile of the times between a request's tokens, milliseconds; null for any.
        Option<f64> = None, "Longest 99th percentile of the times between its tokens, milliseconds.";

    /// Longest time to the complete answer, milliseconds, from when the request was due.
    e2e_ms: f64 [exclusive_minimum = 0, maximum = 86_400_000] =>
        /// Longest time to the complete answer, milliseconds; null for any.
        Option<f64> = None, "Longest time to the complete answer, milliseconds.";
}

impl Asked for SloRequest {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        let asked = nested(fields, name, (Self::NAMES, ""), Self::read_all)?;
        if fields.value(name)?.as_object()?.values().all(Value::is_null) {
            fields.problem(
                name,
                format!(
                    "asks for nothing; accepted is at least one of {}",
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
    fn what_no_load_is_is_refused_with_its_pointer() {
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
                "/load/open/requests is absent, as is duration_sec",
            ),
            (
                json!({"open": {"rate_per_sec": 1, "requests": 1, "duration_sec": 1}}),
                "/load/open/requests stands beside",
            ),
            (
                json!({"open": {"rate_per_sec": 1, "requests": 1, "burstiness": 2}}),
                "/load/open/burstiness has no effect",
            ),
            (
                json!({"open": {"rate_per_sec": 1, "requests": 1, "arrivals": "pareto"}}),
                "/load/open/arrivals is \"pareto\"",
            ),
            (
                json!({"open": {"rate_per_sec": 1000, "duration_sec": 1000}}),
                "/load/open/duration_sec makes 1000000 requests",
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
    fn no_more_requests_come_than_chance_will_ever_have() {
        let most = |load: Value| asked(json!({"open": load})).unwrap().unwrap().most_requests().unwrap();
        let of = |arrivals: &str, burstiness: Value| {
            most(json!({"rate_per_sec": 10, "duration_sec": 10, "arrivals": arrivals, "burstiness": burstiness}))
        };
        assert_eq!(most(json!({"rate_per_sec": 10, "requests": 7})), 7);
        assert_eq!(of("constant", Value::Null), 101);
        // Seven to eight standard deviations of a Poisson number of mean 100; more in bursts, less where they come evenly.
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
