//! The page that defines each metric, from the table of metrics.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::html::page;
use super::layout::Page;
use super::metric_words;
use crate::http::problem::Problem;
use joulemark_analysis::metrics::{Better, Explanation, explain, explanations};

/// Page with the definitions of all metrics.
#[derive(Template)]
#[template(path = "figures.html")]
struct Figures {
    page: Page,
    definitions: Definitions,
}

/// Definitions of metrics, grouped by the objects of a result.
#[derive(Template)]
#[template(path = "definitions.html")]
pub struct Definitions {
    /// Prefix of every anchor, so that anchors are unique within a document.
    prefix: &'static str,
    groups: Vec<DefinitionGroup>,
}

struct DefinitionGroup {
    title: String,
    /// Path of the object in a result; empty for metrics in no object.
    path: String,
    figures: Vec<Definition>,
}

/// Definition of one metric.
struct Definition {
    anchor: String,
    /// Path in a result, e.g. `inference.tokens_per_second`.
    place: String,
    label: String,
    unit: &'static str,
    better: &'static str,
    description: Vec<Piece>,
    formula: Vec<Piece>,
    source: Vec<Piece>,
    limits: Vec<Piece>,
}

/// Part of a text: words, or a name, with an anchor if it is a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    is_name: bool,
    anchor: Option<String>,
}

impl Definitions {
    /// Returns the definitions of all metrics; their anchors begin with `prefix`.
    pub fn new(prefix: &'static str) -> Self {
        let mut groups: Vec<DefinitionGroup> = Vec::new();
        for explanation in explanations() {
            let path = explanation.group.clone();
            let figure = Definition::of(explanation);
            match groups.iter_mut().find(|group| group.path == path) {
                Some(group) => group.figures.push(figure),
                None => groups.push(DefinitionGroup {
                    title: title(&path),
                    path,
                    figures: vec![figure],
                }),
            }
        }
        Self { prefix, groups }
    }
}

fn title(path: &str) -> String {
    match path {
        "" => "Other".to_owned(),
        "cycle_sd" => "Spread over cycles".to_owned(),
        path => metric_words::label(path.rsplit('.').next().unwrap_or(path)),
    }
}

impl Definition {
    fn of(explanation: Explanation) -> Self {
        let better = match explanation.better {
            Better::Lower => "lower is better",
            Better::Higher => "higher is better",
            Better::Neither => "neither lower nor higher is better",
        };
        Self {
            anchor: anchor(&explanation),
            place: explanation.place(),
            label: metric_words::label(explanation.name),
            unit: explanation.unit,
            better,
            description: pieces(&explanation.description),
            formula: explanation.formula.as_deref().map_or_else(Vec::new, pieces),
            source: pieces(explanation.source),
            limits: pieces(explanation.limits),
        }
    }
}

/// Returns the anchor: the metric's name, or the path for a spread, which has the same name as its metric.
fn anchor(explanation: &Explanation) -> String {
    match explanation.group.as_str() {
        "cycle_sd" => explanation.place(),
        _ => explanation.name.to_owned(),
    }
}

/// Splits a text at the names in backquotes.
fn pieces(text: &str) -> Vec<Piece> {
    let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    let parts = parts.map(|(place, part)| {
        let is_name = place % 2 == 1;
        let figure = explain(part).filter(|_| is_name);
        Piece {
            text: part.replace('\n', " "),
            is_name,
            anchor: figure.as_ref().map(anchor),
        }
    });
    parts.collect()
}

/// Shows the definitions of all metrics.
pub async fn figures(shown_in: Page) -> Result<Response, Problem> {
    let view = Figures {
        page: shown_in,
        definitions: Definitions::new(""),
    };
    page(StatusCode::OK, &view)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use joulemark_analysis::metrics::all;

    use super::*;

    #[test]
    fn every_metric_has_one_anchor_and_all_links_lead_to_anchors() {
        let definitions = Definitions::new("");
        let figures = || definitions.groups.iter().flat_map(|group| &group.figures);
        let anchors: HashSet<&str> = figures().map(|figure| figure.anchor.as_str()).collect();
        assert_eq!(anchors.len(), figures().count());
        for metric in all() {
            assert!(anchors.contains(metric.name), "{}", metric.name);
        }
        let texts = figures().flat_map(|figure| [&figure.description, &figure.formula, &figure.source, &figure.limits]);
        let links: Vec<&str> = texts.flatten().filter_map(|piece| piece.anchor.as_deref()).collect();
        assert!(links.len() > 50);
        for link in links {
            assert!(anchors.contains(link), "{link}");
        }
    }

    #[test]
    fn names_in_a_text_are_distinguished_from_words() {
        let found = pieces("`total_energy_j` over `nothing`.");
        let shown: Vec<_> = found
            .iter()
            .map(|piece| (piece.text.as_str(), piece.anchor.as_deref(), piece.is_name))
            .collect();
        assert_eq!(
            shown,
            [
                ("total_energy_j", Some("total_energy_j"), true),
                (" over ", None, false),
                ("nothing", None, true),
                (".", None, false)
            ]
        );
    }
}
