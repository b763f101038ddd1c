//! Merges defaults, configuration file, environment and flags, and checks the result.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use joulemark_files::read_given;
use serde::Serialize;
use thiserror::Error;
use toml::{Table, Value};

use super::{ConfiguredEngines, ServerOption, Settings};
use joulemark_measurement::quoted;

/// Layer that a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(String),
    Environment(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Error of loading the configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("the configuration file {path} cannot be read: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("{path} is not TOML: {error}")]
    NotToml { path: String, error: toml::de::Error },
    #[error("the flags cannot be read: {0}")]
    Flags(toml::ser::Error),
    #[error("{origin}: {key} is not an option; accepted are {}", known.join(", "))]
    UnknownOption {
        key: String,
        origin: Origin,
        known: Vec<String>,
    },
    #[error("{origin}: {key} is {value}; accepted is {accepted}", value = quoted(.value))]
    WrongType {
        key: String,
        value: String,
        origin: Origin,
        accepted: &'static str,
    },
    #[error("the configuration is invalid: {0}")]
    WrongValue(toml::de::Error),
    #[error("the configuration is invalid: {}", .0.join("; "))]
    Unusable(Vec<String>),
}

/// The settings in force, and the origin of each value.
#[derive(Clone, Debug)]
pub struct Layered {
    pub settings: Settings,
    pub origins: BTreeMap<String, Origin>,
    pub values: Table,
}

/// Loads the settings from `flags`, this process's environment, the file given by `config` or JOULEMARK_CONFIG, and the
/// defaults.
///
/// # Errors
/// Returns an error as [`load`] does.
pub fn load_here(config: Option<&Path>, flags: &impl Serialize) -> Result<Layered, ConfigError> {
    let flags = Table::try_from(flags).map_err(ConfigError::Flags)?;
    let variable = std::env::var_os("JOULEMARK_CONFIG").map(PathBuf::from);
    load(config.or(variable.as_deref()), |name| std::env::var(name).ok(), flags)
}

/// Variables that subcommands other than `serve` read.
const OTHERS_VARIABLES: [&str; 5] = [
    "JOULEMARK_CONFIG",
    "JOULEMARK_SERVER",
    "JOULEMARK_API_KEY",
    "JOULEMARK_API_KEY_FILE",
    "JOULEMARK_CACERT",
];

/// Rejects variables that begin with JOULEMARK_ and that no subcommand reads, so that a typing error is noticed.
///
/// # Errors
/// Returns [`ConfigError::UnknownOption`] with the first such variable.
pub fn refuse_unknown_variables(names: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    let own = Settings::options().flat_map(ServerOption::variables);
    let known = own.filter(|name| name.starts_with("JOULEMARK_")).collect::<Vec<_>>();
    let is_known = |name: &String| known.contains(name) || OTHERS_VARIABLES.contains(&name.as_str());
    let mut unknown = names.filter(|name| name.starts_with("JOULEMARK_") && !is_known(name));
    match unknown.next() {
        None => Ok(()),
        Some(name) => Err(ConfigError::UnknownOption {
            key: name.clone(),
            origin: Origin::Environment(name),
            known,
        }),
    }
}

/// Key of the table of engines in the file; every other key is an option.
const ENGINES: &str = "engines";

/// Merges the layers: flags override the environment, which overrides the file, which overrides the defaults.
///
/// # Errors
/// Returns a [`ConfigError`] that names the option, its layer and what is accepted.
pub fn load(
    file: Option<&Path>,
    environment: impl Fn(&str) -> Option<String>,
    flags: Table,
) -> Result<Layered, ConfigError> {
    let mut defaults = Table::new();
    for option in Settings::options() {
        let default = option.default.parse().map_err(ConfigError::WrongValue)?;
        defaults.insert(option.name.to_owned(), default);
    }
    let mut values = defaults.clone();
    let mut origins = values
        .keys()
        .map(|key| (key.clone(), Origin::Default))
        .collect::<BTreeMap<_, _>>();
    let mut put = |key: &str, value: Value, origin: Origin| -> Result<(), ConfigError> {
        let Some(slot) = values.get_mut(key) else {
            let known = origins.keys().cloned().collect();
            return Err(ConfigError::UnknownOption {
                key: key.to_owned(),
                origin,
                known,
            });
        };
        if !slot.same_type(&value) {
            let accepted = accepted(slot);
            return Err(ConfigError::WrongType {
                key: key.to_owned(),
                value: value.to_string(),
                origin,
                accepted,
            });
        }
        *slot = value;
        origins.insert(key.to_owned(), origin);
        Ok(())
    };
    let mut engines = ConfiguredEngines::new();
    if let Some(path) = file {
        let shown = path.display().to_string();
        let unreadable = |source| ConfigError::Unreadable {
            path: shown.clone(),
            source,
        };
        let (_, bytes) = read_given(path).map_err(unreadable)?;
        let text =
            String::from_utf8(bytes).map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let table = text.parse::<Table>().map_err(|error| ConfigError::NotToml {
            path: shown.clone(),
            error,
        })?;
        for (key, value) in table {
            if key == ENGINES {
                engines = value.try_into().map_err(ConfigError::WrongValue)?;
                continue;
            }
            put(&key, value, Origin::File(shown.clone()))?;
        }
    }
    for option in Settings::options() {
        let mut given = option.variables().filter_map(|name| Some((environment(&name)?, name)));
        if let Some((text, name)) = given.next() {
            let origin = Origin::Environment(name);
            let value = typed(option.name, &text, &defaults[option.name], &origin)?;
            put(option.name, value, origin)?;
        }
    }
    for (key, value) in flags {
        let origin = Origin::Flag(format!("--{}", key.replace('_', "-")));
        put(&key, value, origin)?;
    }
    let mut settings = Settings::read(&values).map_err(ConfigError::WrongValue)?;
    settings.engines = engines;
    let problems = settings.problems(&values);
    if !problems.is_empty() {
        return Err(ConfigError::Unusable(problems));
    }
    Ok(Layered {
        settings,
        origins,
        values,
    })
}

fn accepted(like: &Value) -> &'static str {
    match like {
        Value::Integer(_) => "an integer",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list of strings",
        _ => "a string",
    }
}

