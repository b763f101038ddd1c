//! The fields of the form, in groups. They come from the table of a submission's fields; a field in no group is shown
//! under "Everything else".

use super::found::Found;
use super::prompts::{self, PromptChoice};
use super::text::text_of;
use super::typed::Typed;
use super::values::is_of;
use joulemark_experiment::{DescribedField, FieldProblem, Takes};
use serde_json::Value;

/// A group of fields: those that most experiments set, then the others.
struct Grouping {
    id: &'static str,
    title: &'static str,
    first: &'static [&'static str],
    more: &'static [&'static str],
}

const GROUPS: [Grouping; 5] = [
    Grouping {
        id: "model",
        title: "Model and prompts",
        first: &[
            "model_name",
            "engine",
            "prompts",
            "max_output_tokens",
            "min_output_tokens",
        ],
        more: &[
            "decoder",
            "max_input_tokens",
            "raw_prompt",
            "prompt_source",
            "prompt_source_count",
            "prompt_source_sha256",
            "prompt_lines",
            "fp_precision",
            "quantization",
            "engine_arguments",
        ],
    },
    Grouping {
        id: "load",
        title: "Load and repetition",
        first: &["batch_size", "num_cycles", "warmup_iterations"],
        more: &[
            "load",
            "slo",
            "warmup",
            "stop_rule",
            "process_per_cycle",
            "repeat_disturbed",
            "cooldown_sec",
            "request_timeout_sec",
            "max_failed_share",
        ],
    },
    Grouping {
        id: "devices",
        title: "Devices and limits",
        first: &["device", "gpu_count"],
        more: &[
            "gpus",
            "num_processes",
            "distribution",
            "isolation",
            "power_limit_w",
            "gpu_clock_mhz",
            "memory_clock_mhz",
            "start_below_temperature_c",
            "max_cooling_sec",
            "settle",
        ],
    },
    Grouping {
        id: "energy",
        title: "Energy and footprint",
        first: &[],
        more: &[
            "idle_baseline_sec",
            "electricity_price_per_kwh",
            "electricity_currency",
            "grid_intensity_g_per_kwh",
            "pue",
        ],
    },
    Grouping {
        id: "who",
        title: "Labels, user and node",
        first: &["config_name", "labels"],
        more: &["user", "priority", "node", "node_labels", "callback_url"],
    },
];

const UNGROUPED: Grouping = Grouping {
    id: "rest",
    title: "Everything else",
    first: &[],
    more: &[],
};

/// Suffixes of names that are units, and how they are shown behind a title.
const UNITS: [(&str, &str); 6] = [
    ("_sec", "seconds"),
    ("_w", "watts"),
    ("_mhz", "MHz"),
    ("_c", "°C"),
    ("_g_per_kwh", "g/kWh"),
    ("_per_kwh", "per kWh"),
];

/// Words of names that are written differently in titles.
const WORDS: [(&str, &str); 8] = [
    ("num", "number of"),
    ("gpu", "GPU"),
    ("gpus", "GPUs"),
    ("slo", "SLO"),
    ("pue", "PUE"),
    ("url", "URL"),
    ("fp", "FP"),
    ("sha256", "SHA-256"),
];

/// A group of fields with their values.
pub struct Group {
    pub id: &'static str,
    pub title: &'static str,
    pub first: Vec<FieldView>,
    pub more: Vec<FieldView>,
    /// Whether one of the other fields is set or has a problem.
    pub is_open: bool,
}

impl Group {
    /// Returns all fields of the group.
    pub fn fields(&self) -> impl Iterator<Item = &FieldView> {
        self.first.iter().chain(&self.more)
    }
}

/// A field with its value.
pub struct FieldView {
    pub name: &'static str,
    pub title: String,
    /// Explanation, as text and names.
    pub hint: Vec<Piece>,
    pub is_required: bool,
    pub input: Input,
    pub value: String,
    /// Default, or an example of a document.
    pub placeholder: String,
    /// Problems, each with the path within the field, empty for the field itself.
    pub errors: Vec<(String, String)>,
}

/// A part of a text.
pub struct Piece {
    pub text: String,
    /// Whether it is a name, shown as code.
    pub is_code: bool,
}

/// Control for a value.
pub enum Input {
    Line {
        /// Kind of keyboard; `None` for text.
        keyboard: Option<&'static str>,
        offered: Vec<String>,
    },
    /// Words with their meanings; the empty word is the default.
    Choice(Vec<(String, String)>),
    Document,
    Prompts(Box<PromptChoice>),
}

