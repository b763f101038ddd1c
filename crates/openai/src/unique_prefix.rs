//! Text that differs between all requests of an experiment, for servers whose prompt cache cannot be switched off. No
//! tokenizer is needed here: the words were chosen by the vocabularies of usual models.

/// Number of words of a prefix.
const PREFIX_WORDS: usize = 8;

/// Number of different pairs of words: as long as requests are fewer, they differ in their first two words.
const PAIRS: u64 = 1 << 16;

/// Returns a line of eight words to put before a request's prompt. The same seed and index always give the same line,
/// and different indices of a seed give different ones. Among 65,536 consecutive requests no two begin with the same
/// two words, so that a prompt cache holds at most one token of the line.
///
/// Every line has the same number of tokens, 9 in all usual vocabularies, after a space, a line end, a special token or
/// nothing: each word is one token with and without a space before it.
pub fn unique_prefix(seed: u64, request_index: u64) -> String {
    let words: [&str; PREFIX_WORDS] = place(seed, request_index)
        .to_be_bytes()
        .map(|byte| WORDS[usize::from(byte)]);
    format!("{}\n", words.join(" "))
}

/// Maps an index to a number that differs from that of any other index of the seed. Its upper 16 bits depend only on
/// the lower 16 bits of the index.
fn place(seed: u64, index: u64) -> u64 {
    let key = mixed(seed);
    let (high, low) = (index / PAIRS, index % PAIRS);
    // Multiplication by an odd factor, addition and XOR with functions of `low` are injective within their bits.
    let pair = low.wrapping_mul(key | 1).wrapping_add(key >> 32) % PAIRS;
    let rest = high.wrapping_mul(key | 1) ^ mixed(key ^ low);
    (pair << 48) | (rest & (u64::MAX >> 16))
}

/// Mixes 64 bits so that each depends on all others (SplitMix64, Steele et al. 2014).
fn mixed(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Nouns that are one token in the vocabularies of GPT-2, cl100k, o200k, Llama 2 and 3, Mistral (SentencePiece v1, v3
/// and Tekken), Qwen 3, Gemma 3, DeepSeek V3 and SmolLM2. They are taken from the 1,758 lower-case words of three to
/// seven letters that all of these vocabularies contain both with and without a space before them.
const WORDS: [&str; 256] = [
    "angle", "ant", "apple", "area", "arm", "arrow", "art", "ash", "atom", "axis", "bag", "ball", "band", "bank",
    "bat", "bean", "bed", "bell", "bench", "bird", "block", "blue", "boat", "bone", "book", "boot", "border", "bottom",
    "bow", "box", "bread", "bridge", "bus", "button", "camp", "cap", "car", "card", "cart", "castle", "cat", "catch",
    "cell", "center", "chain", "chair", "chart", "chip", "circle", "city", "clip", "clock", "cloud", "club", "coin",
    "color", "cost", "course", "court", "craft", "cup", "dam", "day", "deck", "degree", "depth", "design", "disk",
    "dog", "door", "drop", "ear", "edge", "energy", "engine", "face", "field", "figure", "film", "filter", "fire",
    "fish", "flag", "flat", "floor", "folder", "food", "foot", "frame", "game", "gas", "gate", "glass", "gold", "gray",
    "green", "grid", "group", "guard", "hall", "hand", "hat", "head", "heart", "height", "hen", "hill", "home", "hook",
    "horn", "hour", "house", "hub", "ice", "image", "inch", "ink", "iron", "jack", "jar", "jet", "joy", "key", "kind",
    "lab", "land", "lane", "leaf", "leg", "length", "letter", "light", "lock", "machine", "mail", "map", "mark",
    "market", "mile", "mind", "mine", "model", "month", "mouse", "mouth", "news", "night", "nut", "order", "oven",
    "page", "pan", "paper", "park", "patch", "path", "pattern", "pen", "pet", "photo", "picture", "pie", "pin", "pipe",
    "pit", "plane", "plant", "plug", "pod", "point", "pool", "port", "post", "pot", "power", "price", "radio", "red",
    "rice", "ride", "ring", "river", "road", "rock", "rod", "roll", "room", "root", "rose", "round", "scale", "school",
    "sea", "seed", "shape", "share", "shell", "ship", "shop", "shore", "sign", "size", "skin", "sky", "socket",
    "sound", "speed", "spot", "spring", "square", "star", "start", "state", "station", "step", "stone", "storm",
    "string", "student", "sun", "switch", "table", "tail", "team", "thread", "time", "tip", "tool", "top", "touch",
    "town", "track", "train", "tree", "union", "venue", "video", "voice", "volume", "wall", "water", "wave", "week",
    "weight", "west", "wheel", "width", "wind", "window", "wing", "wire", "wood", "word", "world", "yard", "year",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn words(seed: u64, index: u64) -> Vec<String> {
        unique_prefix(seed, index)
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn words_are_many_and_plain() {
        assert_eq!(WORDS.iter().collect::<BTreeSet<_>>().len(), WORDS.len());
        let is_plain = |word: &str| word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(WORDS.iter().all(|word| is_plain(word)));
    }

    #[test]
    fn requests_that_follow_each_other_share_at_most_a_word() {
        let begin = 3 * PAIRS - 100;
        let pairs: BTreeSet<_> = (begin..begin + PAIRS).map(|index| place(7, index) >> 48).collect();
        assert_eq!(pairs.len() as u64, PAIRS);
    }

    #[test]
    fn a_prefix_never_changes() {
        assert_eq!(unique_prefix(42, 0), "clip cart wire room hat bed image arm\n");
    }

    proptest! {
        #[test]
        fn each_request_has_its_own_prefix(seed: u64, one: u64, distance in 1_u64..) {
            let other = one.wrapping_add(distance);
            prop_assert_eq!(words(seed, one).len(), PREFIX_WORDS);
            prop_assert_eq!(unique_prefix(seed, one), unique_prefix(seed, one));
            prop_assert_ne!(unique_prefix(seed, one), unique_prefix(seed, other));
        }

        #[test]
        fn far_requests_differ_too(seed: u64, low in 0..PAIRS, one in 0_u64..1 << 40, distance in 1_u64..1 << 20) {
            prop_assert_ne!(unique_prefix(seed, one * PAIRS + low), unique_prefix(seed, (one + distance) * PAIRS + low));
        }
    }
}
