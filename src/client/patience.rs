use std::time::Duration;

use joulemark_measurement::{Backoff, clock::Monotonic};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How long to go on asking a server that does not answer.
#[derive(Clone, Debug)]
pub struct Patience {
    whole: Duration,
    failing_since: Option<Monotonic>,
    backoff: Backoff,
}

impl Patience {
    pub fn new(whole: Duration) -> Self {
        Self {
            whole,
            failing_since: None,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        }
    }

    /// The server answered: whatever comes begins anew.
    pub fn restore(&mut self) {
        *self = Self::new(self.whole);
    }

    /// How long to pause before the next try; none when patience is, or would be, at an end. `asked` is what the server
    /// wants at the least, `luck` in 0 to 1 keeps many clients from coming back at once.
    pub fn pause(&mut self, now: Monotonic, asked: Option<Duration>, luck: f64) -> Option<Duration> {
        let since = *self.failing_since.get_or_insert(now);
        let own = self.backoff.next_pause().as_secs_f64() * (0.5 + luck);
        let pause = own.max(asked.map_or(0.0, |asked| asked.as_secs_f64()));
        let left = self.whole.as_secs_f64() - now.sec_since(since);
        (pause <= left).then(|| Duration::from_secs_f64(pause))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_pauses_never_outlast_the_patience_and_never_undercut_what_is_asked(
            whole_sec in 0.0..500.0_f64, asked_sec in proptest::option::of(0.0..100.0_f64), luck in 0.0..1.0_f64,
        ) {
            let asked = asked_sec.map(Duration::from_secs_f64);
            let mut patience = Patience::new(Duration::from_secs_f64(whole_sec));
            let (mut at, mut waited) = (0.0, 0.0);
            let mut tries = 0;
            while let Some(pause) = patience.pause(Monotonic::from_sec(at), asked, luck) {
                let pause = pause.as_secs_f64();
                prop_assert!(asked_sec.is_none_or(|asked| pause >= asked - 1e-6));
                // A pause is rounded to nanoseconds.
                prop_assert!(pause <= asked_sec.unwrap_or(0.0).max(LONGEST_PAUSE.as_secs_f64() * 1.5) + 1e-6);
                at += pause;
                waited += pause;
                tries += 1;
                prop_assert!(tries < 10_000);
            }
            prop_assert!(waited <= whole_sec + 1e-6);
        }
    }

    #[test]
    fn pauses_grow_and_begin_anew_after_an_answer() {
        let mut patience = Patience::new(Duration::from_secs(100));
        let at = Monotonic::from_sec(5.0);
        let pauses: Vec<_> = (0..7)
            .filter_map(|_| patience.pause(at, None, 0.5))
            .map(|pause| pause.as_secs_f64())
            .collect();
        assert_eq!(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]);
        patience.restore();
        assert_eq!(patience.pause(at, None, 0.5), Some(Duration::from_millis(500)));
        let mut none = Patience::new(Duration::ZERO);
        assert_eq!(none.pause(at, None, 0.0), None);
    }
}
