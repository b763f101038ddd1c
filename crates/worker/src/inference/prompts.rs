//! The built-in prompt sets, and random prompts of exact lengths. A set never changes and a better one gets a new name,
//! so that results of different years can be compared. No tokenizers or templates are used here.

use std::sync::Arc;

use joulemark_experiment::SyntheticPrompts;
use joulemark_measurement::quoted;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Name of the set for submissions without prompts.
pub const DEFAULT_DATASET: &str = "mixed-64";

const NAMES: [&str; 4] = [DEFAULT_DATASET, "mixed-512", "short-32", "long-16"];

/// A built-in set, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptSet {
    pub name: &'static str,
    pub count: usize,
    /// SHA-256 of the set's file, in hex, so that a result names its prompts exactly.
    pub sha256: String,
}

/// The error for prompts that are not built in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnknownDataset {
    #[error("there is no prompt set {}; accepted are {known}", quoted(.0), known = NAMES.join(", "))]
    Name(String),
    #[error("{name} has {size} prompts; {count} were requested")]
    Count { name: String, size: usize, count: usize },
}

/// One line of a set's file.
#[derive(Deserialize)]
struct Line {
    prompt: String,
}

/// Returns the names of all sets.
pub fn names() -> &'static [&'static str] {
    &NAMES
}

/// Returns every built-in set, in the order of [`names`].
pub fn sets() -> Vec<PromptSet> {
    let known = NAMES.iter().filter_map(|name| Some((*name, text(name)?)));
    known
        .map(|(name, text)| PromptSet {
            name,
            count: text.lines().count(),
            sha256: hex::encode(Sha256::digest(text.as_bytes())),
        })
        .collect()
}

/// Returns the first `count` prompts of a set, or all of them.
///
/// # Errors
/// Returns an error when there is no such set, or when it has fewer prompts.
pub fn load(name: &str, count: Option<usize>) -> Result<Vec<String>, UnknownDataset> {
    let text = text(name).ok_or_else(|| UnknownDataset::Name(name.to_owned()))?;
    let size = text.lines().count();
    let count = count.unwrap_or(size);
    if count > size {
        return Err(UnknownDataset::Count {
            name: name.to_owned(),
            size,
            count,
        });
    }
    let prompts = text.lines().take(count).map(|line| {
        let line: Line = serde_json::from_str(line).expect("the embedded sets are valid, which a test checks");
        line.prompt
    });
    Ok(prompts.collect())
}

fn text(name: &str) -> Option<&'static str> {
    match name {
        DEFAULT_DATASET => Some(include_str!("datasets/mixed-64.jsonl")),
        "mixed-512" => Some(include_str!("datasets/mixed-512.jsonl")),
        "short-32" => Some(include_str!("datasets/short-32.jsonl")),
        "long-16" => Some(include_str!("datasets/long-16.jsonl")),
        _ => None,
    }
}

/// The use of a stream of random tokens, a byte of its key. The values 1 and 2 are used for drawing lengths.
#[derive(Clone, Copy, Debug)]
enum Stream {
    /// All prompts, one after the other.
    Prompts = 0,
    /// The tokens that all prompts have in common.
    Prefix = 3,
    /// The prompt of one index.
    Prompt = 4,
    /// The first tokens of one request.
    Request = 5,
}

/// An endless iterator over prompts of random tokens. Each prompt is generated when it is requested, so that their
/// number takes no memory. A clone continues from the same prompt.
#[derive(Clone, Debug)]
pub struct SyntheticTokenIds {
    /// The ids that may be drawn.
    ordinary: Arc<[u32]>,
    lengths: SyntheticPrompts,
    /// The common first tokens of all prompts.
    prefix: Vec<u32>,
    index: u32,
    random: ChaCha8Rng,
}

