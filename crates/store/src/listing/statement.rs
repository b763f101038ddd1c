//! Builds the SQL text of a list from the filters that are given. A fixed text with "OR $n IS NULL" conditions would
//! read the whole table. Every list walks an index in its order, beginning at the cursor.

use std::collections::BTreeSet;

use super::super::record::to_us;
use super::{ListOrder, ListQuery};
use joulemark_experiment::{ExperimentId, State};

/// A value to bind to a statement.
pub enum Parameter {
    Text(String),
    Whole(i64),
}

/// The conditions of a WHERE clause, and the parameters that they refer to.
#[derive(Default)]
struct Conditions {
    parameters: Vec<Parameter>,
    texts: Vec<String>,
}

impl Conditions {
    /// Adds a text parameter and returns its placeholder.
    fn text(&mut self, value: impl ToString) -> String {
        self.bind(Parameter::Text(value.to_string()))
    }

    /// Adds a parameter and returns its placeholder.
    fn bind(&mut self, parameter: Parameter) -> String {
        self.parameters.push(parameter);
        format!("${}", self.parameters.len())
    }

    /// Adds the condition that a column has this value, when there is one.
    fn equal(&mut self, column: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            let value = self.text(value);
            self.texts.push(format!("{column} = {value}"));
        }
    }

    fn compare(&mut self, column: &str, operator: &str, parameter: Parameter) {
        let value = self.bind(parameter);
        self.texts.push(format!("{column} {operator} {value}"));
    }

    /// Adds the condition that the experiment `id` carries all labels, by counting the matching ones. One condition for
    /// each label would need a join each. An experiment has at most one value for a label, so none counts twice.
    fn carries_all<'a>(&mut self, id: &str, labels: impl Iterator<Item = &'a (String, String)>) {
        let pairs = labels.map(|(label, value)| {
            let (label, value) = (self.text(label), self.text(value));
            format!("(o.label = {label} AND o.value = {value})")
        });
        let pairs = pairs.collect::<Vec<_>>();
        if !pairs.is_empty() {
            let (count, any) = (pairs.len(), pairs.join(" OR "));
            self.texts.push(format!(
                "(SELECT COUNT(CASE WHEN {any} THEN 1 END) FROM experiment_labels o WHERE o.experiment_id = {id}) = {count}"
            ));
        }
    }
}

/// Returns the text of a list and its parameters. `select` ends in FROM, and `join` follows the tables. The text has
/// one more parameter, the limit, which the caller binds last.
pub fn statement(query: &ListQuery, select: &str, join: &str) -> (String, Vec<Parameter>) {
    let mut conditions = Conditions::default();
    // Few experiments are unfinished: their state is the most selective condition. Otherwise a label is.
    let by_label = !query.labels.is_empty() && query.state.is_none_or(State::is_finished);
    let (tables, id, finish) = if by_label {
        let tables = "experiment_labels l JOIN experiments e ON e.id = l.experiment_id";
        (tables, "l.experiment_id", "l.finished_at_us")
    } else {
        ("experiments e", "e.id", "e.finished_at_us")
    };
    if query.order.is_by_finish() {
        by_finish(&mut conditions, query, (id, finish));
    } else {
        by_age(&mut conditions, query, id);
    }
    conditions.equal("e.state", query.state.map(State::as_str));
    conditions.equal("e.model_name", query.model_name.as_ref());
    conditions.equal("e.engine", query.engine.as_ref());
    conditions.equal("e.user_name", query.user_name.as_ref());
    conditions.equal("e.submitter", query.submitter.as_ref());
    if let Some(sweep) = query.sweep {
        let sweep = conditions.text(sweep);
        conditions.texts.push(format!(
            "{id} IN (SELECT experiment_id FROM sweep_runs WHERE sweep_id = {sweep})"
        ));
    }
    let labels: BTreeSet<_> = query.labels.iter().collect();
    let mut labels = labels.into_iter();
    if by_label && let Some((label, value)) = labels.next() {
        let (label, value) = (conditions.text(label), conditions.text(value));
        conditions
            .texts
            .push(format!("l.label = {label} AND l.value = {value}"));
    }
    conditions.carries_all(id, labels);
    let direction = if query.order.is_descending() { "DESC" } else { "ASC" };
    let order = if query.order.is_by_finish() {
        format!("{finish} {direction}, {id} {direction}")
    } else {
        format!("{id} {direction}")
    };
    let narrowed = match conditions.texts.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.texts.join(" AND ")),
    };
    let limit = conditions.parameters.len() + 1;
    let text = format!("{select}{tables}{join}{narrowed} ORDER BY {order} LIMIT ${limit}");
    (text, conditions.parameters)
}

/// Adds the bounds of a list by age, at most one at each end: with two, the database might begin its walk at the wider
/// one.
fn by_age(conditions: &mut Conditions, query: &ListQuery, id: &str) {
    let cursor = query.after.map(|cursor| cursor.id);
    let text = |id: ExperimentId| Parameter::Text(id.to_string());
    match query.order {
        ListOrder::OldestFirst => {
            match (cursor, query.from) {
                (Some(cursor), from) if from.is_none_or(|from| cursor >= from) => {
                    conditions.compare(id, ">", text(cursor));
                }
                (_, Some(from)) => conditions.compare(id, ">=", text(from)),
                _ => {}
            }
            if let Some(before) = query.before {
                conditions.compare(id, "<", text(before));
            }
        }
        _ => {
            if let Some(before) = cursor.into_iter().chain(query.before).min() {
                conditions.compare(id, "<", text(before));
            }
            if let Some(from) = query.from {
                conditions.compare(id, ">=", text(from));
            }
        }
    }
}

/// Adds the bounds of a list by time of finish.
fn by_finish(conditions: &mut Conditions, query: &ListQuery, (id, finish): (&str, &str)) {
    // The partial indexes have this condition.
    conditions.texts.push(format!("{finish} IS NOT NULL"));
    let from = query.finished_from.map(to_us);
    let before = query.finished_before.map(to_us);
    let cursor = query.after.and_then(|cursor| Some((cursor.finished_at_us?, cursor.id)));
    let beyond = |conditions: &mut Conditions, operator: &str, (us, place): (i64, ExperimentId)| {
        let (us, place) = (conditions.bind(Parameter::Whole(us)), conditions.text(place));
        conditions
            .texts
            .push(format!("({finish}, {id}) {operator} ({us}, {place})"));
    };
    let (mut lower, mut upper) = (from, before);
    match (cursor, query.order.is_descending()) {
        (Some(cursor), true) if before.is_none_or(|before| cursor.0 < before) => {
            beyond(conditions, "<", cursor);
            upper = None;
        }
        (Some(cursor), false) if from.is_none_or(|from| cursor.0 >= from) => {
            beyond(conditions, ">", cursor);
            lower = None;
        }
        _ => {}
    }
    if let Some(lower) = lower {
        conditions.compare(finish, ">=", Parameter::Whole(lower));
    }
    if let Some(upper) = upper {
        conditions.compare(finish, "<", Parameter::Whole(upper));
    }
    // An expression rather than the column, so that the databases do not walk the index of ids and sort the result.
    let id = format!("({id} || '')");
    if let Some(before) = query.before {
        conditions.compare(&id, "<", Parameter::Text(before.to_string()));
    }
    if let Some(from) = query.from {
        conditions.compare(&id, ">=", Parameter::Text(from.to_string()));
    }
}
