use std::time::Duration;

/// Exponential backoff: an endless series of pauses that double up to a maximum.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    /// Creates a backoff whose first pause is `first` and whose longest pause is `max`.
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { next: first, max }
    }

    /// Returns the next pause, and doubles the one after it.
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
