//! Requests and the time of each token as blocks. Lossless: each time reads back to the last bit of its float.

use super::block::{Damage, Encoding, Reader, Writer, of_length};
use super::{Block, POINTS_PER_BLOCK};
use joulemark_measurement::{AnswerChunk, RequestMeasurement};
use serde::{Deserialize, Serialize};

/// Scales of times in seconds. The clock counts nanoseconds; after an uptime of months a float no longer holds them
/// exactly, and tenths of a nanosecond are needed.
const TIME_SCALES: [f64; 2] = [1e9, 1e10];
/// Scales of differences between two times, in milliseconds.
const DURATION_SCALES: [f64; 2] = [1e6, 1e7];

/// Encodes requests. A block ends with the request that reaches `POINTS_PER_BLOCK` tokens.
pub fn encode(requests: &[RequestMeasurement]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut rest = requests;
    while !rest.is_empty() {
        let mut tokens = 0;
        // At least one request, however long.
        let fit = rest.iter().take_while(|request| {
            let fits = tokens < POINTS_PER_BLOCK;
            tokens += request.output_monotonic_sec().len() + 1;
            fits
        });
        let (now, later) = rest.split_at(fit.count());
        blocks.push(block(now));
        rest = later;
    }
    blocks
}

/// Encodes the requests of one block.
fn block(requests: &[RequestMeasurement]) -> Block {
    let mut writer = Writer::default();
    let mut counts = |of: fn(&RequestMeasurement) -> i64| writer.numbers(Encoding::Delta, requests.iter().map(of));
    counts(|request| request.prompt_index.into());
    counts(|request| request.input_tokens.into());
    counts(|request| request.output_tokens.into());
    counts(|request| request.token_monotonic_sec.len() as i64);
    counts(|request| request.output_token_ids.len() as i64);
    let floats = |of: fn(&RequestMeasurement) -> Option<f64>| requests.iter().filter_map(of).collect::<Vec<_>>();
    writer.floats(
        Encoding::Delta,
        &floats(|request| Some(request.sent_monotonic_sec)),
        &TIME_SCALES,
    );
    writer.floats(
        Encoding::Delta,
        &floats(|request| Some(request.completed_monotonic_sec)),
        &TIME_SCALES,
    );
    writer.optional(
        Encoding::Plain,
        requests.iter().map(|request| request.ttft_ms.map(|_| 0)),
    );
    writer.floats(Encoding::Delta, &floats(|request| request.ttft_ms), &DURATION_SCALES);
    let moments = requests
        .iter()
        .flat_map(|request| request.token_monotonic_sec.iter().copied());
    let moments = moments.collect::<Vec<_>>();
    writer.floats(Encoding::DeltaOfDeltas, &moments, &TIME_SCALES);
    let tokens = requests
        .iter()
        .flat_map(|request| request.output_token_ids.iter().map(|&token| i64::from(token)));
    let tokens = tokens.collect::<Vec<_>>();
    writer.numbers(Encoding::Plain, tokens.into_iter());
    writer.texts(requests.iter().map(|request| request.finish_reason.clone()));
    let is_loaded = requests.iter().any(|request| request.due_monotonic_sec.is_some());
    match server_fields(requests) {
        None if !is_loaded => {}
        server_fields => writer.texts(std::iter::once(server_fields.unwrap_or_default())),
    }
    if is_loaded {
        write_load(&mut writer, requests);
    }
    Block {
        points: moments.len(),
        columns: writer.finish(),
    }
}

/// Appends the columns of requests that a load generator sent. A block without such requests does not have these
/// columns.
fn write_load(writer: &mut Writer, requests: &[RequestMeasurement]) {
    let mut column = |of: fn(&RequestMeasurement) -> Option<f64>, scales: &[f64]| {
        writer.optional(Encoding::Plain, requests.iter().map(|request| of(request).map(|_| 0)));
        let known: Vec<f64> = requests.iter().filter_map(of).collect();
        writer.floats(Encoding::Delta, &known, scales);
    };
    column(|request| request.due_monotonic_sec, &TIME_SCALES);
    column(|request| request.sender_lag_ms, &DURATION_SCALES);
}

