//! The tables `[engines.NAME]` of the configuration file: inference servers that are started for each experiment by
//! `command`, or that run already at `endpoint`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use joulemark_experiment::{Argument, ArgumentValues, DEFAULT_ENGINE, MAX_ARGUMENTS, OfferedServer, SYNTHETIC_ENGINE};
use joulemark_measurement::quoted;
use joulemark_openai::Endpoint;
use serde::Deserialize;

/// Placeholders in a command that the service fills in.
const OWN_PLACEHOLDERS: [&str; 5] = ["model_path", "port", "context", "gpus", "threads"];

/// Names that a configured engine must not have.
const TAKEN: [&str; 2] = [DEFAULT_ENGINE, SYNTHETIC_ENGINE];

/// Configured engines by name.
pub type ConfiguredEngines = BTreeMap<String, EngineSettings>;

/// One engine that is an inference server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineSettings {
    pub kind: EngineKind,
    /// Program and arguments, one element each, for an engine that is started for each experiment. `{name}` in an
    /// element is replaced by the argument of that name, or by a value of the service: `{model_path}`, `{port}`,
    /// `{context}`, `{gpus}` or `{threads}`.
    #[serde(default)]
    pub command: Vec<String>,
    /// URL of an engine that runs already.
    #[serde(default)]
    pub endpoint: String,
    /// Path that responds with 200 once the server is ready; `/v1/models` if empty.
    #[serde(default)]
    pub health: String,
    /// Maximum time in seconds until the server is ready.
    #[serde(default = "default_ready_sec")]
    pub ready_sec: u32,
    /// Arguments that a submission may set.
    #[serde(default)]
    pub arguments: BTreeMap<String, Argument>,
    /// Environment variables of the service that are passed to the engine.
    #[serde(default)]
    pub environment: Vec<String>,
    /// Name of the model on the server; if empty, the model that it serves.
    #[serde(default)]
    pub model_name: String,
    /// Files of the model, needed to count the FLOPs of an engine that runs already.
    #[serde(default)]
    pub model_path: PathBuf,
    /// File with the API key of the server.
    #[serde(default)]
    pub api_key_file: PathBuf,
    /// Systemd unit whose processes are the engine.
    #[serde(default)]
    pub systemd_unit: String,
    /// File with the PID of the engine.
    #[serde(default)]
    pub pid_file: PathBuf,
}

/// Protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// The OpenAI API: vLLM, SGLang, llama.cpp, TGI, Ollama and others.
    Openai,
}

fn default_ready_sec() -> u32 {
    600
}

impl EngineSettings {
    /// Returns whether the service starts the engine for each experiment.
    pub fn is_managed(&self) -> bool {
        !self.command.is_empty()
    }

    /// Returns the description of the engine for submitters.
    pub fn offered(&self, name: &str) -> OfferedServer {
        OfferedServer {
            name: name.to_owned(),
            managed: self.is_managed(),
            model_name: Some(self.model_name.clone()).filter(|name| !name.is_empty()),
            arguments: self.arguments.clone(),
        }
    }

    /// Returns the command with every `{name}` replaced by the argument of that name, or else by the service's value in
    /// `own`.
    pub fn filled_command(&self, own: &BTreeMap<&str, String>, arguments: &ArgumentValues) -> Vec<String> {
        let fill = |element: &String| {
            let mut filled = String::new();
            let mut rest = element.as_str();
            while let Some((before, after)) = rest.split_once('{') {
                filled.push_str(before);
                let named = after.split_once('}');
                let value = named.and_then(|(name, rest)| {
                    let argument = arguments.get(name).map(ToString::to_string);
                    Some((argument.or_else(|| own.get(name).cloned())?, rest))
                });
                match value {
                    Some((value, after)) => {
                        filled.push_str(&value);
                        rest = after;
                    }
                    None => {
                        filled.push('{');
                        rest = after;
                    }
                }
            }
            filled + rest
        };
        self.command.iter().map(fill).collect()
    }

