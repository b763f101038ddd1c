//! The format that an export is requested in.

use axum::http::{HeaderMap, header};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::http::problem::Problem;
use crate::tables::{Format, Spreadsheet};
use joulemark_measurement::quoted;

/// Media types accepted in `Accept` besides that of the answer.
const ALIASES: [(&str, Format); 3] = [
    ("application/jsonl", Format::JsonLines),
    ("application/jsonlines", Format::JsonLines),
    ("application/x-jsonlines", Format::JsonLines),
];

/// Returns the format of the parameter, or else of the client's `Accept` header.
pub fn format(parameter: Option<&str>, headers: &HeaderMap) -> Result<Format, Problem> {
    match parameter {
        Some(name) => by_name(name),
        None => by_accept(headers),
    }
}

fn by_name(name: &str) -> Result<Format, Problem> {
    let found = Format::ALL.into_iter().find(|format| format.name() == name);
    let names = Format::ALL.map(Format::name).join(", ");
    found.ok_or_else(|| {
        Problem::invalid_parameter(
            "format",
            format!("is {name}; accepted are {names}", name = quoted(&name)),
        )
    })
}

/// Returns the schema of the parameter `format`.
pub fn format_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(Format::ALL.map(Format::name)))
        .description(Some(
            "Format of the table. Without it the `Accept` header decides; the default is `csv`.",
        ))
        .build()
}

/// Returns the format, with CSV made safe for spreadsheets if the parameter `spreadsheet` asks for it.
pub fn for_spreadsheet(parameter: Option<&str>, format: Format) -> Result<Format, Problem> {
    let refuse = |detail: &str| Err(Problem::invalid_parameter("spreadsheet", detail));
    match (parameter, format) {
        (None | Some("false"), format) => Ok(format),
        (Some("true"), Format::Csv(_)) => Ok(Format::Csv(Spreadsheet::Yes)),
        (Some("true"), _) => refuse("is given; it is accepted only with format=csv"),
        (Some(_), _) => refuse("is neither true nor false; accepted are true and false"),
    }
}

/// Returns the best format for the `Accept` header; CSV if the header is absent.
fn by_accept(headers: &HeaderMap) -> Result<Format, Problem> {
    let values = headers.get_all(header::ACCEPT).iter();
    let text = values
        .filter_map(|value| value.to_str().ok())
        .collect::<Vec<_>>()
        .join(",");
    let ranges = text.split(',').filter_map(range).collect::<Vec<_>>();
    if ranges.is_empty() {
        return Ok(Format::ALL[0]);
    }
    let rated = Format::ALL.map(|format| (format, quality(&ranges, format)));
    // Of equal weights, prefer the first format.
    let best = rated
        .into_iter()
        .rev()
        .max_by(|(_, one), (_, other)| one.total_cmp(other));
    match best {
        Some((format, quality)) if quality > 0.0 => Ok(format),
        _ => Err(Problem::not_acceptable(&text, &Format::ALL.map(essence).join(", "))),
    }
}

fn essence(format: Format) -> &'static str {
    format.content_type().split(';').next().unwrap_or_default()
}

/// Returns a media range and its weight; `None` for an empty one.
fn range(text: &str) -> Option<(String, f64)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next()?.to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = weight.map_or(Some(1.0), |weight| weight.parse().ok());
    (!range.is_empty()).then_some((range, weight.unwrap_or(0.0)))
}

/// Returns the weight of the most specific range that matches the format; 0 if none matches.
fn quality(ranges: &[(String, f64)], format: Format) -> f64 {
    let own = essence(format);
    let group = own.split('/').next().unwrap_or_default();
    let precision = |range: &str| {
        let is_alias = ALIASES.contains(&(range, format));
        match range {
            "*/*" => Some(0),
            _ if range.strip_suffix("/*") == Some(group) => Some(1),
            _ if range == own || is_alias => Some(2),
            _ => None,
        }
    };
    let fitting = ranges
        .iter()
        .filter_map(|(range, weight)| Some((precision(range)?, *weight)));
    fitting
        .max_by_key(|(precision, _)| *precision)
        .map_or(0.0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn accepted(accept: &str) -> Result<&'static str, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
        format(None, &headers).map(Format::name)
    }

    #[test]
    fn the_parameter_precedes_the_header_and_csv_is_the_default() {
        let mut headers = HeaderMap::new();
        assert_eq!(format(None, &headers).unwrap().name(), "csv");
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/csv"));
        assert_eq!(format(Some("parquet"), &headers).unwrap().name(), "parquet");
        let problem = format(Some("xlsx"), &headers).unwrap_err();
        assert!(problem.detail.contains("csv, jsonl, parquet"), "{}", problem.detail);
    }

    #[test]
    fn the_matching_range_with_the_highest_weight_decides() {
        for (accept, expected) in [
            ("*/*", "csv"),
            ("application/*", "jsonl"),
            ("application/x-ndjson", "jsonl"),
            ("application/jsonl", "jsonl"),
            ("application/vnd.apache.parquet, */*;q=0.1", "parquet"),
            ("text/csv;q=0.2, application/x-ndjson;q=0.3", "jsonl"),
            ("text/csv;q=0, */*", "jsonl"),
            ("text/html, application/xhtml+xml, */*;q=0.8", "csv"),
            ("TEXT/CSV; header=present", "csv"),
        ] {
            assert_eq!(accepted(accept).ok(), Some(expected), "{accept}");
        }
        for accept in ["application/json", "text/html", "text/csv;q=0", "image/*"] {
            let problem = accepted(accept).unwrap_err();
            assert_eq!(problem.status, 406, "{accept}");
            assert!(
                problem.detail.contains("application/vnd.apache.parquet"),
                "{}",
                problem.detail
            );
        }
    }

    #[test]
    fn only_csv_is_made_for_a_spreadsheet() {
        let csv = Format::ALL[0];
        assert_eq!(for_spreadsheet(Some("true"), csv), Ok(Format::Csv(Spreadsheet::Yes)));
        assert_eq!(for_spreadsheet(None, Format::Parquet), Ok(Format::Parquet));
        for (parameter, format) in [("true", Format::JsonLines), ("yes", csv), ("", csv)] {
            let problem = for_spreadsheet(Some(parameter), format).unwrap_err();
            assert_eq!(problem.errors[0].pointer, "spreadsheet");
        }
    }
}
