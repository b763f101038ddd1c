//! Times are those at which the emitter wrote.

use joulemark_measurement::units::MILLISECONDS_PER_SECOND;

use crate::emitter::{Emitter, TIMEOUT, event, pause_ms, request, stream_head, text, write};

const TOKENS: usize = 10;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":10}}"#;

/// Returns how far the client's times of first token and TPOT are from the emitter's own, the median over streams, in
/// milliseconds.
async fn median_errors_ms(streams: usize) -> (f64, f64) {
    let emitter = Emitter::start(|_| {
        let mut steps = vec![pause_ms(20), stream_head()];
        steps.extend((0..TOKENS).flat_map(|_| [pause_ms(10), write(text("a"))]));
        steps.extend([write(event(USAGE)), write("data: [DONE]\n\n")]);
        steps
    });
    let emitter = emitter.await;
    let mut clients = tokio::task::JoinSet::new();
    for stream in 0..streams {
        let client = emitter.client();
        clients.spawn(async move {
            let mut request = request();
            request.sampling.seed = Some(stream as u64);
            let answer = client.ask(&request, TIMEOUT, |_| ()).await.expect("an answer");
            (format!(r#""seed":{stream},"#), answer)
        });
    }
    let answers = clients.join_all().await;
    let written = emitter.written(streams).await;
    let (mut firsts, mut tpots) = (Vec::new(), Vec::new());
    for (mark, answer) in answers {
        let (_, times) = written.iter().find(|(asked, _)| asked.contains(&mark)).expect("its answer was written");
        let first_error_sec = answer.first_token_at.expect("a token").sec_since(times[1]);
        firsts.push(first_error_sec.abs() * MILLISECONDS_PER_SECOND);
        let tpot_sec = times[TOKENS].sec_since(times[1]) / (TOKENS - 1) as f64;
        let error_sec = answer.tpot_sec().expect("more than a token") - tpot_sec;
        tpots.push(error_sec.abs() * MILLISECONDS_PER_SECOND);
    }
    firsts.sort_by(f64::total_cmp);
    tpots.sort_by(f64::total_cmp);
    (firsts[streams / 2], tpots[streams / 2])
}

/// A host that is busy reads late. That spoils an attempt; a client that adds to the times spoils all.
const ATTEMPTS: u32 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stream_and_32_are_read_within_a_millisecond_of_their_writing() {
    for streams in [1, 32] {
        let mut errors = Vec::new();
        for _ in 0..ATTEMPTS {
            errors.push(median_errors_ms(streams).await);
            if errors.last().is_some_and(|(first_ms, tpot_ms)| first_ms.max(*tpot_ms) < 1.0) {
                break;
            }
        }
        let is_near = errors.iter().any(|(first_ms, tpot_ms)| first_ms.max(*tpot_ms) < 1.0);
        assert!(is_near, "{streams} streams, TTFT and TPOT in ms: {errors:?}");
    }
}