    fn problems(&self, name: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let mut problem = |text: String| problems.push(format!("engines.{name}: {text}"));
        if TAKEN.contains(&name) {
            problem(format!(
                "the name is reserved; accepted is any name except {}",
                TAKEN.join(" and ")
            ));
        }
        if !is_name(name) {
            problem("the name is invalid; accepted are up to 100 letters, digits, '-', '_' and '.'".to_owned());
        }
        match (self.is_managed(), self.endpoint.is_empty()) {
            (true, false) => problem("it has both command and endpoint; accepted is one of them".to_owned()),
            (false, true) => problem("it has neither command nor endpoint; one of them is needed".to_owned()),
            (false, false) => {
                if let Err(error) = self.endpoint.parse::<Endpoint>() {
                    problem(format!("endpoint {} {error}", quoted(&self.endpoint)));
                }
            }
            (true, true) => {}
        }
        if !self.is_managed() && !self.arguments.is_empty() {
            problem("arguments need a command; an engine that runs already has its own".to_owned());
        }
        let of_attached = [
            ("systemd_unit", !self.systemd_unit.is_empty()),
            ("pid_file", !self.pid_file.as_os_str().is_empty()),
            ("model_path", !self.model_path.as_os_str().is_empty()),
        ];
        for (option, _) in of_attached
            .into_iter()
            .filter(|(_, is_set)| *is_set && self.is_managed())
        {
            problem(format!("{option} is for an engine with endpoint; remove it"));
        }
        if !self.health.is_empty() && !self.health.starts_with('/') {
            problem(format!(
                "health is {}; accepted is a path, such as /health",
                quoted(&self.health)
            ));
        }
        if self.ready_sec == 0 {
            problem("ready_sec is 0; accepted is 1 or more".to_owned());
        }
        if self.arguments.len() > MAX_ARGUMENTS {
            problem(format!(
                "it has {} arguments; accepted are at most {MAX_ARGUMENTS}",
                self.arguments.len()
            ));
        }
        for variable in self.environment.iter().filter(|variable| is_own_variable(variable)) {
            problem(format!(
                "environment has {variable}, a variable of the service; accepted is any other"
            ));
        }
        problems.extend(self.argument_problems(name));
        problems
    }

    fn argument_problems(&self, name: &str) -> Vec<String> {
        let mut problems = Vec::new();
        for (argument, takes) in &self.arguments {
            let mut problem = |text: &str| problems.push(format!("engines.{name}.arguments.{argument}: {text}"));
            let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if argument.is_empty() || !argument.chars().all(is_word) {
                problem("the name is invalid; accepted are lower-case letters, digits and '_'");
            }
            if OWN_PLACEHOLDERS.contains(&argument.as_str()) && argument != "context" {
                problem("the service fills in this placeholder; accepted is another name");
            }
            if takes.accept(&takes.default_value()).is_none() {
                problem(&format!(
                    "the default is not accepted; accepted is {}",
                    takes.accepted()
                ));
            }
            if let Argument::Choice { choice, .. } = takes
                && choice.iter().any(|word| word.is_empty() || word.starts_with('-'))
            {
                problem("a choice is empty or begins with '-'; accepted is any other text");
            }
            let starts_with_it = format!("{{{argument}}}");
            let may_be_negative = match takes {
                Argument::Integer {
                    integer: [least, _], ..
                } => *least < 0,
                Argument::Number { number: [least, _], .. } => *least < 0.0,
                Argument::Choice { .. } => false,
            };
            if may_be_negative && self.command.iter().any(|element| element.starts_with(&starts_with_it)) {
                problem("a negative value would make the element begin with '-'; write it as --option={name}");
            }
            if !self.command.iter().any(|element| element.contains(&starts_with_it)) {
                problem("no element of the command contains it");
            }
        }
        for placeholder in self.command.iter().flat_map(|element| placeholders(element)) {
            let is_known = OWN_PLACEHOLDERS.contains(&placeholder) || self.arguments.contains_key(placeholder);
            if !is_known {
                let own = OWN_PLACEHOLDERS.join(", ");
                problems.push(format!(
                    "engines.{name}.command has {{{placeholder}}}, which is not defined; accepted are {own} and the engine's arguments"
                ));
            }
        }
        problems
    }
}

/// Returns the names of the placeholders in an element.
fn placeholders(element: &str) -> impl Iterator<Item = &str> {
    element.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        (!name.is_empty() && name.chars().all(is_word)).then_some(name)
    })
}

fn is_name(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.len() <= 100 && name.chars().all(is_good)
}

/// Returns whether the variable is the service's own; some of these hold secrets.
fn is_own_variable(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    upper.starts_with("JOULEMARK_") || upper == "DATABASE_URL"
}