/// Reads a column of floats that some requests lack; all `None` when the block has no further column.
fn optional_floats(reader: &mut Reader, requests: usize, scales: &[f64]) -> Result<Vec<Option<f64>>, Damage> {
    if reader.is_at_end() {
        return Ok(vec![None; requests]);
    }
    let has = reader.optional(Encoding::Plain, requests)?;
    let mut known = reader.floats(Encoding::Delta, scales)?.into_iter();
    let next = |has: Option<i64>| {
        has.map(|_| known.next().ok_or_else(|| "a column is too short".to_owned()))
            .transpose()
    };
    has.into_iter().map(next).collect()
}

/// The fields of a request that only a serving engine's answer has.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct ServerFields {
    chunks: Vec<AnswerChunk>,
    output_text_sha256: Option<String>,
    time_to_first_answer_ms: Option<f64>,
    cached_tokens: Option<u32>,
}

/// Returns these fields of the requests as JSON; `None` when no request has any.
fn server_fields(requests: &[RequestMeasurement]) -> Option<String> {
    let part = |request: &RequestMeasurement| ServerFields {
        chunks: request.chunks.clone(),
        output_text_sha256: request.output_text_sha256.clone(),
        time_to_first_answer_ms: request.time_to_first_answer_ms,
        cached_tokens: request.cached_tokens,
    };
    let parts = requests.iter().map(part).collect::<Vec<_>>();
    if parts.iter().all(|part| *part == ServerFields::default()) {
        return None;
    }
    serde_json::to_string(&parts).ok()
}

/// Reads these fields; empty ones for a block without them.
fn read_server_fields(reader: &mut Reader, requests: usize) -> Result<Vec<ServerFields>, Damage> {
    if reader.is_at_end() {
        return Ok((0..requests).map(|_| ServerFields::default()).collect());
    }
    let text = reader.texts(1)?.pop().unwrap_or_default();
    if text.is_empty() {
        return Ok((0..requests).map(|_| ServerFields::default()).collect());
    }
    of_length(
        serde_json::from_str(&text).map_err(|error| error.to_string())?,
        requests,
    )
}

/// Decodes the requests of one block.
///
/// # Errors
/// Returns a description of the damage when the block is damaged.
pub fn decode(block: &[u8]) -> Result<Vec<RequestMeasurement>, Damage> {
    let mut reader = Reader::new(block)?;
    let prompt_index = reader.numbers(Encoding::Delta)?;
    let requests = prompt_index.len();
    let mut counts = || of_length(reader.numbers(Encoding::Delta)?, requests);
    let (input, output, moment_counts, token_counts) = (counts()?, counts()?, counts()?, counts()?);
    let sent = of_length(reader.floats(Encoding::Delta, &TIME_SCALES)?, requests)?;
    let completed = of_length(reader.floats(Encoding::Delta, &TIME_SCALES)?, requests)?;
    let has_ttft = reader.optional(Encoding::Plain, requests)?;
    let mut ttft = reader.floats(Encoding::Delta, &DURATION_SCALES)?.into_iter();
    let mut moments = reader.floats(Encoding::DeltaOfDeltas, &TIME_SCALES)?.into_iter();
    let mut tokens = reader.numbers(Encoding::Plain)?.into_iter();
    let mut finish_reasons = reader.texts(requests)?.into_iter();
    let server_fields = read_server_fields(&mut reader, requests)?;
    let due = optional_floats(&mut reader, requests, &TIME_SCALES)?;
    let lag = optional_floats(&mut reader, requests, &DURATION_SCALES)?;
    let mut decoded = Vec::with_capacity(requests);
    for (at, server_fields) in server_fields.into_iter().enumerate() {
        let ttft_ms = has_ttft[at]
            .map(|_| ttft.next().ok_or("a column is too short"))
            .transpose()?;
        let of_request = (0..moment_counts[at]).map(|_| moments.next());
        let token_monotonic_sec = of_request.collect::<Option<Vec<_>>>().ok_or("a column is too short")?;
        let of_request = (0..token_counts[at]).map(|_| tokens.next().and_then(|token| u32::try_from(token).ok()));
        let output_token_ids = of_request.collect::<Option<Vec<_>>>().ok_or("a token is missing")?;
        decoded.push(RequestMeasurement {
            prompt_index: unsigned(prompt_index[at])?,
            input_tokens: unsigned(input[at])?,
            output_tokens: unsigned(output[at])?,
            sent_monotonic_sec: sent[at],
            completed_monotonic_sec: completed[at],
            ttft_ms,
            token_monotonic_sec,
            output_token_ids,
            finish_reason: finish_reasons.next().unwrap_or_default(),
            chunks: server_fields.chunks,
            output_text_sha256: server_fields.output_text_sha256,
            time_to_first_answer_ms: server_fields.time_to_first_answer_ms,
            cached_tokens: server_fields.cached_tokens,
            due_monotonic_sec: due[at],
            sender_lag_ms: lag[at],
        });
    }
    Ok(decoded)
}

