//! Reads prompts that are given one by one, in a file or in a submission: each is a text or a chat and may have its own
//! limit of output tokens. Checks against other fields are in `line_checks.rs`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use utoipa::ToSchema;

use super::field::{FieldProblem, Fields, brief};
use super::prompts::{MAX_PROMPT_BYTES, MAX_PROMPTS, MAX_TOKENS};
use super::table::{Bounds, Choice, FieldType, Kind};

const ACCEPTED: &str = "an object with prompt (a text) or messages (a list of {\"role\", \"content\"}), and max_output_tokens \
     where it has its own";
/// Far more than a chat has; only catches mistakes.
const MAX_MESSAGES: usize = 1000;
/// Maximum number of a file's problems that are shown.
const MAX_SHOWN: usize = 5;

/// Author of a message of a chat.
///
/// - `system`: instructions for the whole chat
/// - `user`: the person who asks
/// - `assistant`: the model's earlier answer
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatRole {
    System,
    User,
    Assistant,
}

impl Choice for ChatRole {}

/// One message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatMessage {
    pub role: ChatRole,
    /// Text of the message, at most 4,000,000 bytes and not only white space.
    #[schema(min_length = 1)]
    pub content: String,
}

/// One prompt: either a text in `prompt` or a chat in `messages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptLine {
    /// A text, as in `prompts`; absent where there are `messages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1)]
    pub prompt: Option<String>,
    /// A chat, which the model's chat template formats; 1 to 1000 messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<ChatMessage>>,
    /// Maximum number of tokens to generate for this prompt. Default: the experiment's `max_output_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub max_output_tokens: Option<u32>,
    /// Number of random tokens in place of a text; only in lines of a replayed file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub input_length: Option<u32>,
}

impl PromptLine {
    /// Returns the number of bytes of the text or of all messages; for random tokens their number.
    pub fn bytes(&self) -> u64 {
        let messages = self.messages.iter().flatten().map(|message| &message.content);
        let texts = messages.chain(&self.prompt).map(|text| text.len() as u64);
        texts.chain(self.input_length.map(u64::from)).sum()
    }

    /// Returns whether the line is only a text, like an entry of `prompts`.
    pub fn is_plain(&self) -> bool {
        self.prompt.is_some() && self.messages.is_none() && self.max_output_tokens.is_none()
    }
}

/// The problems of a file of prompts: each bad line, and what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct BadPromptFile(pub(super) String);

/// Reads a file of prompts, one JSON object on each line. The prompt of line 1 has index 0.
///
/// # Errors
/// Returns a [`BadPromptFile`] with the problems of the first bad lines, by number.
pub fn read_prompt_lines(text: &str) -> Result<Vec<PromptLine>, BadPromptFile> {
    read_lines(text, ACCEPTED, |value, problems| read_line(value, "", problems))
}

/// Reads a file of JSON objects, one on each line. `accepted` describes such an object.
///
/// # Errors
/// Returns a [`BadPromptFile`] with the problems of the first bad lines, by number.
pub(super) fn read_lines<T>(
    text: &str,
    accepted: &str,
    mut read: impl FnMut(&Value, &mut Vec<FieldProblem>) -> Option<T>,
) -> Result<Vec<T>, BadPromptFile> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end();
    let count = text.lines().count();
    if count == 0 || count > MAX_PROMPTS as usize {
        return Err(BadPromptFile(format!(
            "it has {count} lines; accepted are 1 to {MAX_PROMPTS}, each {accepted}"
        )));
    }
    let mut lines = Vec::with_capacity(count);
    let mut bad = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut problems = Vec::new();
        match serde_json::from_str(line) {
            Ok(value) => lines.extend(read(&value, &mut problems)),
            Err(error) => problems.push(FieldProblem::new(
                "",
                format!("is not JSON (column {}); accepted is {accepted}", error.column()),
            )),
        }
        let told = |problem: FieldProblem| {
            let field = problem.pointer.trim_start_matches('/');
            let separator = if field.is_empty() { "" } else { ": " };
            format!("line {}{separator}{field} {}", index + 1, problem.detail)
        };
        bad.extend(problems.into_iter().map(told));
        if bad.len() > MAX_SHOWN {
            bad.truncate(MAX_SHOWN);
            bad.push("and more".to_owned());
            break;
        }
    }
    match bad.is_empty() {
        true => Ok(lines),
        false => Err(BadPromptFile(bad.join("; "))),
    }
}

impl FieldType for Vec<PromptLine> {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        let accepted = format!("a list of up to {MAX_PROMPTS}, each {ACCEPTED}");
        let items = fields.read(name, &accepted, |value| {
            value.as_array().filter(|items| items.len() <= MAX_PROMPTS as usize)
        })?;
        let base = fields.pointer(name);
        let entry = |(index, item)| read_line(item, &format!("{base}/{index}"), fields.problems());
        let lines: Vec<_> = items.iter().enumerate().filter_map(entry).collect();
        (lines.len() == items.len()).then_some(lines)
    }
}

/// Reads one prompt; returns `None` after noting a problem.
fn read_line(value: &Value, base: &str, problems: &mut Vec<FieldProblem>) -> Option<PromptLine> {
    let Some(object) = value.as_object() else {
        problems.push(FieldProblem::new(
            base,
            format!("is {}; accepted is {ACCEPTED}", brief(value)),
        ));
        return None;
    };
    let before = problems.len();
    let mut fields = Fields::new(object, base, &["prompt", "messages", "max_output_tokens"], problems);
    let line = PromptLine {
        prompt: text(&mut fields, "prompt"),
        messages: messages(&mut fields),
        max_output_tokens: fields.count("max_output_tokens", 1, MAX_TOKENS),
        input_length: None,
    };
    let given = [fields.value("prompt").is_some(), fields.value("messages").is_some()];
    let detail = match given {
        [true, true] => "has both prompt and messages; accepted is one of the two",
        [false, false] => "has neither prompt nor messages; accepted is one of the two",
        _ => return (problems.len() == before).then_some(line),
    };
    problems.push(FieldProblem::new(base, detail));
    None
}