/// Returns prompts of random tokens of the vocabulary, without `special_ids`, which would end a prompt or change its
/// meaning. The same arguments give the same tokens on every machine and in every later version.
///
/// # Panics
/// Panics when a prompt has tokens and every id of the vocabulary is special.
pub fn synthetic_token_ids(vocab_size: u32, special_ids: &[u32], asked: &SyntheticPrompts) -> SyntheticTokenIds {
    let ordinary: Arc<[u32]> = (0..vocab_size).filter(|id| !special_ids.contains(id)).collect();
    assert!(
        !ordinary.is_empty() || asked.input_bounds().1 == 0,
        "the vocabulary has special tokens only"
    );
    SyntheticTokenIds {
        prefix: shared_prefix(&ordinary, asked),
        ordinary,
        lengths: asked.clone(),
        index: 0,
        random: seeded(asked.seed, Stream::Prompts, 0),
    }
}

impl Iterator for SyntheticTokenIds {
    type Item = Vec<u32>;

    fn next(&mut self) -> Option<Vec<u32>> {
        let length = self.lengths.input_tokens_of(self.index) as usize;
        self.index += 1;
        let mut ids = self.prefix.clone();
        ids.extend(drawn(&self.ordinary, length - ids.len(), &mut self.random));
        Some(ids)
    }
}

/// Returns the prompt of an index, made of random tokens of `ids`, without generating earlier ones.
///
/// # Panics
/// Panics when `ids` is empty.
pub fn synthetic_prompt(ids: &[u32], asked: &SyntheticPrompts, index: u32) -> Vec<u32> {
    let mut prompt = shared_prefix(ids, asked);
    let length = asked.input_tokens_of(index) as usize;
    let mut random = seeded(asked.seed, Stream::Prompt, u64::from(index));
    prompt.extend(drawn(ids, length - prompt.len(), &mut random));
    prompt
}

/// Replaces a prompt's first tokens by tokens that no other request has, so that no cache contains the prompt.
pub fn make_unique(prompt: &mut [u32], ids: &[u32], seed: u64, number: u64) {
    /// Four of a few thousand tokens have more combinations than there are requests.
    const FIRST: usize = 4;
    let mut random = seeded(seed, Stream::Request, number);
    let first = FIRST.min(prompt.len());
    for (place, token) in prompt.iter_mut().zip(drawn(ids, first, &mut random)) {
        *place = token;
    }
}

fn shared_prefix(ids: &[u32], asked: &SyntheticPrompts) -> Vec<u32> {
    let shared = asked.shared_prefix_tokens.unwrap_or(0) as usize;
    drawn(ids, shared, &mut seeded(asked.seed, Stream::Prefix, 0)).collect()
}

fn drawn(ids: &[u32], count: usize, random: &mut ChaCha8Rng) -> impl Iterator<Item = u32> {
    (0..count).map(|_| ids[below(random, ids.len())])
}

