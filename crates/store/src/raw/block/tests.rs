use proptest::prelude::*;

use super::*;

const ENCODINGS: [Encoding; 3] = [Encoding::Plain, Encoding::Delta, Encoding::DeltaOfDeltas];
const SCALES: [f64; 2] = [1e3, 1e9];

#[test]
fn regular_intervals_and_constants_take_few_bytes() {
    let mut writer = Writer::default();
    writer.numbers(
        Encoding::DeltaOfDeltas,
        (0..4096i32).map(i64::from).map(|tick| 5_000_000_000 + tick * 100_000),
    );
    writer.numbers(Encoding::Delta, (0..4096i32).map(|_| 1_593_000));
    let bytes = writer.finish().len();
    assert!(bytes < 64, "{bytes}");
}

#[test]
fn floats_that_fit_no_scale_keep_their_bits() {
    let values = [1.0 / 3.0, -0.0, f64::MIN_POSITIVE, f64::INFINITY];
    let mut writer = Writer::default();
    writer.floats(Encoding::Delta, &values, &SCALES);
    let read = Reader::new(&writer.finish())
        .unwrap()
        .floats(Encoding::Delta, &SCALES)
        .unwrap();
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read), bits(&values));
}

#[test]
fn an_unknown_version_and_an_empty_block_are_damage() {
    for block in [&[][..], &[2], &[2, 0, 0]] {
        Reader::new(block).unwrap_err();
    }
}

proptest! {
    #[test]
    fn whatever_is_written_reads_back(
        numbers in prop::collection::vec(any::<i64>(), 0..50),
        optional in prop::collection::vec(any::<Option<i64>>(), 0..50),
        nanoseconds in prop::collection::vec(0..1u64 << 52, 0..50),
        texts in prop::collection::vec("[a-c]{0,2}", 0..50),
    ) {
        let floats = nanoseconds.iter().map(|ns| *ns as f64 / 1e9).collect::<Vec<_>>();
        let mut writer = Writer::default();
        for encoding in ENCODINGS {
            writer.numbers(encoding, numbers.iter().copied());
            writer.optional(encoding, optional.iter().copied());
            writer.floats(encoding, &floats, &SCALES);
        }
        writer.texts(texts.iter().cloned());
        let mut reader = Reader::new(&writer.finish()).unwrap();
        for encoding in ENCODINGS {
            prop_assert_eq!(&reader.numbers(encoding).unwrap(), &numbers);
            prop_assert_eq!(&reader.optional(encoding, optional.len()).unwrap(), &optional);
            prop_assert_eq!(&reader.floats(encoding, &SCALES).unwrap(), &floats);
        }
        prop_assert_eq!(reader.texts(texts.len()).unwrap(), texts);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut encoder = DeflateEncoder::new(vec![FORMAT_VERSION], Compression::fast());
        encoder.write_all(&bytes).unwrap();
        for block in [[&[FORMAT_VERSION], &bytes[..]].concat(), encoder.finish().unwrap()] {
            for column in 0..4 {
                let Ok(mut reader) = Reader::new(&block) else { continue };
                let _ = match column {
                    0 => reader.numbers(Encoding::DeltaOfDeltas).map(drop),
                    1 => reader.optional(Encoding::Delta, 10).map(drop),
                    2 => reader.floats(Encoding::Plain, &SCALES).map(drop),
                    _ => reader.texts(10).map(drop),
                };
            }
        }
    }
}