impl FieldView {
    /// Returns whether the field has a problem.
    pub fn is_bad(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Returns whether the value is entered as a document.
    pub fn is_document(&self) -> bool {
        matches!(self.input, Input::Document)
    }

    /// Returns the number of lines for a document.
    pub fn rows(&self) -> usize {
        self.value
            .lines()
            .count()
            .max(self.placeholder.lines().count())
            .clamp(2, 16)
    }

    /// Returns the ARIA attributes of the control, and `required`.
    pub fn described(&self) -> String {
        let name = self.name;
        let required = if self.is_required { " required" } else { "" };
        match self.is_bad() {
            true => format!(" aria-describedby=\"e-{name} h-{name}\" aria-invalid=\"true\"{required}"),
            false => format!(" aria-describedby=\"h-{name}\"{required}"),
        }
    }

    /// Returns whether the field has a value.
    pub fn is_set(&self) -> bool {
        match &self.input {
            Input::Prompts(choice) => !choice.kind.is_empty(),
            _ => !self.value.trim().is_empty(),
        }
    }
}

/// Returns the groups with values and problems.
pub fn groups(described: &[DescribedField], typed: &Typed, problems: &[FieldProblem], found: &Found) -> Vec<Group> {
    let view = |field: &DescribedField| field_view(field, typed, problems, found);
    let named = |names: &[&str]| -> Vec<FieldView> {
        let fields = names
            .iter()
            .filter_map(|name| described.iter().find(|field| field.name == *name));
        fields.map(view).collect()
    };
    let group = |grouping: &Grouping, more: Vec<FieldView>| Group {
        id: grouping.id,
        title: grouping.title,
        first: named(grouping.first),
        is_open: more.iter().any(|field| field.is_bad() || field.is_set()),
        more,
    };
    let mut groups: Vec<_> = GROUPS
        .iter()
        .map(|grouping| group(grouping, named(grouping.more)))
        .collect();
    let is_grouped = |name: &str| {
        GROUPS
            .iter()
            .any(|group| group.first.contains(&name) || group.more.contains(&name))
    };
    let rest: Vec<_> = described
        .iter()
        .filter(|field| !is_grouped(field.name))
        .map(view)
        .collect();
    if !rest.is_empty() {
        groups.push(group(&UNGROUPED, rest));
    }
    groups
}

fn field_view(field: &DescribedField, typed: &Typed, problems: &[FieldProblem], found: &Found) -> FieldView {
    let own = problems.iter().filter(|problem| is_of(problem, field.name));
    let errors = own.map(|problem| {
        (
            problem.pointer[1 + field.name.len()..].to_owned(),
            problem.detail.clone(),
        )
    });
    let value = typed.text(field.name).to_owned();
    let mut hint = pieces(&field.meaning);
    if let Some(note) = found.note(field.name) {
        hint.extend(pieces(&format!(" {note}")));
    }
    FieldView {
        name: field.name,
        title: title(field.name),
        hint,
        is_required: field.is_required,
        input: match field.name {
            prompts::NAME => Input::Prompts(Box::new(PromptChoice::new(typed, |pointer| {
                problems.iter().any(|problem| problem.pointer == pointer)
            }))),
            _ => input(field, &value, found),
        },
        placeholder: placeholder(field),
        errors: errors.collect(),
        value,
    }
}

fn input(field: &DescribedField, value: &str, found: &Found) -> Input {
    let line = |keyboard| Input::Line {
        keyboard,
        offered: found.offered(field.name).unwrap_or_default(),
    };
    let mut words: Vec<(String, String)> = match &field.takes {
        // Some numeric keyboards have no minus.
        Takes::Whole if field.minimum.is_none_or(|least| least < 0.0) => return line(None),
        Takes::Whole => return line(Some("numeric")),
        Takes::Number => return line(Some("decimal")),
        Takes::List | Takes::Document => return Input::Document,
        // A choice, since only these names are accepted.
        Takes::Text if field.name == "engine" => {
            let engines = found.offered(field.name).unwrap_or_default();
            engines.into_iter().map(|name| (name, String::new())).collect()
        }
        Takes::Text => return line(None),
        Takes::Boolean => ["true", "false"].map(|word| (word.to_owned(), String::new())).to_vec(),
        Takes::Choice(words) => {
            let words = words.iter();
            words
                .map(|(word, meaning)| (word.clone(), meaning.replace('`', "")))
                .collect()
        }
    };
    // A value that is not offered stays selected.
    if !value.is_empty() && !words.iter().any(|(word, _)| word == value) {
        words.push((value.to_owned(), String::new()));
    }
    Input::Choice(words)
}

/// Returns the text of an empty field: its default, or an example of a document.
fn placeholder(field: &DescribedField) -> String {
    match (&field.takes, &field.default) {
        (Takes::List | Takes::Document, _) => text_of(&field.example),
        (_, Value::Null) => assumed(&field.meaning).unwrap_or_default(),
        (_, default) => text_of(default),
    }
}

/// Returns the default that a description names in words; `None` if it names none.
fn assumed(meaning: &str) -> Option<String> {
    let (_, rest) = meaning.rsplit_once("Default")?;
    let rest = rest.trim_start_matches(':').trim_start();
    let end = rest.find(". ").unwrap_or_else(|| rest.trim_end_matches('.').len());
    Some(rest[..end].replace('`', "")).filter(|text| !text.is_empty())
}

/// Returns the title of a field, with its unit.
fn title(name: &str) -> String {
    let unit = UNITS
        .iter()
        .find_map(|(end, unit)| Some((name.strip_suffix(end)?, unit)));
    let (name, unit) = unit.map_or((name, String::new()), |(name, unit)| (name, format!(" ({unit})")));
    let words = name.split('_').map(|word| {
        let written = WORDS.iter().find(|(plain, _)| *plain == word);
        written.map_or(word, |(_, written)| written)
    });
    let words = words.collect::<Vec<_>>().join(" ");
    let mut letters = words.chars();
    let first: String = letters
        .next()
        .map(|first| first.to_uppercase().collect())
        .unwrap_or_default();
    format!("{first}{}{unit}", letters.as_str())
}

/// Splits a text at the names in backquotes.
pub fn pieces(text: &str) -> Vec<Piece> {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(place, part)| Piece {
        text: part.to_owned(),
        is_code: place % 2 == 1,
    });
    parts.filter(|piece| !piece.text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use joulemark_experiment::described_fields;

    #[test]
    fn every_field_is_shown_once_and_a_new_one_under_everything_else() {
        let mut described = described_fields();
        let new = DescribedField {
            name: "new_field_sec",
            ..described[0].clone()
        };
        described.push(new);
        let groups = groups(&described, &Typed::default(), &[], &Found::default());
        let shown = groups.iter().flat_map(Group::fields);
        let mut shown: Vec<_> = shown.map(|field| field.name).collect();
        let mut expected: Vec<_> = described.iter().map(|field| field.name).collect();
        shown.sort_unstable();
        expected.sort_unstable();
        assert_eq!(shown, expected);
        let rest = groups.last().unwrap();
        let rest: Vec<_> = rest.more.iter().map(|field| field.title.as_str()).collect();
        assert_eq!(rest, ["New field (seconds)"]);
    }

    #[test]
    fn titles_are_made_of_names_and_placeholders_of_defaults() {
        for (name, shown) in [
            ("model_name", "Model name"),
            ("num_cycles", "Number of cycles"),
            ("gpus", "GPUs"),
            ("gpu_count", "GPU count"),
            ("power_limit_w", "Power limit (watts)"),
            ("electricity_price_per_kwh", "Electricity price (per kWh)"),
            ("slo", "SLO"),
        ] {
            assert_eq!(title(name), shown);
        }
        let described = described_fields();
        let of = |name: &str| placeholder(described.iter().find(|field| field.name == name).unwrap());
        assert_eq!(of("max_output_tokens"), "128");
        assert_eq!(of("config_name"), "the model's name");
        assert_eq!(of("max_input_tokens"), "prompts are not cut");
        assert_eq!(of("device"), "auto");
        assert_eq!(of("gpus"), "- 0\n- 1");
        assert_eq!(of("labels"), "team: nlp");
    }

    #[test]
    fn a_group_is_open_if_another_field_is_set_or_has_a_problem() {
        let described = described_fields();
        let mut typed = Typed::default();
        typed.set("decoder", "seed: 1");
        let problems = [
            FieldProblem::new("/settle/until", "is x"),
            FieldProblem::new("/gpus", "is y"),
        ];
        let groups = groups(&described, &typed, &problems, &Found::default());
        let open: Vec<_> = groups
            .iter()
            .filter(|group| group.is_open)
            .map(|group| group.id)
            .collect();
        assert_eq!(open, ["model", "devices"]);
        let settle = groups[2].more.iter().find(|field| field.name == "settle").unwrap();
        assert_eq!(settle.errors, [("/until".to_owned(), "is x".to_owned())]);
    }
}
