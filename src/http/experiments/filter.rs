//! The filters and the order of lists and exports.

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::http::problem::Problem;
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::quoted;
use joulemark_store::{ListOrder, ListQuery};

/// Filters and order of experiments. All given filters must match; `label` may be repeated.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct FilterParameters {
    /// Only experiments in this state.
    #[param(value_type = Option<State>)]
    state: Option<String>,
    /// Only experiments with this `model_name`.
    #[param(example = "SmolLM2-135M-Instruct.Q4_1.gguf")]
    model: Option<String>,
    /// Only experiments that this `engine` runs.
    #[param(example = "mistral")]
    engine: Option<String>,
    /// Only experiments of this `user`.
    #[param(example = "ada")]
    user: Option<String>,
    /// Only experiments submitted by this authenticated user.
    #[param(example = "ada")]
    submitter: Option<String>,
    /// Only experiments with this label, as `name=value`. May be repeated up to 16 times; all of the labels must match.
    #[param(value_type = Option<Vec<String>>, style = Form, explode, example = json!(["team=nlp"]))]
    label: Vec<String>,
    /// Only experiments of the sweep with this id.
    #[param(value_type = Option<String>, format = "uuid")]
    sweep: Option<String>,
    /// Only experiments accepted at or after this time (RFC 3339).
    #[param(value_type = Option<String>, format = "date-time")]
    created_after: Option<String>,
    /// Only experiments accepted before this time (RFC 3339).
    #[param(value_type = Option<String>, format = "date-time")]
    created_before: Option<String>,
    /// Only experiments finished at or after this time (RFC 3339). Requires an order by `finished_at`.
    #[param(value_type = Option<String>, format = "date-time")]
    finished_after: Option<String>,
    /// Only experiments finished before this time (RFC 3339). Requires an order by `finished_at`.
    #[param(value_type = Option<String>, format = "date-time")]
    finished_before: Option<String>,
    #[param(schema_with = sort_schema, required = false)]
    sort: Option<String>,
}

const SORTS: [(&str, ListOrder); 4] = [
    ("-created_at", ListOrder::NewestFirst),
    ("created_at", ListOrder::OldestFirst),
    ("-finished_at", ListOrder::LastFinishedFirst),
    ("finished_at", ListOrder::FirstFinishedFirst),
];

/// Returns the schema of the parameter `sort`.
fn sort_schema() -> Object {
    let names = SORTS.map(|(name, _)| name);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names))
        .description(Some(
            "The order; a minus means the latest first. Only finished experiments are listed by `finished_at`. The default \
                     is `-created_at`, or `-finished_at` if `finished_after` or `finished_before` is given.",
        ))
        .build()
}

const A_TIME: &str = "is a time as RFC 3339 writes it, such as 2026-01-31T12:00:00Z, a + in it written %2B";

impl FilterParameters {
    /// Returns the query for the store.
    ///
    /// # Errors
    /// Returns a [`Problem`] that names a parameter which cannot be read or contradicts another one.
    pub fn query(self) -> Result<ListQuery, Problem> {
        let finished_from = read_time("finished_after", self.finished_after)?;
        let finished_before = read_time("finished_before", self.finished_before)?;
        let bounds_finish = [("finished_after", finished_from), ("finished_before", finished_before)];
        let bound = bounds_finish.iter().find(|(_, time)| time.is_some());
        let order = match (self.sort.as_deref().map(read_order).transpose()?, bound) {
            (Some(order), Some((name, _))) if !order.is_by_finish() => {
                let detail = format!("is given with {name}; accepted are then finished_at and -finished_at");
                return Err(Problem::invalid_parameter("sort", detail));
            }
            (Some(order), _) => order,
            (None, Some(_)) => ListOrder::LastFinishedFirst,
            (None, None) => ListOrder::default(),
        };
        // An id contains the time of its creation, so a range of times is a range of ids.
        let first_at = |time: Option<Timestamp>| time.map(ExperimentId::first_at);
        Ok(ListQuery {
            state: self.state.as_deref().map(read_state).transpose()?,
            model_name: self.model,
            engine: self.engine,
            user_name: self.user,
            submitter: self.submitter,
            labels: self
                .label
                .iter()
                .map(|label| read_label(label))
                .collect::<Result<_, _>>()?,
            sweep: self.sweep.as_deref().map(read_sweep).transpose()?,
            from: first_at(read_time("created_after", self.created_after)?),
            before: first_at(read_time("created_before", self.created_before)?),
            finished_from,
            finished_before,
            order,
            ..ListQuery::default()
        })
    }
}

/// The filter parameters together with those of one operation.
#[derive(Debug, Deserialize)]
pub struct Filtered<T> {
    #[serde(flatten)]
    pub own: T,
    #[serde(flatten)]
    pub filter: FilterParameters,
}

impl<T: IntoParams> IntoParams for Filtered<T> {
    fn into_params(parameter_in: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        [
            T::into_params(&parameter_in),
            FilterParameters::into_params(&parameter_in),
        ]
        .concat()
    }
}

/// Returns the state with this name.
///
/// # Errors
/// Returns a [`Problem`] that lists the states.
pub fn read_state(text: &str) -> Result<State, Problem> {
    let states = State::ALL.map(State::as_str).join(", ");
    text.parse()
        .map_err(|_| refuse("state", text, &format!("are {states}")))
}

