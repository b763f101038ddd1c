use std::time::Duration;

/// Exponential back-off: pauses that begin with a first one and double up to a maximum, without end.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { next: first, max }
    }

    /// Returns how long to pause before the next try, and doubles the pause after it.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.max);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum() {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(1));
        let pauses_ms = [(); 5].map(|()| backoff.next_pause().as_millis());
        assert_eq!(pauses_ms, [200, 400, 800, 1000, 1000]);
    }
}
