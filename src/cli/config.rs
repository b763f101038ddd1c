//! `joulemark config`: the configuration in force.

use toml::Value;

use super::options::Options;
use super::say::say;
use crate::config::Layered;

pub fn run(options: Options) -> anyhow::Result<()> {
    say(&shown(&options.load()?))
}

/// Returns one TOML line for each option, with its origin as a comment. A password in the database URL is not shown.
pub fn shown(layered: &Layered) -> String {
    let line = |(key, value): (&String, &Value)| {
        let value = match key.as_str() {
            "database_url" => without_password(&value.to_string()),
            _ => value.to_string(),
        };
        format!("{key} = {value}  # {}\n", layered.origins[key])
    };
    layered.values.iter().map(line).collect()
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let Some((credentials, host)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    let user = credentials.split(':').next().unwrap_or_default();
    if credentials.contains(':') {
        format!("{scheme}://{user}:…@{host}")
    } else {
        url.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(
            without_password("postgres://lab:secret@db/jm"),
            "postgres://lab:…@db/jm"
        );
        assert_eq!(without_password("postgres://lab@db/jm"), "postgres://lab@db/jm");
        assert_eq!(without_password("sqlite://joulemark.db"), "sqlite://joulemark.db");
    }
}
