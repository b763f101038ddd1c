//! The size in a model's name.

/// Numbers of parameters in a model's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamedSize {
    /// Number of all parameters; `None` where the name gives only those that one token uses (`E2B`, `17B-16E`).
    pub total: Option<u64>,
    /// Number of parameters that one token uses; `None` where the name does not give it.
    pub active: Option<u64>,
}

/// Reads the size in a model's name (`Llama-2-7b`, `SmolLM2-135M`, `Mixtral-8x7B`, `Qwen3-30B-A3B`, `bloom-1b7`,
/// `gemma-3n-E2B`). Only the last part of a path counts, without its extension; where that is a common file name
/// (`config.json`), the name of its folder. `None` where the name contains no size.
///
/// ```
/// use joulemark_flops::size_from_name;
///
/// let size = size_from_name("org/Qwen3-30B-A3B").unwrap();
/// assert_eq!((size.total, size.active), (Some(30_000_000_000), Some(3_000_000_000)));
/// assert_eq!(size_from_name("70b-runs/tiny/config.json"), None);
/// ```
pub fn size_from_name(name: &str) -> Option<NamedSize> {
    let words = words(own_name(name));
    if let Some(size) = active_before_total(&words) {
        return Some(size);
    }
    let mut size = NamedSize::default();
    let mut has_experts = false;
    for word in words {
        let marked = word.strip_prefix(['a', 'A', 'e', 'E']).and_then(parameters);
        let number = || experts(word).or_else(|| parameters(word)).filter(|_| !is_context(word));
        has_experts |= is_expert_count(word);
        if let Some(active) = marked {
            size.active.get_or_insert(active);
        } else if size.total.is_none() {
            size.total = number();
        }
    }
    // `17B-16E`: each token uses 17 billion; the number in all 16 experts is unknown.
    if has_experts && size.active.is_none() {
        size.active = size.total.take();
    }
    (size != NamedSize::default()).then_some(size)
}

/// Reads names like `OLMoE-1B-7B`: of two neighbouring sizes in the name of a mixture of experts, the smaller is the
/// number that one token uses.
fn active_before_total(words: &[&str]) -> Option<NamedSize> {
    let is_mixture = words.iter().any(|word| word.to_ascii_lowercase().contains("moe"));
    let sizes = words.windows(2).filter(|_| is_mixture);
    let mut sizes = sizes.filter_map(|pair| parameters(pair[0]).zip(parameters(pair[1])));
    let (active, total) = sizes.find(|(active, total)| active < total)?;
    Some(NamedSize {
        total: Some(total),
        active: Some(active),
    })
}

/// Extensions of the files of models.
const EXTENSIONS: [&str; 6] = [".json", ".gguf", ".safetensors", ".bin", ".pth", ".pt"];
/// File names, without extension, that many models share.
const COMMON_NAMES: [&str; 6] = [
    "config",
    "params",
    "model",
    "model.safetensors.index",
    "pytorch_model",
    "consolidated",
];

/// Returns the part of a path that names the model.
fn own_name(path: &str) -> &str {
    let mut parts = path.rsplit(['/', '\\']).filter(|part| !part.is_empty() && *part != ".");
    let last = parts.next().unwrap_or_default();
    let extension = EXTENSIONS.iter().find(|extension| ends_with(last, extension));
    match extension.map(|extension| &last[..last.len() - extension.len()]) {
        Some(stem) if COMMON_NAMES.iter().any(|name| stem.eq_ignore_ascii_case(name)) => {
            parts.next().unwrap_or_default()
        }
        Some(stem) => stem,
        None => last,
    }
}

/// Returns whether a text ends with another, ignoring case.
fn ends_with(text: &str, ending: &str) -> bool {
    let start = text.len().saturating_sub(ending.len());
    text.is_char_boundary(start) && text[start..].eq_ignore_ascii_case(ending)
}

/// Splits a name into words. A full stop is part of a number and separates other words.
fn words(name: &str) -> Vec<&str> {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = name.as_bytes();
    let mut words = Vec::new();
    let mut start = 0;
    for (position, letter) in name.char_indices() {
        // `1_6b` between hyphens is 1.6 billion; in `Llama_2_7b` each part is a word.
        let separates = letter != '_' || !is_decimal(between_hyphens(name, position));
        let in_number = (letter == '.' || !separates)
            && is_digit(position.checked_sub(1).and_then(|before| bytes.get(before)))
            && is_digit(bytes.get(position + 1));
        if !letter.is_ascii_alphanumeric() && !in_number {
            words.push(&name[start..position]);
            start = position + letter.len_utf8();
        }
    }
    words.push(&name[start..]);
    words
}

/// Returns the part between hyphens that contains a position.
fn between_hyphens(name: &str, position: usize) -> &str {
    let start = name[..position].rfind('-').map_or(0, |hyphen| hyphen + 1);
    let end = name[position..]
        .find('-')
        .map_or(name.len(), |hyphen| position + hyphen);
    &name[start..end]
}

