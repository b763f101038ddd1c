use utoipa::IntoParams;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::http::problem::Problem;
use joulemark_experiment::{ExperimentId, State};
use joulemark_store::{ListOrder, ListQuery};

/// Which experiments, and in which order. All that is given must hold; `label` may be repeated.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "for the description; `Filter` takes them one by one, since a label may be repeated"
)]
pub struct FilterParameters {
    /// Only experiments in this state.
    state: Option<State>,
    /// Only experiments with this `model_name`.
    #[param(example = "SmolLM2-135M-Instruct.Q4_1.gguf")]
    model: Option<String>,
    /// Only experiments of this `user`.
    #[param(example = "ada")]
    user: Option<String>,
    /// Only experiments that this authenticated name submitted.
    #[param(example = "ada")]
    submitter: Option<String>,
    /// Only experiments that carry this label, as `name=value`; may be repeated, all must hold.
    #[param(value_type = Option<Vec<String>>, style = Form, explode, example = json!(["team=nlp"]))]
    label: Vec<String>,
    /// Only experiments accepted at this time (RFC 3339) or later.
    #[param(value_type = Option<String>, format = "date-time")]
    created_after: Option<String>,
    /// Only experiments accepted before this time (RFC 3339).
    #[param(value_type = Option<String>, format = "date-time")]
    created_before: Option<String>,
    /// Only experiments finished at this time (RFC 3339) or later; in an order by `finished_at`.
    #[param(value_type = Option<String>, format = "date-time")]
    finished_after: Option<String>,
    /// Only experiments finished before this time (RFC 3339); in an order by `finished_at`.
    #[param(value_type = Option<String>, format = "date-time")]
    finished_before: Option<String>,
    #[param(schema_with = sort_schema, required = false)]
    sort: String,
}

const SORTS: [(&str, ListOrder); 4] = [
    ("-created_at", ListOrder::NewestFirst),
    ("created_at", ListOrder::OldestFirst),
    ("-finished_at", ListOrder::LastFinishedFirst),
    ("finished_at", ListOrder::FirstFinishedFirst),
];

fn sort_schema() -> Object {
    let names = SORTS.map(|(name, _)| name);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names))
        .description(Some(
            "The order; with a minus the latest first. By `finished_at` only finished experiments are listed. The default \
             is `-created_at`, and `-finished_at` where `finished_after` or `finished_before` is given.",
        ))
        .build()
}

/// Names of the parameters, for who is told what is accepted.
pub const NAMES: &str = "state, model, user, submitter, label, created_after, created_before, finished_after, \
     finished_before, sort";

const A_TIME: &str = "is a time as RFC 3339 writes it, such as 2026-01-31T12:00:00Z, a + in it written %2B";

/// Takes its parameters one by one.
#[derive(Debug, Default)]
pub struct Filter {
    query: ListQuery,
    order: Option<ListOrder>,
}

impl Filter {
    /// Whether a parameter may be there twice.
    pub fn may_repeat(name: &str) -> bool {
        name == "label"
    }

    /// Whether the parameter is one of a filter.
    ///
    /// # Errors
    /// A [`Problem`] that says what is accepted.
    pub fn take(&mut self, name: &str, value: &str) -> Result<bool, Problem> {
        let refuse = |accepted: &str| Problem::invalid_parameter(name, format!("is {value:?}; accepted {accepted}"));
        let query = &mut self.query;
        match name {
            "state" => {
                let states = State::ALL.map(State::as_str).join(", ");
                query.state = Some(value.parse().map_err(|_| refuse(&format!("are {states}")))?);
            }
            "model" => query.model_name = Some(value.to_owned()),
            "user" => query.user_name = Some(value.to_owned()),
            "submitter" => query.submitter = Some(value.to_owned()),
            "label" => {
                let pair = value.split_once('=').filter(|(label, _)| !label.is_empty());
                let (label, value) = pair.ok_or_else(|| refuse("is name=value"))?;
                query.labels.push((label.to_owned(), value.to_owned()));
            }
            "created_after" => query.from = Some(first_at(value).ok_or_else(|| refuse(A_TIME))?),
            "created_before" => query.before = Some(first_at(value).ok_or_else(|| refuse(A_TIME))?),
            "finished_after" => query.finished_from = Some(value.parse().map_err(|_| refuse(A_TIME))?),
            "finished_before" => query.finished_before = Some(value.parse().map_err(|_| refuse(A_TIME))?),
            "sort" => {
                let found = SORTS.iter().find(|(name, _)| *name == value);
                let names = SORTS.map(|(name, _)| name).join(", ");
                self.order = Some(found.ok_or_else(|| refuse(&format!("are {names}")))?.1);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// # Errors
    /// A [`Problem`] where the parameters do not go together.
    pub fn query(self) -> Result<ListQuery, Problem> {
        let bounds_finish = [
            ("finished_after", self.query.finished_from),
            ("finished_before", self.query.finished_before),
        ];
        let bound = bounds_finish.iter().find(|(_, time)| time.is_some());
        let order = match (self.order, bound) {
            (Some(order), Some((name, _))) if !order.is_by_finish() => {
                let detail = format!("is given with {name}; accepted are then finished_at and -finished_at");
                return Err(Problem::invalid_parameter("sort", detail));
            }
            (Some(order), _) => order,
            (None, Some(_)) => ListOrder::LastFinishedFirst,
            (None, None) => ListOrder::default(),
        };
        Ok(ListQuery { order, ..self.query })
    }
}

/// An id says when it was made, so that a range of times is a range of ids.
fn first_at(text: &str) -> Option<ExperimentId> {
    text.parse().ok().map(ExperimentId::first_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<ListQuery, Problem> {
        let mut filter = Filter::default();
        for (name, value) in pairs {
            assert!(filter.take(name, value)?, "{name}");
        }
        filter.query()
    }

    #[test]
    fn labels_add_up_and_a_value_may_hold_an_equals_sign() {
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
    fn a_bound_on_the_finish_orders_by_it_and_contradicts_another_order() {
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
        assert!(!Filter::default().take("page", "2").unwrap());
    }
}