/// Reads a text that is not only white space.
pub(super) fn text(fields: &mut Fields<'_>, key: &str) -> Option<String> {
    let accepted = format!("a text with something other than white space, of at most {MAX_PROMPT_BYTES} bytes");
    let text = fields.read(key, &accepted, |value| {
        let text = value.as_str()?;
        (!text.trim().is_empty() && text.len() <= MAX_PROMPT_BYTES).then_some(text)
    });
    text.map(str::to_owned)
}

/// Reads the messages of a chat.
pub(super) fn messages(fields: &mut Fields<'_>) -> Option<Vec<ChatMessage>> {
    const MESSAGE: &str = "an object with role and content";
    let accepted = format!("a list of 1 to {MAX_MESSAGES} messages, each {MESSAGE}");
    let items = fields.read("messages", &accepted, |value| {
        value
            .as_array()
            .filter(|items| (1..=MAX_MESSAGES).contains(&items.len()))
    })?;
    let base = fields.pointer("messages");
    let mut messages = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let Some(object) = item.as_object() else {
            let detail = format!("is {}; accepted is {MESSAGE}", brief(item));
            fields.problem_at(&format!("messages/{index}"), detail);
            continue;
        };
        let mut inner = Fields::new(
            object,
            format!("{base}/{index}"),
            &["role", "content"],
            fields.problems(),
        );
        for (key, what) in [("role", "one of system, user, assistant"), ("content", "a text")] {
            if inner.value(key).is_none() {
                inner.problem(key, format!("is required: {what}"));
            }
        }
        if let (Some(role), Some(content)) = (inner.choice("role"), text(&mut inner, "content")) {
            messages.push(ChatMessage { role, content });
        }
    }
    (messages.len() == items.len()).then_some(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        read_prompt_lines(text).unwrap_err().to_string()
    }

    #[test]
    fn texts_chats_and_their_own_lengths_are_read_in_order() {
        let file = "\u{feff}{\"prompt\": \"one\"}\r\n{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, \
                    {\"role\": \"user\", \"content\": \"héllo\"}], \"max_output_tokens\": 7}\n\n";
        let lines = read_prompt_lines(file).unwrap();
        assert_eq!((lines.len(), lines[0].bytes(), lines[1].bytes()), (2, 3, 15));
        assert!(lines[0].is_plain() && !lines[1].is_plain());
        assert_eq!(lines[1].max_output_tokens, Some(7));
        assert_eq!(lines[1].messages.as_ref().unwrap()[0].role, ChatRole::System);
        let written = serde_json::to_string(&lines[0]).unwrap();
        assert_eq!(written, "{\"prompt\":\"one\"}");
    }

    #[test]
    fn each_bad_line_is_named_by_its_number_with_what_is_accepted() {
        for (line, expected) in [
            (
                "{\"prompt\": \"a\"",
                "line 2 is not JSON (column 14); accepted is an object",
            ),
            ("", "line 2 is not JSON"),
            ("\"a\"", "line 2 is \"a\"; accepted is an object with prompt"),
            ("{\"prompt\": \" \"}", "line 2: prompt is \" \"; accepted is a text"),
            ("{\"prompt\": 1}", "line 2: prompt is 1; accepted is a text"),
            ("{}", "line 2 has neither prompt nor messages"),
            (
                "{\"prompt\": \"a\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}",
                "line 2 has both",
            ),
            (
                "{\"prompt\": \"a\", \"max_output_tokens\": 0}",
                "max_output_tokens is 0; accepted is an integer from 1",
            ),
            (
                "{\"prompt\": \"a\", \"max_ouput_tokens\": 1}",
                "max_ouput_tokens is not a known field",
            ),
            (
                "{\"messages\": []}",
                "line 2: messages is an array of 0; accepted is a list of 1 to 1000",
            ),
            (
                "{\"messages\": [1]}",
                "line 2: messages/0 is 1; accepted is an object with role and content",
            ),
            (
                "{\"messages\": [{\"role\": \"tool\", \"content\": \"a\"}]}",
                "role is \"tool\"; accepted is one of system, user",
            ),
            (
                "{\"messages\": [{\"content\": \"a\"}]}",
                "line 2: messages/0/role is required",
            ),
        ] {
            let said = refusal(&format!("{{\"prompt\": \"good\"}}\n{line}\n{{\"prompt\": \"good\"}}\n"));
            assert!(said.contains(expected), "{line}: {said}");
        }
        assert!(refusal("").starts_with("it has 0 lines; accepted are 1 to 100000"));
        let many = refusal(&"{}\n".repeat(50));
        assert!(
            many.contains("line 5") && !many.contains("line 6") && many.ends_with("and more"),
            "{many}"
        );
    }

    #[test]
    fn a_list_of_them_is_read_with_the_pointer_of_what_is_wrong() {
        let document = serde_json::json!({"model_name": "m", "prompt_lines": [{"prompt": "a"}, {"prompt": ""}]});
        let problems = crate::parse(&document).unwrap_err();
        assert_eq!(problems[0].pointer, "/prompt_lines/1/prompt");
    }
}