/// Reads a label written as `name=value`.
///
/// # Errors
/// Returns a [`Problem`] if it is not written so.
pub fn read_label(text: &str) -> Result<(String, String), Problem> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or_else(|| refuse("label", text, "is name=value"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads the id of a sweep.
///
/// # Errors
/// Returns a [`Problem`] if it is not a UUID.
pub fn read_sweep(text: &str) -> Result<ExperimentId, Problem> {
    text.parse().map_err(|_| refuse("sweep", text, "is a sweep's UUID"))
}

/// Reads the time of a parameter.
fn read_time(name: &str, text: Option<String>) -> Result<Option<Timestamp>, Problem> {
    let time = text.map(|text| nearest_time(&text).ok_or_else(|| refuse(name, &text, A_TIME)));
    time.transpose()
}

/// Returns the time that RFC 3339 denotes. Times in the last days of the year 9999 cannot be represented; they become
/// the last time that can, and no experiment lies in between.
fn nearest_time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let pieces = Pieces::parse(text).ok()?;
    let (time, offset) = (pieces.time()?, pieces.to_numeric_offset()?);
    let local = pieces.date().to_datetime(time);
    // It could not be represented, so it is too far from 1970 in one direction.
    offset.to_timestamp(local).is_err().then(|| {
        if local.year() > 0 {
            Timestamp::MAX
        } else {
            Timestamp::MIN
        }
    })
}

fn read_order(text: &str) -> Result<ListOrder, Problem> {
    let found = SORTS.iter().find(|(name, _)| *name == text);
    let names = SORTS.map(|(name, _)| name).join(", ");
    found
        .map(|(_, order)| *order)
        .ok_or_else(|| refuse("sort", text, &format!("are {names}")))
}

fn refuse(name: &str, text: &str, accepted: &str) -> Problem {
    Problem::invalid_parameter(name, format!("is {text}; accepted {accepted}", text = quoted(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::repeatable_query;

    fn read(pairs: &[(&str, &str)]) -> Result<ListQuery, Problem> {
        let pairs = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        repeatable_query::read::<FilterParameters>(pairs.collect())?.query()
    }

    #[test]
    fn all_labels_apply_and_a_value_may_contain_an_equals_sign() {
        let query = read(&[
            ("label", "team=a"),
            ("label", "run=x=1"),
            ("model", "m"),
            ("submitter", "ada"),
        ])
        .unwrap();
        let labels = [("team", "a"), ("run", "x=1")].map(|(label, value)| (label.to_owned(), value.to_owned()));
        assert_eq!(query.labels, labels);
        assert_eq!(
            (query.model_name.as_deref(), query.submitter.as_deref()),
            (Some("m"), Some("ada"))
        );
    }

    #[test]
    fn sixteen_labels_are_taken_and_one_more_is_refused() {
        let labels = |count: usize| read(&vec![("label", "team=a"); count]);
        assert_eq!(labels(16).unwrap().labels.len(), 16);
        let problem = labels(17).unwrap_err();
        assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (400, "label"));
        assert!(problem.detail.contains("at most 16"), "{}", problem.detail);
    }

    #[test]
    fn a_bound_on_finished_at_implies_that_order_and_excludes_others() {
        let time = "2020-01-01T00:00:00Z";
        assert_eq!(read(&[]).unwrap().order, ListOrder::NewestFirst);
        assert_eq!(
            read(&[("finished_after", time)]).unwrap().order,
            ListOrder::LastFinishedFirst
        );
        let both = [
            ("finished_before", time),
            ("sort", "finished_at"),
            ("created_after", time),
        ];
        assert_eq!(read(&both).unwrap().order, ListOrder::FirstFinishedFirst);
        let problem = read(&[("finished_before", time), ("sort", "created_at")]).unwrap_err();
        assert!(
            problem.detail.starts_with("sort is given with finished_before"),
            "{}",
            problem.detail
        );
    }

    #[test]
    fn a_time_beyond_the_last_representable_one_becomes_that() {
        let before = |text: &str| read(&[("created_before", text)]).unwrap().before.unwrap();
        let end = before("9999-12-31T23:59:59Z");
        for text in [
            "9999-12-31T23:59:59.999999999Z",
            "9999-12-31T23:59:59-12:00",
            "9999-12-30T22:00:01Z",
            "9999-12-31t00:00:00z",
        ] {
            assert_eq!(before(text), end, "{text}");
        }
        assert!(end > ExperimentId::generate());
        assert!(before("0000-01-01T00:00:00Z") < ExperimentId::generate());
        for text in [
            "9999-13-31T23:59:59Z",
            "10000-01-01T00:00:00Z",
            "9999-12-31",
            "9999-12-31T23:59:59",
        ] {
            assert!(read(&[("finished_before", text)]).is_err(), "{text}");
        }
    }

    #[test]
    fn each_bad_parameter_is_named_with_what_is_accepted() {
        for (name, value, accepted) in [
            ("state", "asleep", "queued, starting"),
            ("label", "team", "name=value"),
            ("label", "=a", "name=value"),
            ("created_after", "yesterday", "RFC 3339"),
            ("created_before", "2026-01-31", "RFC 3339"),
            ("finished_after", "", "RFC 3339"),
            ("sort", "energy", "-created_at, created_at, -finished_at, finished_at"),
            ("sort", "+created_at", "-created_at"),
        ] {
            let problem = read(&[(name, value)]).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (400, name));
            assert!(problem.detail.contains(accepted), "{}", problem.detail);
        }
        assert_eq!(read(&[("page", "2")]).unwrap_err().errors[0].pointer, "page");
    }
}