fn unsigned(value: i64) -> Result<u32, Damage> {
    value.try_into().map_err(|_| format!("{value} is not a count"))
}

#[cfg(test)]
mod tests {
    use joulemark_measurement::clock::Monotonic;
    use proptest::prelude::*;
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn read_back(requests: &[RequestMeasurement]) -> Vec<RequestMeasurement> {
        let blocks = encode(requests);
        blocks
            .iter()
            .flat_map(|block| decode(&block.columns).unwrap())
            .collect()
    }

    /// Returns a request after an uptime of `uptime_ns` with a token about every 17 ms, as a small model on a CPU
    /// generates them, from a vocabulary of 49,152.
    fn request(number: u64, tokens: u64, uptime_ns: u64) -> RequestMeasurement {
        let sec = |ns: u64| ns as f64 / 1e9;
        // Random values, which do not compress.
        let mut chance = ChaCha8Rng::seed_from_u64(number);
        let sent_ns = uptime_ns + number * 2_000_000_000 + chance.random_range(0..1_000_000);
        let mut at_ns = sent_ns + 150_000_000;
        let moments_ns = (0..=tokens).map(|_| {
            at_ns += 17_000_000 + chance.random_range(0..400_000);
            at_ns
        });
        let moments_ns = moments_ns.collect::<Vec<_>>();
        RequestMeasurement {
            prompt_index: number as u32,
            input_tokens: 40 + number as u32 % 7,
            output_tokens: tokens as u32,
            sent_monotonic_sec: sec(sent_ns),
            completed_monotonic_sec: sec(moments_ns[tokens as usize]),
            ttft_ms: (tokens > 0).then(|| (sec(moments_ns[0]) - sec(sent_ns)) * 1e3),
            token_monotonic_sec: moments_ns[..tokens as usize].iter().map(|&ns| sec(ns)).collect(),
            output_token_ids: (0..tokens).map(|_| chance.random_range(0..49_152)).collect(),
            finish_reason: if number.is_multiple_of(3) { "stop" } else { "length" }.to_owned(),
            ..RequestMeasurement::default()
        }
    }

    /// Returns the same request as answered by a server that sends text, two tokens at a time.
    fn served(number: u64, tokens: u64) -> RequestMeasurement {
        let whole = request(number, tokens, 9);
        let chunk = |pair: &[f64]| AnswerChunk {
            monotonic_sec: pair[0],
            tokens: (pair.len() == 2).then_some(2),
        };
        RequestMeasurement {
            chunks: whole.token_monotonic_sec.chunks(2).map(chunk).collect(),
            output_text_sha256: Some(format!("{number:064x}")),
            time_to_first_answer_ms: whole.ttft_ms.map(|ttft_ms| ttft_ms + 0.1),
            cached_tokens: Some(number as u32),
            token_monotonic_sec: Vec::new(),
            output_token_ids: Vec::new(),
            ..whole
        }
    }

    #[test]
    fn server_fields_read_back_beside_requests_without_them() {
        let mixed = [served(1, 7), request(2, 3, 5), served(3, 0)];
        assert_eq!(read_back(&mixed), mixed);
        let many = (0..200).map(|number| served(number, 90)).collect::<Vec<_>>();
        assert!(encode(&many).len() > 1);
        assert_eq!(read_back(&many), many);
    }

    #[test]
    fn the_columns_of_a_load_generator_read_back() {
        let due = |request: RequestMeasurement| {
            let due = Monotonic::from_sec(request.sent_monotonic_sec - 0.125);
            request.since(due, 0.000_25)
        };
        let loaded = [due(request(1, 7, 5)), request(2, 3, 5), due(request(3, 0, 900))];
        assert_eq!(read_back(&loaded), loaded);
        let mixed = [due(served(1, 7)), served(2, 3), request(3, 2, 5)];
        assert_eq!(read_back(&mixed), mixed);
    }