/// Returns the problems of all configured engines.
pub fn problems(engines: &ConfiguredEngines) -> Vec<String> {
    engines
        .iter()
        .flat_map(|(name, engine)| engine.problems(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> ConfiguredEngines {
        toml::from_str(toml).expect(toml)
    }

    #[test]
    fn managed_and_running_engines_are_parsed_as_documented() {
        let engines = read(
            r#"
            [llama-server]
            kind = "openai"
            command = ["llama-server", "-m", "{model_path}", "--port", "{port}", "-c", "{context}", "--parallel={parallel}"]
            health = "/health"
            arguments = { parallel = { integer = [1, 64], default = 4 }, context = { integer = [256, 131072], default = 4096 } }
            environment = ["HF_HOME"]

            [lab-vllm]
            kind = "openai"
            endpoint = "http://127.0.0.1:8000"
            systemd_unit = "vllm.service"
            "#,
        );
        assert_eq!(problems(&engines), [""; 0]);
        assert!(engines["llama-server"].is_managed() && !engines["lab-vllm"].is_managed());
        assert_eq!(engines["lab-vllm"].ready_sec, 600);
        let names = engines["llama-server"]
            .command
            .iter()
            .flat_map(|element| placeholders(element));
        assert_eq!(names.collect::<Vec<_>>(), ["model_path", "port", "context", "parallel"]);
    }

    #[test]
    fn placeholders_are_replaced_once_and_other_braces_are_kept() {
        let engines = read(
            "[a]\nkind = 'openai'\ncommand = ['srv', '-m{model_path}', '{context}', '{\"x\": {n}}', '{', 'a b;c']\n\
             arguments = {n = {integer = [1, 9], default = 2}, context = {integer = [1, 9], default = 5}}",
        );
        let engine = &engines["a"];
        let arguments = engine.offered("a").arguments(&ArgumentValues::new()).unwrap();
        let own = BTreeMap::from([("model_path", "/m/{n}.gguf".to_owned()), ("context", "7".to_owned())]);
        let filled = engine.filled_command(&own, &arguments);
        assert_eq!(filled, ["srv", "-m/m/{n}.gguf", "5", "{\"x\": 2}", "{", "a b;c"]);
    }

    #[test]
    fn invalid_engines_are_rejected_with_their_names() {
        for (toml, expected) in [
            (
                "[mistral]\nkind = 'openai'\nendpoint = 'http://127.0.0.1:1'",
                "the name is reserved",
            ),
            (
                "['a b']\nkind = 'openai'\nendpoint = 'http://127.0.0.1:1'",
                "the name is invalid",
            ),
            ("[a]\nkind = 'openai'", "neither command nor endpoint"),
            (
                "[a]\nkind = 'openai'\ncommand = ['x']\nendpoint = 'http://127.0.0.1:1'",
                "both command and endpoint",
            ),
            ("[a]\nkind = 'openai'\nendpoint = 'https://lab'", "begins with https"),
            (
                "[a]\nkind = 'openai'\ncommand = ['x', '{shell}']",
                "has {shell}, which is not defined",
            ),
            (
                "[a]\nkind = 'openai'\ncommand = ['x']\nhealth = 'health'",
                "accepted is a path",
            ),
            (
                "[a]\nkind = 'openai'\ncommand = ['x']\nenvironment = ['JOULEMARK_API_KEY']",
                "a variable of the service",
            ),
            (
                "[a]\nkind = 'openai'\ncommand = ['x']\nenvironment = ['DATABASE_URL']",
                "a variable of the service",
            ),
            (
                "[a]\nkind = 'openai'\ncommand = ['x', '{n}']\narguments = {n = {integer = [-1, 4], default = 0}}",
                "a negative value",
            ),
            (
                "[a]\nkind = 'openai'\ncommand = ['x', '{n}']\narguments = {n = {choice = ['--x'], default = '--x'}}",
                "begins with '-'",
            ),
            (
                "[a]\nkind = 'openai'\ncommand = ['x', '{n}']\narguments = {n = {integer = [1, 4], default = 9}}",
                "the default is not accepted",
            ),
            (
                "[a]\nkind = 'openai'\ncommand = ['x']\narguments = {n = {integer = [1, 4], default = 2}}",
                "no element of the command contains it",
            ),
            (
                "[a]\nkind = 'openai'\ncommand = ['{port}']\narguments = {port = {integer = [1, 4], default = 2}}",
                "the service fills in this placeholder",
            ),
            (
                "[a]\nkind = 'openai'\ncommand = ['x']\nsystemd_unit = 'x.service'",
                "systemd_unit is for an engine with endpoint",
            ),
        ] {
            let found = problems(&read(toml));
            assert!(
                found.iter().any(|problem| problem.contains(expected)),
                "{toml}: {found:?}"
            );
        }
        for toml in ["[a]\nkind = 'grpc'", "[a]\nkind = 'openai'\nshell = true"] {
            toml::from_str::<ConfiguredEngines>(toml).expect_err(toml);
        }
    }
}
