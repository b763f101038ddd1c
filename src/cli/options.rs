//! The options of `joulemark serve`, shared by subcommands that need the server's settings.

use std::path::PathBuf;

use clap::Args;

use crate::config::{self, ConfigError, Flags, Layered};

/// Options of the service. An option that is not given is taken from the environment (`JOULEMARK_…`), then from the
/// configuration file, then from its default.
#[derive(Debug, Args)]
pub struct Options {
    /// TOML file with options [env: JOULEMARK_CONFIG].
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

impl Options {
    /// Returns the settings in force with their origins.
    pub fn load(&self) -> Result<Layered, ConfigError> {
        config::load_here(self.config.as_deref(), &self.flags)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use clap::{CommandFactory as _, Parser as _};
    use toml::{Table, Value};

    use super::*;
    use crate::cli::config::shown;
    use crate::config::{ServerOption, Settings, load};

    #[derive(Debug, clap::Parser)]
    struct OnlyOptions {
        #[command(flatten)]
        options: Options,
    }

    /// Head of the reference, which names the command that regenerates it.
    const REFERENCE_HEAD: &str = "\
# Every option of `joulemark serve` with its default. Each is also a flag (--listen), an environment variable
# (JOULEMARK_LISTEN) and a key of the file that --config names; a flag wins over the environment, that over the file.
# Made from the options' declarations in src/config: UPDATE_REFERENCE=1 cargo test -p joulemark --lib cli::options
";

    fn reference(option: &ServerOption) -> String {
        let comment: String = option.documentation.lines().map(|line| format!("#{line}\n")).collect();
        format!("\n{comment}{} = {}\n", option.name, option.default)
    }

    #[test]
    fn every_option_is_a_flag_with_help_and_there_are_no_other_flags() {
        let command = OnlyOptions::command();
        let flags = command.get_arguments().filter(|flag| flag.get_id() != "config");
        let seen = flags.map(|flag| {
            (
                format!("--{}", flag.get_long().unwrap()),
                flag.get_help().unwrap().to_string(),
            )
        });
        let spelled = |option: &ServerOption| format!("--{}", option.name.replace('_', "-"));
        let declared = Settings::options().map(|option| (spelled(option), option.help()));
        assert_eq!(seen.collect::<Vec<_>>(), declared.collect::<Vec<_>>());
        for option in Settings::options() {
            let (text, value) = match option.default.parse().unwrap() {
                Value::Integer(_) => ("7", Value::Integer(7)),
                Value::Boolean(_) => ("true", Value::Boolean(true)),
                Value::Array(_) => ("x", Value::Array(vec!["x".into()])),
                _ => ("x", "x".into()),
            };
            let given = OnlyOptions::parse_from(["joulemark", &spelled(option), text])
                .options
                .flags;
            assert_eq!(
                Table::try_from(given).unwrap(),
                Table::from_iter([(option.name.to_owned(), value)])
            );
        }
    }

    #[test]
    fn every_option_is_read_from_its_variable_and_shown_with_this_origin() {
        for option in Settings::options() {
            let value: Value = option.default.parse().unwrap();
            let text = match &value {
                Value::String(text) => text.clone(),
                Value::Array(_) => String::new(),
                other => other.to_string(),
            };
            assert_eq!(
                option.variables().next().unwrap(),
                format!("JOULEMARK_{}", option.name.to_uppercase())
            );
            for variable in option.variables() {
                let layered = load(None, |name| (name == variable).then(|| text.clone()), Table::new()).unwrap();
                let line = format!("{} = {value}  # environment {variable}", option.name);
                assert!(shown(&layered).lines().any(|shown| shown == line), "{line}");
            }
        }
    }

    #[test]
    fn the_reference_is_up_to_date_and_a_configuration_file_with_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/options.toml");
        let made = Settings::options().map(reference).collect::<String>();
        let made = format!("{REFERENCE_HEAD}{made}");
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), made);
        let nothing = |_: &str| None;
        let (of_file, of_none) = (
            load(Some(&path), nothing, Table::new()),
            load(None, nothing, Table::new()),
        );
        let (of_file, of_none) = (of_file.unwrap(), of_none.unwrap());
        assert_eq!(of_file.settings, of_none.settings);
        let shown = shown(&of_file);
        let names = shown.lines().map(|line| line.split(' ').next().unwrap());
        let declared = Settings::options().map(|option| option.name).collect();
        assert_eq!(names.collect::<BTreeSet<_>>(), declared);
        let from_the_file = format!("  # file {}", path.display());
        assert!(shown.lines().all(|line| line.ends_with(&from_the_file)));
    }
}
