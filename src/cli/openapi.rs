use crate::http;

pub fn run() -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(&http::document())?);
    Ok(())
}
