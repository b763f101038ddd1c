//! The schema of a summary row, generated from the columns.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::tables::{Column, ExperimentRow, Values, experiment_columns};

/// A row of the summary table.
pub struct ExportRow;

impl PartialSchema for ExportRow {
    fn schema() -> RefOr<Schema> {
        row_schema(&experiment_columns())
    }
}

impl ToSchema for ExportRow {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ExportRow")
    }
}

/// Returns the schema of a row with these columns.
pub fn row_schema(columns: &[Column<ExperimentRow>]) -> RefOr<Schema> {
    let description = "An experiment as a row, with the columns of every format, in this order. An unknown value is null; in \
            CSV an empty cell. In CSV and Parquet a JSON value is given as text.";
    let object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description));
    let object = columns.iter().fold(object, |object, column| {
        object
            .property(column.name.as_ref(), schema(column))
            .required(column.name.as_ref())
    });
    RefOr::T(Schema::Object(object.build()))
}

fn schema<R>(column: &Column<R>) -> ObjectBuilder {
    let or_null = |kind| SchemaType::Array(vec![kind, Type::Null]);
    let (kinds, format) = match column.values {
        Values::Text(_) => (or_null(Type::String), None),
        Values::Json(_) => (SchemaType::AnyValue, None),
        Values::Time(_) => (or_null(Type::String), Some(KnownFormat::DateTime)),
        Values::Bool(_) => (or_null(Type::Boolean), None),
        Values::Count(_) | Values::Whole(_) => (or_null(Type::Integer), Some(KnownFormat::Int64)),
        Values::Number(_) => (or_null(Type::Number), Some(KnownFormat::Double)),
    };
    ObjectBuilder::new()
        .schema_type(kinds)
        .format(format.map(SchemaFormat::KnownFormat))
        .description(Some(column.about.as_ref()))
}
