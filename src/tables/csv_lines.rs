//! Writes rows as CSV.

use std::borrow::Cow;

use csv::{Terminator, Writer, WriterBuilder};

use super::column::{Column, Values};
use super::format::Spreadsheet;

/// Returns the header line.
pub fn header<R>(columns: &[Column<R>]) -> csv::Result<Vec<u8>> {
    let mut lines = lines();
    lines.write_record(columns.iter().map(|column| column.name.as_bytes()))?;
    into_bytes(lines)
}

/// Returns the lines of these rows.
pub fn rows<R>(columns: &[Column<R>], rows: &[R], spreadsheet: Spreadsheet) -> csv::Result<Vec<u8>> {
    let mut lines = lines();
    for row in rows {
        for column in columns {
            lines.write_field(cell(&column.values, row, spreadsheet).as_bytes())?;
        }
        // This ends the line.
        lines.write_record(None::<&[u8]>)?;
    }
    into_bytes(lines)
}

fn lines() -> Writer<Vec<u8>> {
    WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new())
}

fn into_bytes(lines: Writer<Vec<u8>>) -> csv::Result<Vec<u8>> {
    lines.into_inner().map_err(|error| error.into_error().into())
}

fn cell<'a, R>(values: &Values<R>, row: &'a R, spreadsheet: Spreadsheet) -> Cow<'a, str> {
    let written = match values {
        Values::Text(of) => of(row).map(|text| guarded(text, spreadsheet)),
        Values::Json(of) => of(row).map(|document| Cow::Owned(document.to_string())),
        Values::Time(of) => of(row).map(|time| Cow::Owned(time.to_string())),
        Values::Bool(of) => of(row).map(|bool| Cow::Borrowed(if bool { "true" } else { "false" })),
        Values::Count(of) => of(row).map(|count| Cow::Owned(count.to_string())),
        Values::Whole(of) => of(row).map(|whole| Cow::Owned(whole.to_string())),
        // As in JSON: the shortest form that parses to the same number, and nothing for infinities.
        Values::Number(of) => of(row)
            .and_then(serde_json::Number::from_f64)
            .map(|number| Cow::Owned(number.to_string())),
    };
    written.unwrap_or_default()
}

fn guarded(text: Cow<'_, str>, spreadsheet: Spreadsheet) -> Cow<'_, str> {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if spreadsheet == Spreadsheet::Yes && is_formula {
        Cow::Owned(format!("'{text}"))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tables::column::{count, held, number, text};

    type Row = (String, Option<f64>, Option<u64>);

    fn columns() -> Vec<Column<Row>> {
        vec![
            text("name", "", |row: &Row| held(&row.0)),
            number("energy_j", "", |row: &Row| row.1),
            count("seed", "", |row: &Row| row.2),
        ]
    }

    fn written(given: &[Row], spreadsheet: Spreadsheet) -> String {
        let columns = columns();
        let bytes = [header(&columns).unwrap(), rows(&columns, given, spreadsheet).unwrap()].concat();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_end_as_in_rfc_4180_and_unknown_values_are_empty() {
        let rows = [
            ("a,\"b\"\r\nc".to_owned(), Some(0.0), None),
            ("=1+1".to_owned(), None, Some(u64::MAX)),
        ];
        assert_eq!(
            written(&rows, Spreadsheet::No),
            "name,energy_j,seed\r\n\"a,\"\"b\"\"\r\nc\",0.0,\r\n=1+1,,18446744073709551615\r\n"
        );
    }

    #[test]
    fn for_a_spreadsheet_no_text_begins_like_a_formula_and_numbers_are_unchanged() {
        for begin in ["=", "+", "-", "@", "\t", "\r"] {
            let rows = [(format!("{begin}cmd"), Some(-1.5), None)];
            let text = written(&rows, Spreadsheet::Yes);
            assert!(text.contains(&format!("'{begin}cmd")), "{text:?}");
            assert!(text.contains(",-1.5,"), "{text:?}");
        }
        assert!(written(&[("a=1".to_owned(), None, None)], Spreadsheet::Yes).contains("\r\na=1,"));
    }

    proptest! {
        #[test]
        fn every_text_and_number_is_parsed_to_itself(name in "\\PC{0,20}|[=,\"\r\n]{0,5}", energy_j in prop::option::of(any::<f64>()), seed in any::<Option<u64>>()) {
            let energy_j = energy_j.filter(|energy_j| energy_j.is_finite());
            let text = written(&[(name.clone(), energy_j, seed)], Spreadsheet::No);
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let records = reader.records().collect::<Result<Vec<_>, _>>().unwrap();
            prop_assert_eq!(records.len(), 1);
            prop_assert_eq!(&records[0][0], name.as_str());
            prop_assert_eq!(records[0][1].parse::<f64>().ok(), energy_j);
            prop_assert_eq!(records[0][2].parse::<u64>().ok(), seed);
        }
    }
}
