use super::options::Options;

/// One line an option, in TOML, with its origin as a comment. A password in the database URL is not printed.
pub fn run(options: Options) -> anyhow::Result<()> {
    let layered = options.load()?;
    for (key, value) in &layered.values {
        let shown = if key == "database_url" {
            without_password(&value.to_string())
        } else {
            value.to_string()
        };
        println!("{key} = {shown}  # {}", layered.origins[key]);
    }
    Ok(())
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