fn typed(key: &str, text: &str, like: &Value, origin: &Origin) -> Result<Value, ConfigError> {
    let value = match like {
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        _ => Some(Value::String(text.to_owned())),
    };
    value.ok_or_else(|| ConfigError::WrongType {
        key: key.to_owned(),
        value: text.to_owned(),
        origin: origin.clone(),
        accepted: accepted(like),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_environment(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_flag_overrides_the_environment_which_overrides_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("joulemark.toml");
        std::fs::write(&file, "models_dir = 'a'\nlog = 'a'\nmax_attempts = 7\n").unwrap();
        let environment = |name: &str| match name {
            "JOULEMARK_LOG" => Some("b".to_owned()),
            "JOULEMARK_MODELS_DIR" => Some("b".to_owned()),
            _ => None,
        };
        let flags = Table::from_iter([("models_dir".to_owned(), Value::String("c".to_owned()))]);
        let layered = load(Some(&file), environment, flags).unwrap();
        assert_eq!(layered.settings.service.models_dir, Path::new("c"));
        assert_eq!(layered.settings.telemetry.log, "b");
        assert_eq!(layered.settings.node.max_attempts, 7);
        assert_eq!(layered.origins["models_dir"], Origin::Flag("--models-dir".to_owned()));
        assert_eq!(layered.origins["log"], Origin::Environment("JOULEMARK_LOG".to_owned()));
        assert_eq!(layered.origins["listen"], Origin::Default);
    }

    #[test]
    fn joulemark_database_url_overrides_database_url() {
        let both = |name: &str| match name {
            "JOULEMARK_DATABASE_URL" => Some("sqlite://own.db".to_owned()),
            "DATABASE_URL" => Some("postgres://general".to_owned()),
            _ => None,
        };
        assert_eq!(
            load(None, both, Table::new()).unwrap().settings.service.database_url,
            "sqlite://own.db"
        );
        let general = |name: &str| (name == "DATABASE_URL").then(|| "postgres://general".to_owned());
        assert_eq!(
            load(None, general, Table::new()).unwrap().settings.service.database_url,
            "postgres://general"
        );
    }

    #[test]
    fn a_list_is_separated_by_commas_in_the_environment() {
        let labels = |name: &str| (name == "JOULEMARK_NODE_LABEL").then(|| "rack=7, gpu=a100".to_owned());
        let settings = load(None, labels, Table::new()).unwrap().settings;
        assert_eq!(settings.node.node_label, ["rack=7", "gpu=a100"]);
        assert_eq!(settings.node.labels()["gpu"], "a100");
        let wrong = |name: &str| (name == "JOULEMARK_NODE_LABEL").then(|| "rack".to_owned());
        let message = load(None, wrong, Table::new()).unwrap_err().to_string();
        assert!(message.contains("accepted is NAME=VALUE"), "{message}");
    }

    #[test]
    fn an_unknown_option_and_a_wrong_value_are_named() {
        let flags = Table::from_iter([("sample_intervall_ms".to_owned(), Value::Integer(5))]);
        let message = load(None, no_environment, flags).unwrap_err().to_string();
        assert!(message.contains("sample_intervall_ms is not an option"), "{message}");
        let wrong = |name: &str| (name == "JOULEMARK_MAX_ATTEMPTS").then(|| "three".to_owned());
        let message = load(None, wrong, Table::new()).unwrap_err().to_string();
        assert!(
            message.contains("environment JOULEMARK_MAX_ATTEMPTS: max_attempts is \"three\""),
            "{message}"
        );
        let low = Table::from_iter([("sample_interval_ms".to_owned(), Value::Integer(1))]);
        let message = load(None, no_environment, low).unwrap_err().to_string();
        assert!(message.contains("accepted are 5 to 10000"), "{message}");
    }

    #[test]
    fn a_variable_that_no_subcommand_reads_is_rejected() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
                .into_iter()
        };
        let others = [
            "JOULEMARK_API_KEY",
            "JOULEMARK_SERVER",
            "JOULEMARK_LISTEN",
            "PATH",
            "MY_JOULEMARK_X",
        ];
        assert!(refuse_unknown_variables(names(&others)).is_ok());
        for wrong in ["JOULEMARK_LISTN", "JOULEMARK_", "JOULEMARK_listen"] {
            let message = refuse_unknown_variables(names(&["PATH", wrong]))
                .unwrap_err()
                .to_string();
            assert!(message.contains(&format!("{wrong} is not an option")), "{message}");
            assert!(message.contains("JOULEMARK_LISTEN"), "{message}");
        }
    }
}