/// Returns a generator with the seed in its key. The key is filled in here because `seed_from_u64` may expand a seed
/// differently in another version of the crate.
fn seeded(seed: u64, stream: Stream, number: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = stream as u8;
    key[9..17].copy_from_slice(&number.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Draws a uniform number from `0..bound`. `rand` does not guarantee that its way of drawing from a range stays the
/// same.
fn below(random: &mut ChaCha8Rng, bound: usize) -> usize {
    let bound = bound as u64;
    // Draws at or above the largest multiple of `bound` would favour small remainders.
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let drawn = random.next_u64();
        if drawn < fair {
            return (drawn % bound) as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use joulemark_experiment::DatasetPrompts;
    use std::collections::{BTreeMap, BTreeSet};

    use joulemark_experiment::TokenLength;
    use serde_json::Value;

    use super::*;

    fn token_ids(vocab_size: u32, special: &[u32], input_tokens: u32, count: usize, seed: u64) -> Vec<Vec<u32>> {
        let asked = SyntheticPrompts {
            input_tokens,
            seed,
            ..SyntheticPrompts::default()
        };
        synthetic_token_ids(vocab_size, special, &asked).take(count).collect()
    }

    fn varied(shared_prefix_tokens: Option<u32>) -> SyntheticPrompts {
        SyntheticPrompts {
            input_tokens: 20,
            seed: 9,
            input_length: Some(TokenLength {
                mean: 20.0,
                stddev: 4.0,
                min: 8,
                max: 32,
            }),
            shared_prefix_tokens,
            ..SyntheticPrompts::default()
        }
    }

    #[test]
    fn the_name_of_each_set_ends_with_its_number_of_prompts() {
        let sets = sets();
        let largest = sets.iter().max_by_key(|set| set.count).expect("a set");
        assert_eq!(largest.name, "mixed-512");
        for set in &sets {
            let asked = DatasetPrompts {
                dataset: set.name.to_owned(),
                count: None,
            };
            assert_eq!(asked.set_size(), Some(set.count as u32), "{}", set.name);
        }
    }

    #[test]
    fn prompts_have_their_drawn_lengths_and_share_their_prefix() {
        let asked = varied(Some(6));
        let prompts: Vec<_> = synthetic_token_ids(1000, &[], &asked).take(50).collect();
        let lengths: Vec<_> = (0..50).map(|index| asked.input_tokens_of(index) as usize).collect();
        assert_eq!(prompts.iter().map(Vec::len).collect::<Vec<_>>(), lengths);
        assert!(lengths.iter().collect::<BTreeSet<_>>().len() > 5, "{lengths:?}");
        assert!(prompts.iter().all(|prompt| prompt[..6] == prompts[0][..6]));
        assert_eq!(
            prompts
                .iter()
                .map(|prompt| &prompt[6..8])
                .collect::<BTreeSet<_>>()
                .len(),
            50
        );
        // The common prefix uses another stream than the rest.
        let alone: Vec<_> = synthetic_token_ids(1000, &[], &varied(None)).take(1).collect();
        assert_eq!(prompts[0][6..], alone[0][..lengths[0] - 6]);
    }

    #[test]
    fn a_prompt_depends_only_on_its_index_and_can_be_made_unique_in_place() {
        let (ids, asked) = ((500..900).collect::<Vec<_>>(), varied(Some(6)));
        let one = synthetic_prompt(&ids, &asked, 3);
        assert_eq!(one, synthetic_prompt(&ids, &asked, 3));
        assert_eq!(one.len(), asked.input_tokens_of(3) as usize);
        assert!(one.iter().all(|id| ids.contains(id)));
        let other = synthetic_prompt(&ids, &asked, 4);
        assert_eq!(one[..6], other[..6]);
        assert_ne!(one[6..8], other[6..8]);
        let unique = |number| {
            let mut prompt = one.clone();
            make_unique(&mut prompt, &ids, 1, number);
            prompt
        };
        assert_eq!((unique(0).len(), &unique(0)[4..]), (one.len(), &one[4..]));
        assert!(unique(0) != unique(1) && unique(0) == unique(0));
    }

    fn kinds(name: &str) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for line in text(name).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            *kinds.entry(line["kind"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        kinds
    }

    #[test]
    fn every_set_has_as_many_distinct_prompts_as_its_name_says() {
        for set in sets() {
            let prompts = load(set.name, None).unwrap();
            let size: usize = set.name.rsplit('-').next().unwrap().parse().unwrap();
            assert_eq!(prompts.len(), size);
            assert_eq!(set.count, size);
            assert_eq!(prompts.iter().collect::<BTreeSet<_>>().len(), size);
            assert!(
                prompts
                    .iter()
                    .all(|prompt| prompt.trim() == prompt && !prompt.is_empty())
            );
        }
        assert!(names().contains(&DEFAULT_DATASET));
    }

    // A changed set would make results under one name incomparable: give a new set a new name.
    #[test]
    fn the_sets_are_those_that_were_published() {
        let digests: Vec<_> = sets().into_iter().map(|set| (set.name, set.sha256)).collect();
        let published = [
            (
                "mixed-64",
                "4d130a7990906ccb81cd59b1316a62cd4994d24a92ef65488fc88bbeed9dc6c6",
            ),
            (
                "mixed-512",
                "97b540511251d2e228abb92a59764ce9c77105e9adda5cc45fea4773869ab582",
            ),
            (
                "short-32",
                "5d0608683d6ff545c6e588c51d7f4e917b14dd0f03e470b4f1efd8ae6c111007",
            ),
            (
                "long-16",
                "0e2380082ea76acc0bf7f5680d9b0b4be5c639e4b2e48e362519d8621351e91f",
            ),
        ];
        assert_eq!(digests, published.map(|(name, digest)| (name, digest.to_owned())));
    }

    #[test]
    fn the_mixed_set_and_its_beginning_have_seven_kinds_of_task() {
        assert_eq!(kinds("mixed-64").len(), 7);
        assert!(kinds("mixed-64").values().all(|count| *count >= 8));
        let first = text("mixed-64").unwrap().lines().take(7);
        let first: BTreeSet<_> = first.map(|line| line.split('"').nth(3).unwrap()).collect();
        assert_eq!(first.len(), 7);
    }

    #[test]
    fn the_large_mixed_set_begins_with_the_small_one_and_has_each_kind_in_turn() {
        assert_eq!(load("mixed-512", Some(64)), load("mixed-64", None));
        let kinds = kinds("mixed-512");
        assert!(kinds.values().all(|count| (72..=74).contains(count)), "{kinds:?}");
        let lines: Vec<_> = text("mixed-512").unwrap().lines().skip(64).collect();
        for turn in lines.chunks(7) {
            let kinds: BTreeSet<_> = turn.iter().map(|line| line.split('"').nth(3).unwrap()).collect();
            assert_eq!(kinds.len(), 7);
        }
    }

    #[test]
    fn short_prompts_have_at_most_20_words() {
        let prompts = load("short-32", None).unwrap();
        assert!(prompts.iter().all(|prompt| prompt.split_whitespace().count() <= 20));
    }

    #[test]
    fn long_prompts_have_250_to_400_words_of_context() {
        for prompt in load("long-16", None).unwrap() {
            let (task, context) = prompt.split_once("\n\n").unwrap();
            assert!((250..=400).contains(&context.split_whitespace().count()), "{task}");
        }
    }

    #[test]
    fn a_count_takes_the_first_prompts() {
        assert_eq!(load("short-32", Some(4)).unwrap(), load("short-32", None).unwrap()[..4]);
    }

    #[test]
    fn a_count_beyond_the_set_is_an_error_with_its_size() {
        let refused = load("short-32", Some(33)).unwrap_err();
        assert_eq!(refused.to_string(), "short-32 has 32 prompts; 33 were requested");
    }

    #[test]
    fn an_unknown_set_is_an_error_with_the_known_ones() {
        let refused = load("shirt-32", None).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "there is no prompt set \"shirt-32\"; accepted are mixed-64, mixed-512, short-32, long-16"
        );
    }

    #[test]
    fn synthetic_prompts_have_the_exact_size_and_no_special_token() {
        let special = [0, 1, 2, 17, 511, 600];
        let prompts = token_ids(512, &special, 300, 5, 7);
        assert_eq!(prompts.len(), 5);
        assert!(prompts.iter().all(|prompt| prompt.len() == 300));
        assert!(prompts.iter().flatten().all(|id| *id < 512 && !special.contains(id)));
    }

    #[test]
    fn synthetic_prompts_use_the_whole_vocabulary() {
        let prompts = token_ids(100, &[3], 2_000, 1, 0);
        assert_eq!(prompts[0].iter().collect::<BTreeSet<_>>().len(), 99);
    }

    #[test]
    fn the_same_seed_gives_the_same_tokens_and_another_seed_others() {
        let prompts = |seed| token_ids(49_152, &[0, 1, 2], 16, 3, seed);
        assert_eq!(prompts(1), prompts(1));
        assert_ne!(prompts(1), prompts(2));
        assert_eq!(token_ids(49_152, &[0, 1, 2], 16, 2, 1), prompts(1)[..2]);
    }

    // Fixed figures: a stored seed must mean the same prompts years later.
    #[test]
    fn the_tokens_of_a_seed_never_change() {
        assert_eq!(
            token_ids(49_152, &[0, 1, 2], 4, 2, 42),
            [[24575, 34065, 23660, 9396], [20310, 23088, 7847, 26787]]
        );
    }

    #[test]
    fn an_empty_prompt_needs_no_vocabulary() {
        assert_eq!(token_ids(2, &[0, 1], 0, 2, 0), [[], []] as [[u32; 0]; 2]);
    }

    #[test]
    #[should_panic(expected = "special tokens only")]
    fn tokens_from_an_empty_vocabulary_panic() {
        token_ids(2, &[0, 1], 1, 1, 0);
    }
}