/// Returns whether a word is a decimal number such as `1_6b`.
fn is_decimal(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    word.strip_suffix(['b', 'B', 'm', 'M'])
        .and_then(|number| number.split_once('_'))
        .is_some_and(|(whole, part)| digits(whole) && digits(part))
}

/// Reads `8x7B`; `None` for other words.
fn experts(word: &str) -> Option<u64> {
    let (count, each) = word.split_once(['x', 'X'])?;
    parameters(each)?.checked_mul(count.parse().ok()?)
}

/// Returns whether a word is a number of experts, such as `16E`.
fn is_expert_count(word: &str) -> bool {
    let digits = word.strip_suffix(['e', 'E']).unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// Returns whether a word is the length of a context: `1M`, `2M`, `4M` or `10M`. No language model is that small.
fn is_context(word: &str) -> bool {
    matches!(word, "1M" | "1m" | "2M" | "2m" | "4M" | "4m" | "10M" | "10m")
}

/// Reads a number of parameters: `7b`, `0.5B`, `135M`, `1b7`; `None` for other words.
fn parameters(word: &str) -> Option<u64> {
    let word = &word.replace('_', ".");
    let unit = word.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let scale = match word.as_bytes()[unit] {
        b'b' | b'B' => 1e9,
        b'm' | b'M' => 1e6,
        _ => return None,
    };
    let (whole, part) = (&word[..unit], &word[unit + 1..]);
    if !whole.starts_with(|letter: char| letter.is_ascii_digit()) || !part.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: f64 = match part {
        "" => whole.parse().ok()?,
        // `1b7` is 1.7 billion.
        _ if part.len() <= 2 && !whole.contains('.') => format!("{whole}.{part}").parse().ok()?,
        _ => return None,
    };
    // A number above ten thousand billion is a typing error.
    (number > 0.0 && number * scale <= 1e13).then_some((number * scale).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::{NamedSize, size_from_name};

    fn size(total: u64, active: u64) -> Option<NamedSize> {
        let known = |count: u64| (count > 0).then_some(count);
        Some(NamedSize {
            total: known(total),
            active: known(active),
        })
    }

    #[test]
    fn sizes_are_read_from_the_usual_names() {
        const BILLION: u64 = 1_000_000_000;
        for (name, total, active) in [
            ("meta-llama/Llama-2-7b-hf", 7 * BILLION, 0),
            ("SmolLM2-135M-Instruct.Q4_1.gguf", 135_000_000, 0),
            ("Qwen2.5-0.5B-Instruct", 500_000_000, 0),
            ("Qwen2.5-7B-Instruct-1M", 7 * BILLION, 0),
            ("Qwen2.5-1M-Instruct-7B", 7 * BILLION, 0),
            ("Mixtral-8x7B-v0.1", 56 * BILLION, 0),
            ("Qwen3-30B-A3B", 30 * BILLION, 3 * BILLION),
            ("Foo-30B-A3B.json", 30 * BILLION, 3 * BILLION),
            ("Qwen1.5-MoE-A2.7B", 0, 2_700_000_000),
            ("Llama-4-Scout-17B-16E-Instruct", 0, 17 * BILLION),
            ("google/gemma-3n-E2B-it", 0, 2 * BILLION),
            ("bigscience/bloom-1b7", 1_700_000_000, 0),
            ("OLMoE-1B-7B-0924-Instruct", 7 * BILLION, BILLION),
            ("OLMoE-7B-1M", 7 * BILLION, 0),
            ("Draft-1B-7B", BILLION, 0),
            ("stablelm-2-1_6b-chat", 1_600_000_000, 0),
            ("Llama_2_7b_chat", 7 * BILLION, 0),
            ("Llama-3_1-Nemotron-51B", 51 * BILLION, 0),
            ("bloom-560m", 560_000_000, 0),
            ("llama-7b.Q4_K_M.gguf", 7 * BILLION, 0),
            ("7b/Llama-3B/config.json", 3 * BILLION, 0),
            ("Llama-3B/model.safetensors.index.json", 3 * BILLION, 0),
            ("pythia-1.4b-v0.1/", 1_400_000_000, 0),
        ] {
            assert_eq!(size_from_name(name), size(total, active), "{name}");
        }
    }

    #[test]
    fn a_name_without_a_size_gives_nothing() {
        for name in [
            "",
            "gpt2",
            "phi-2",
            "model-q4_1",
            "0b",
            "infb",
            "nanb",
            "99999999999999b",
            "b",
            "8x",
            "é7",
            "Foo-Instruct-1M",
            "70b-runs/tiny/config.json",
            "70b/tiny",
            "config.json",
            "7bit",
            "1.5b7",
            "Llama-3.1b.2x/é.json",
        ] {
            assert_eq!(size_from_name(name), None, "{name}");
        }
    }
}
