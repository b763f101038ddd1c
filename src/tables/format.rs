//! File formats of tables.

/// File format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180 in UTF-8 with a header line. An unknown value is an empty cell.
    Csv(Spreadsheet),
    /// One JSON object per line. An unknown value is null.
    JsonLines,
    Parquet,
}

/// Whether the CSV is for a spreadsheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spreadsheet {
    /// For a program: every text is unchanged.
    #[default]
    No,
    /// For a spreadsheet, which interprets a text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return as a
    /// formula. Such texts are prefixed with an apostrophe (OWASP, CSV injection).
    Yes,
}

impl Format {
    /// All formats, with unchanged texts.
    pub const ALL: [Self; 3] = [Self::Csv(Spreadsheet::No), Self::JsonLines, Self::Parquet];

    /// Returns the name of the format, which is also its file extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv(_) => "csv",
            Self::JsonLines => "jsonl",
            Self::Parquet => "parquet",
        }
    }

    /// Returns the media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv(_) => "text/csv; charset=utf-8; header=present",
            Self::JsonLines => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Returns whether a truncated file can be recognized. The line formats do not mark their end.
    pub fn knows_its_end(self) -> bool {
        self == Self::Parquet
    }
}
