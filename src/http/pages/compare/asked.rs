//! The query of the comparison page.

use serde_json::{Map, Value, json};

use crate::compared::letter;
use crate::http::problem::Problem;
use joulemark_experiment::{ExperimentId, FieldProblem};

const PARAMETERS: [&str; 4] = ["ids", "metrics", "margin", "force"];

/// Query of the page, as written: it fills the form and is carried on by links.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    pub ids: Vec<String>,
    pub metrics: Vec<String>,
    pub margin: String,
    pub force: String,
}

impl Asked {
    /// Parses a query. `ids` and `metrics` may contain commas or be repeated; empty values are ignored.
    ///
    /// # Errors
    /// Returns a [`Problem`] that names an unknown parameter.
    pub fn read(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut asked = Self::default();
        for (name, value) in pairs {
            let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
            match name.as_str() {
                "ids" => asked.ids.extend(parts.map(str::to_owned)),
                "metrics" => asked.metrics.extend(parts.map(str::to_owned)),
                "margin" => value.trim().clone_into(&mut asked.margin),
                "force" => value.trim().clone_into(&mut asked.force),
                _ => {
                    let detail = format!("is unknown; accepted are {}", PARAMETERS.join(", "));
                    return Err(Problem::invalid_parameter(&name, detail));
                }
            }
        }
        Ok(asked)
    }

    /// Returns the request of the API for the same comparison. An invalid number or boolean is passed on as a string,
    /// so that the API rejects it.
    pub fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("ids".to_owned(), json!(self.ids));
        if !self.metrics.is_empty() {
            document.insert("metrics".to_owned(), json!(self.metrics));
        }
        if !self.margin.is_empty() {
            let number = self.margin.parse::<f64>().ok().filter(|number| number.is_finite());
            let margin = number.map_or_else(|| json!(self.margin), |number| json!(number));
            document.insert("margin".to_owned(), margin);
        }
        if !self.force.is_empty() {
            let force = self.force.parse::<bool>();
            document.insert(
                "force".to_owned(),
                force.map_or_else(|_| json!(self.force), Value::from),
            );
        }
        document.into()
    }

    /// Returns whether the query names the experiment by its ID.
    pub fn has(&self, id: &ExperimentId) -> bool {
        let id = id.to_string();
        self.ids.contains(&id)
    }

    /// Returns whether results with different work are compared as well.
    pub fn is_forced(&self) -> bool {
        self.force == "true"
    }

    /// Returns the query with the result at `place` as the baseline.
    pub fn with_baseline(&self, place: &usize) -> String {
        let mut ids = self.ids.clone();
        if *place < ids.len() {
            let first = ids.remove(*place);
            ids.insert(0, first);
        }
        Self { ids, ..self.clone() }.query()
    }

    /// Returns the query without the result at `place`.
    pub fn without(&self, place: &usize) -> String {
        let mut ids = self.ids.clone();
        if *place < ids.len() {
            ids.remove(*place);
        }
        Self { ids, ..self.clone() }.query()
    }

    /// Returns the query that also compares results with different work.
    pub fn forced(&self) -> String {
        let force = "true".to_owned();
        Self { force, ..self.clone() }.query()
    }

    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("ids", &self.ids.join(","));
        let metrics = self.metrics.join(",");
        for (name, value) in [("metrics", &metrics), ("margin", &self.margin), ("force", &self.force)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

/// Returns the problems of one field of the form; a problem of one value in a list names the value.
pub fn problems_of(asked: &Asked, problems: &[FieldProblem], field: &str) -> Vec<String> {
    let values = match field {
        "ids" => &asked.ids[..],
        "metrics" => &asked.metrics[..],
        _ => &[],
    };
    let messages = problems.iter().filter_map(|problem| {
        let rest = problem.pointer.strip_prefix('/')?.strip_prefix(field)?;
        match rest.strip_prefix('/') {
            None if rest.is_empty() => Some(problem.detail.clone()),
            None => None,
            Some(place) => {
                let place: usize = place.parse().ok()?;
                let value = values.get(place).map_or("", String::as_str);
                let which = match field {
                    "ids" => format!("{} ({value})", letter(place)),
                    _ => value.to_owned(),
                };
                Some(format!("{which}: {}", problem.detail))
            }
        }
    });
    messages.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Asked {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Asked::read(pairs.collect()).unwrap()
    }

    #[test]
    fn checkboxes_and_a_list_with_commas_give_the_same_query() {
        let by_boxes = read(&[
            ("ids", "a"),
            ("ids", "b/0"),
            ("ids", " "),
            ("margin", ""),
            ("metrics", ""),
        ]);
        let by_list = read(&[("ids", "a, b/0,")]);
        assert_eq!(by_boxes, by_list);
        assert_eq!(by_list.document(), json!({"ids": ["a", "b/0"]}));
    }

    #[test]
    fn invalid_values_are_left_for_the_api_to_reject() {
        let asked = read(&[
            ("ids", "a,b"),
            ("margin", "wide"),
            ("force", "yes"),
            ("metrics", "x"),
            ("metrics", "y"),
        ]);
        let expected = json!({"ids": ["a", "b"], "metrics": ["x", "y"], "margin": "wide", "force": "yes"});
        assert_eq!(asked.document(), expected);
        let good = read(&[("ids", "a,b"), ("margin", "0.05"), ("force", "true")]);
        assert_eq!(
            good.document(),
            json!({"ids": ["a", "b"], "margin": 0.05, "force": true})
        );
        assert!(good.is_forced() && !asked.is_forced());
    }

    #[test]
    fn links_carry_on_the_whole_query() {
        let asked = read(&[("ids", "a,b,c"), ("margin", "0.05"), ("metrics", "x y")]);
        assert_eq!(asked.with_baseline(&2), "ids=c%2Ca%2Cb&metrics=x+y&margin=0.05");
        assert_eq!(asked.without(&0), "ids=b%2Cc&metrics=x+y&margin=0.05");
        assert_eq!(asked.forced(), "ids=a%2Cb%2Cc&metrics=x+y&margin=0.05&force=true");
        assert_eq!(asked.without(&9), asked.with_baseline(&9));
    }

    #[test]
    fn an_unknown_parameter_is_named() {
        let problem = Asked::read(vec![("id".to_owned(), "a".to_owned())]).unwrap_err();
        assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (400, "id"));
        assert!(
            problem.detail.contains("ids, metrics, margin, force"),
            "{}",
            problem.detail
        );
    }

    #[test]
    fn a_problem_is_shown_at_its_field_with_the_value() {
        let asked = read(&[("ids", "a,x"), ("metrics", "speed")]);
        let problems = [
            FieldProblem::new("/ids/1", "is no id"),
            FieldProblem::new("/metrics/0", "is none"),
            FieldProblem::new("/margin", "is too wide"),
            FieldProblem::new("/marginal", "is another field"),
        ];
        assert_eq!(problems_of(&asked, &problems, "ids"), ["B (x): is no id"]);
        assert_eq!(problems_of(&asked, &problems, "metrics"), ["speed: is none"]);
        assert_eq!(problems_of(&asked, &problems, "margin"), ["is too wide"]);
        assert_eq!(problems_of(&asked, &problems, "force"), Vec::<String>::new());
    }
}
