use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use joulemark_measurement::clock::Monotonic;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::database::Database;
use super::server::Server;

pub const FORMATS: [&str; 3] = ["csv", "jsonl", "parquet"];

/// One export of everything, into a client that takes it as fast as it comes.
pub struct Export {
    rows: u64,
    bytes: u64,
    seconds: f64,
    /// The server's largest memory, in bytes: before the export, and after it.
    peak_bytes: [u64; 2],
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = self.peak_bytes.map(|bytes| bytes as f64 / 1e6);
        write!(
            f,
            "{} rows, {:.1} MB in {:.1} s: {:.0} rows/s, peak memory {before:.0} MB before, {after:.0} MB after",
            self.rows,
            self.bytes as f64 / 1e6,
            self.seconds,
            self.rows as f64 / self.seconds
        )
    }
}

/// From a server of its own, whose peak nothing else raised.
pub fn export(database: &Database, format: &str, expected: u64) -> Export {
    let server = Server::start(database, &[]);
    let before = server.peak_bytes();
    let file = tempfile::NamedTempFile::new()
        .expect("a temporary file")
        .into_temp_path();
    let start = Monotonic::now();
    let mut child = Command::new("curl")
        .args(["-sS", "--fail"])
        .arg(format!("{}/v1/experiments/export?format={format}", server.url))
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl is there");
    let (mut bytes, mut lines) = (0, 0);
    let mut kept = (format == "parquet").then(|| File::create(&file).expect("a file"));
    let mut body = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut part = vec![0; 1 << 20];
    loop {
        let length = body.read(&mut part).expect("curl writes");
        if length == 0 {
            break;
        }
        bytes += length as u64;
        lines += part[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
        if let Some(kept) = &mut kept {
            kept.write_all(&part[..length]).expect("there is room");
        }
    }
    let seconds = Monotonic::now().sec_since(start);
    assert!(child.wait().expect("curl ends").success(), "the export broke off");
    let rows = match format {
        "csv" => lines - 1,
        "jsonl" => lines,
        _ => rows_of(&file),
    };
    assert_eq!(rows, expected, "{format}");
    Export {
        rows,
        bytes,
        seconds,
        peak_bytes: [before, server.peak_bytes()],
    }
}

fn rows_of(file: &Path) -> u64 {
    let reader = SerializedFileReader::new(File::open(file).expect("it is there")).expect("a Parquet file");
    reader.metadata().file_metadata().num_rows().unsigned_abs()
}
