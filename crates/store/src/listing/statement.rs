//! The text of a list, made of what is asked for: one with "or $n is null" would read the whole table. Every list walks an
//! index that has its order, from where the page before ended.

use std::collections::BTreeSet;

use super::super::record::to_us;
use super::{ListOrder, ListQuery};
use joulemark_experiment::{ExperimentId, State};

pub enum Parameter {
    Text(String),
    Whole(i64),
}

/// Its parameters, and the conditions that name them.
#[derive(Default)]
struct Conditions {
    parameters: Vec<Parameter>,
    texts: Vec<String>,
}

impl Conditions {
    fn text(&mut self, value: impl ToString) -> String {
        self.bind(Parameter::Text(value.to_string()))
    }

    fn bind(&mut self, parameter: Parameter) -> String {
        self.parameters.push(parameter);
        format!("${}", self.parameters.len())
    }

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

    /// Counts those of the labels that an experiment carries: a condition for each would be another table for the database
    /// to plan with. An experiment has one value of a label, so that it cannot count twice.
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

/// `select` ends in FROM; `join` follows the tables. The last parameter, which is not among those returned, is the limit.
pub fn statement(query: &ListQuery, select: &str, join: &str) -> (String, Vec<Parameter>) {
    let mut conditions = Conditions::default();
    // Few are unfinished, so that state finds them faster than any label; of the rest the label is what is rare.
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

/// One bound at each end: of two the database might take the wider one to walk from.
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

fn by_finish(conditions: &mut Conditions, query: &ListQuery, (id, finish): (&str, &str)) {
    // Which the indexes hold.
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
    // As an expression, which keeps the databases from walking along the ids and sorting what they find.
    let id = format!("({id} || '')");
    if let Some(before) = query.before {
        conditions.compare(&id, "<", Parameter::Text(before.to_string()));
    }
    if let Some(from) = query.from {
        conditions.compare(&id, ">=", Parameter::Text(from.to_string()));
    }
}
