//! Cuts prompts that exceed their maximum length and decides which of their tokens remain.

/// A text from which a chat template makes the shortest prompt. A template may omit an empty text altogether.
pub const PROBE: &str = "x";

/// Returns how many tokens a chat template adds after a text: the common end of the prompts of two texts. `probe` is
/// the prompt of [`PROBE`]. A text that ends like the probe may count as one token more.
pub fn template_end(probe: &[u32], prompt: &[u32]) -> usize {
    let alike = probe
        .iter()
        .rev()
        .zip(prompt.iter().rev())
        .take_while(|(one, other)| one == other);
    // At least one of the probe's tokens belongs to its text.
    alike.count().min(probe.len().saturating_sub(1))
}

/// Cuts a prompt to `most` tokens at the end of its text: the last `end` tokens, which belong to the template, remain.
/// Returns `None` where there is no room for any other token.
pub fn cut(prompt: &[u32], most: usize, end: usize) -> Option<Vec<u32>> {
    let kept = most.checked_sub(end).filter(|kept| *kept > 0)?;
    Some([&prompt[..kept], &prompt[prompt.len() - end..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: [u32; 3] = [1, 100, 101];
    const AFTER: [u32; 4] = [2, 1, 102, 103];

    fn templated(text: &[u32]) -> Vec<u32> {
        [&BEFORE, text, &AFTER].concat()
    }

    #[test]
    fn the_text_is_cut_and_the_end_of_the_template_remains() {
        let prompt = templated(&[10, 11, 12, 13, 14]);
        let end = template_end(&templated(&[9]), &prompt);
        assert_eq!(end, AFTER.len());
        assert_eq!(cut(&prompt, 9, end), Some(vec![1, 100, 101, 10, 11, 2, 1, 102, 103]));
        assert_eq!(cut(&prompt, 4, end), None, "there is only room for the template's end");
    }

    #[test]
    fn without_a_template_the_end_is_cut() {
        let end = template_end(&[9], &[10, 11, 9]);
        assert_eq!(end, 0);
        assert_eq!(cut(&[10, 11, 9], 1, end), Some(vec![10]));
        assert_eq!(template_end(&[], &[10]), 0);
    }

    proptest::proptest! {
        #[test]
        fn a_cut_prompt_has_the_length_asked_for_its_beginning_and_its_end(
            text in proptest::collection::vec(0_u32..20, 1..50), probe in 0_u32..20, room in 1_usize..60,
        ) {
            let prompt = templated(&text);
            let end = template_end(&templated(&[probe]), &prompt);
            proptest::prop_assert!((AFTER.len()..=AFTER.len() + 4).contains(&end));
            let most = (end + room).min(prompt.len());
            let cut = cut(&prompt, most, end).unwrap();
            proptest::prop_assert_eq!(cut.len(), most);
            proptest::prop_assert!(cut.ends_with(&AFTER));
            proptest::prop_assert_eq!(&cut[..most - end], &prompt[..most - end]);
        }
    }
}
