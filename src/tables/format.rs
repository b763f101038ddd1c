/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180 in UTF-8, with a header line; an unknown value is an empty cell.
    Csv(Spreadsheet),
    /// A JSON object a line; an unknown value is null.
    JsonLines,
    Parquet,
}

/// What opens the CSV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spreadsheet {
    /// A program: every text as it is.
    #[default]
    No,
    /// A spreadsheet, which takes a text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula:
    /// these get an apostrophe in front (OWASP, CSV injection).
    Yes,
}

impl Format {
    /// With every text as it is.
    pub const ALL: [Self; 3] = [Self::Csv(Spreadsheet::No), Self::JsonLines, Self::Parquet];

    /// Its name, which files of it end in as well.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv(_) => "csv",
            Self::JsonLines => "jsonl",
            Self::Parquet => "parquet",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv(_) => "text/csv; charset=utf-8; header=present",
            Self::JsonLines => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Whether a file that breaks off can be told from a whole one; of lines any number could be all.
    pub fn knows_its_end(self) -> bool {
        self == Self::Parquet
    }
}
