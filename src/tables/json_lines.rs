//! Writes rows as JSON Lines.

use serde::ser::{SerializeMap as _, Serializer as _};

use super::column::{Column, Values};

/// Returns the lines of these rows.
pub fn rows<R>(columns: &[Column<R>], rows: &[R]) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for row in rows {
        let mut writer = serde_json::Serializer::new(&mut bytes);
        let mut object = writer.serialize_map(Some(columns.len()))?;
        for column in columns {
            let name = &column.name;
            match &column.values {
                Values::Text(of) => object.serialize_entry(name, &of(row)),
                Values::Json(of) => object.serialize_entry(name, &of(row)),
                Values::Time(of) => object.serialize_entry(name, &of(row)),
                Values::Bool(of) => object.serialize_entry(name, &of(row)),
                Values::Count(of) => object.serialize_entry(name, &of(row)),
                Values::Whole(of) => object.serialize_entry(name, &of(row)),
                Values::Number(of) => object.serialize_entry(name, &of(row)),
            }?;
        }
        object.end()?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tables::column::{held, json as json_column, number, text};

    #[test]
    fn each_line_is_an_object_with_all_columns() {
        let columns = [
            text("name", "", |row: &(String, Option<f64>)| held(&row.0)),
            number("energy_j", "", |row| row.1),
            json_column("labels", "", |_| Some(json!({"a": "b"}))),
        ];
        let given = [("a\n\"b\"".to_owned(), None), (String::new(), Some(1e300))];
        let text = String::from_utf8(rows(&columns, &given).unwrap()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert_eq!(
            lines.collect::<Vec<_>>(),
            [
                json!({"name": "a\n\"b\"", "energy_j": null, "labels": {"a": "b"}}),
                json!({"name": "", "energy_j": 1e300, "labels": {"a": "b"}}),
            ]
        );
        assert!(text.ends_with('\n') && rows(&columns, &[]).unwrap().is_empty());
    }
}
