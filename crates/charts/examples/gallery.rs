//! Writes a page with every chart to the file named by the argument, for viewing.

use std::fmt::Write as _;

use joulemark_charts as charts;

#[path = "../src/tests/samples.rs"]
mod samples;

/// Style of the page itself.
const PAGE: &str = ":root{color-scheme:light dark}body{font-family:system-ui,sans-serif;margin:1rem auto;max-width:52rem;\
     padding:0 1rem;background:#fff;color:#1b2128}figure{margin:2rem 0}figcaption{font-weight:600;margin-bottom:.5rem}\
     @media (prefers-color-scheme:dark){body{background:#14181d;color:#e8ecf0}}";

fn main() -> std::io::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "gallery.html".to_owned());
    std::fs::write(path, page())
}

/// Returns the page, with each chart below its title.
fn page() -> String {
    let mut body = String::new();
    for (title, svg) in samples::all() {
        let _ = writeln!(body, "<figure><figcaption>{title}</figcaption>{svg}</figure>");
    }
    let style = charts::STYLE;
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Charts</title><style>{style}{PAGE}</style><h1>Charts</h1>\n{body}</html>"
    )
}
