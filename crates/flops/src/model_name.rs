/// Returns the number of parameters that a model's name states (`Llama-2-7b`, `SmolLM2-135M`, `Mixtral-8x7B`); `None`
/// where it states none.
/// Where the name gives the active parameters of a mixture of experts (`30B-A3B`), those: they do the work.
pub fn parameters_from_name(name: &str) -> Option<u64> {
    let words: Vec<&str> = name
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.')
        .collect();
    let active = words.iter().find_map(|word| size(word.strip_prefix(['a', 'A'])?));
    active.or_else(|| words.iter().find_map(|word| experts(word).or_else(|| size(word))))
}

fn experts(word: &str) -> Option<u64> {
    let (count, each) = word.split_once(['x', 'X'])?;
    size(each)?.checked_mul(count.parse().ok()?)
}

fn size(word: &str) -> Option<u64> {
    let scale = match word.chars().last()? {
        'b' | 'B' => 1e9,
        'm' | 'M' => 1e6,
        _ => return None,
    };
    let digits = &word[..word.len() - 1];
    let plain = digits.starts_with(|letter: char| letter.is_ascii_digit())
        && digits.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    let number: f64 = digits.parse().ok().filter(|_| plain)?;
    // Names of more than a thousand billion parameters are typing errors.
    (number > 0.0 && number * scale <= 1e13).then_some((number * scale).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::parameters_from_name;

    #[test]
    fn sizes_are_read_from_the_usual_names() {
        for (name, parameters) in [
            ("meta-llama/Llama-2-7b-hf", 7_000_000_000),
            ("SmolLM2-135M-Instruct.Q4_1.gguf", 135_000_000),
            ("Qwen2.5-0.5B-Instruct", 500_000_000),
            ("Qwen2.5-7B-Instruct-1M", 7_000_000_000),
            ("Mixtral-8x7B-v0.1", 56_000_000_000),
            ("Qwen3-30B-A3B", 3_000_000_000),
        ] {
            assert_eq!(parameters_from_name(name), Some(parameters), "{name}");
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
        ] {
            assert_eq!(parameters_from_name(name), None, "{name}");
        }
    }
}
