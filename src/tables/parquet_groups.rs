//! Writes Parquet files row group by row group. A group is built in memory and returned when it is large enough, so
//! memory holds one group and, for each earlier one, some hundred bytes per column of metadata.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::column::{Column, Values};

/// Size in bytes of a group's encoded pages: large enough for fast reading, small enough for several exports at once.
const GROUP_BYTES: usize = 8 << 20;
const GROUP_ROWS: usize = 1 << 16;

/// Writer of a Parquet file.
pub struct Groups {
    schema: Arc<Schema>,
    writer: ArrowWriter<Vec<u8>>,
}

impl Groups {
    /// Creates a writer for these columns.
    pub fn new<R>(columns: &[Column<R>]) -> Result<Self> {
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let properties = WriterProperties::builder()
            .set_created_by(concat!("joulemark ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            // An index of pages would grow in memory with the file until its end.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
        Ok(Self { schema, writer })
    }

    /// Adds rows. Returns the finished part of the file, which is empty while a group is being filled.
    pub fn rows<R>(&mut self, columns: &[Column<R>], rows: &[R]) -> Result<Vec<u8>> {
        let arrays = columns.iter().map(|column| array(&column.values, rows)).collect();
        self.writer.write(&RecordBatch::try_new(self.schema.clone(), arrays)?)?;
        self.ready()
    }

    /// Returns the last group and the end of the file.
    pub fn end(mut self) -> Result<Vec<u8>> {
        self.writer.finish()?;
        self.ready()
    }

    fn ready(&mut self) -> Result<Vec<u8>> {
        // The writer has a buffer before the bytes, and tracks the offset itself.
        self.writer.sync()?;
        Ok(std::mem::take(self.writer.inner_mut()))
    }
}

fn field<R>(column: &Column<R>) -> Field {
    let kind = match column.values {
        Values::Text(_) | Values::Json(_) => DataType::Utf8,
        Values::Time(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Values::Bool(_) => DataType::Boolean,
        Values::Count(_) => DataType::UInt64,
        Values::Whole(_) => DataType::Int64,
        Values::Number(_) => DataType::Float64,
    };
    let about = HashMap::from([("description".to_owned(), column.about.to_string())]);
    Field::new(column.name.as_ref(), kind, true).with_metadata(about)
}

fn array<R>(values: &Values<R>, rows: &[R]) -> ArrayRef {
    match values {
        Values::Text(of) => Arc::new(rows.iter().map(of).collect::<StringArray>()),
        Values::Json(of) => {
            let texts = rows.iter().map(|row| of(row).map(|document| document.to_string()));
            Arc::new(texts.collect::<StringArray>())
        }
        Values::Time(of) => {
            let times = rows.iter().map(|row| of(row).map(|time| time.as_microsecond()));
            Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        Values::Bool(of) => Arc::new(rows.iter().map(of).collect::<BooleanArray>()),
        Values::Count(of) => Arc::new(rows.iter().map(of).collect::<UInt64Array>()),
        Values::Whole(of) => Arc::new(rows.iter().map(of).collect::<Int64Array>()),
        Values::Number(of) => Arc::new(rows.iter().map(of).collect::<Float64Array>()),
    }
}