    /// Two requests of `request` and one of `served`, as stored by the release before load generation existed.
    const WITHOUT_LOADS: [&str; 2] = [
        "01015d00a2ff0202020252020206050206050206050102f4e0ddf30e8e8ae7f30e0102d0d98ac4108ad4f6c20e0300020201\
         000001febbd3dbecc1f0e480010103a6b6839310e58ccb8210ddb51203d2bd05dea104fefc0201066c656e677468020000",
        "01a58e316ac3401444f7bb3039c7af85913e6b2956c83d02c12c62b38984a5dde0fd228120489fd6458a9023a4cf0d52c59d\
         1bb73e8071e9ca6b8371e3ce33cd0c3c98812bb8833e8860f8997dfcdf00fc7d2dbf6f7ba20742c06c31df7cfeae57efb06f\
         fddad8272e03bb85fb37d4656b271ef3101b671d3b5b69e58dc6fc7a90a4593694441421bb89b101a32e3a03524c328989e4\
         09b46d5d77e3085dcbcf2d2b36afac7c59d030c51ce3cb2431ec548d51ecd46335f5ac0aeb5fcc543561389c1e24948d281d\
         1d24d30875a14bf3a08edf643706b103",
    ];

    #[test]
    fn blocks_from_before_load_generation_are_read() {
        let expected = [vec![request(1, 3, 5), request(2, 0, 5)], vec![served(4, 3)]];
        for (stored, expected) in WITHOUT_LOADS.iter().zip(expected) {
            let block = hex::decode(stored).unwrap();
            assert_eq!(decode(&block).unwrap(), expected);
        }
    }

    #[test]
    fn a_token_takes_less_than_seven_bytes() {
        let requests = (0..64)
            .map(|number| request(number, 128, 1_000_000_000_000))
            .collect::<Vec<_>>();
        let bytes = encode(&requests).iter().map(|block| block.columns.len()).sum::<usize>() as f64;
        let (a_token, as_json) = (
            bytes / (64.0 * 128.0),
            serde_json::to_string(&requests).unwrap().len() as f64,
        );
        println!("{a_token:.2} bytes a token, as JSON {:.2}", as_json / (64.0 * 128.0));
        assert!((3.0..7.0).contains(&a_token), "{a_token}");
    }

    #[test]
    fn many_requests_make_several_blocks_and_read_back_to_the_last_bit() {
        let day_ns = 24 * 3_600_000_000_000;
        for uptime_days in [0, 1, 30, 60, 80, 100, 200, 900] {
            let requests = (0..300).map(|number| request(number, number % 50, uptime_days * day_ns));
            let requests = requests.collect::<Vec<_>>();
            assert!(encode(&requests).len() > 1);
            assert_eq!(read_back(&requests), requests, "{uptime_days}");
        }
        assert_eq!(read_back(&[]), []);
    }

    #[test]
    fn a_request_longer_than_a_block_is_one() {
        let long = [request(1, 3 * POINTS_PER_BLOCK as u64, 0), request(2, 1, 0)];
        let blocks = encode(&long);
        let points = blocks.iter().map(|block| block.points).collect::<Vec<_>>();
        assert_eq!(points, [3 * POINTS_PER_BLOCK, 1]);
        assert_eq!(read_back(&long), long);
    }

    proptest! {
        #[test]
        fn any_request_reads_back(tokens in prop::collection::vec((0u64..200, any::<f64>()), 0..20)) {
            let requests = tokens.iter().enumerate().map(|(number, &(tokens, odd))| RequestMeasurement {
                completed_monotonic_sec: if odd.is_nan() { 0.5 } else { odd },
                ..request(number as u64, tokens, 7)
            });
            let requests = requests.collect::<Vec<_>>();
            prop_assert_eq!(read_back(&requests), requests);
        }

        #[test]
        fn a_damaged_block_is_an_error_and_never_a_panic(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut block = encode(&[request(1, 30, 5), request(2, 3, 5)]).remove(0).columns;
            let at = at.index(block.len());
            block[at] = to;
            let _ = decode(&block);
        }
    }
}
