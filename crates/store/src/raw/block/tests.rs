use proptest::prelude::*;

use super::*;

const SHAPES: [Shape; 3] = [Shape::Plain, Shape::Drifting, Shape::Ticking];
const SCALES: [f64; 2] = [1e3, 1e9];

#[test]
fn an_even_tick_and_a_constant_cost_next_to_nothing() {
    let mut writer = Writer::default();
    writer.numbers(
        Shape::Ticking,
        (0..4096i32).map(i64::from).map(|tick| 5_000_000_000 + tick * 100_000),
    );
    writer.numbers(Shape::Drifting, (0..4096i32).map(|_| 1_593_000));
    let bytes = writer.finish().len();
    assert!(bytes < 64, "{bytes}");
}

#[test]
fn floats_that_are_no_whole_number_of_any_scale_keep_their_bits() {
    let values = [1.0 / 3.0, -0.0, f64::MIN_POSITIVE, f64::INFINITY];
    let mut writer = Writer::default();
    writer.floats(Shape::Drifting, &values, &SCALES);
    let read = Reader::new(&writer.finish())
        .unwrap()
        .floats(Shape::Drifting, &SCALES)
        .unwrap();
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read), bits(&values));
}

#[test]
fn another_form_and_nothing_at_all_are_damage() {
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
        for shape in SHAPES {
            writer.numbers(shape, numbers.iter().copied());
            writer.optional(shape, optional.iter().copied());
            writer.floats(shape, &floats, &SCALES);
        }
        writer.texts(texts.iter().cloned());
        let mut reader = Reader::new(&writer.finish()).unwrap();
        for shape in SHAPES {
            prop_assert_eq!(&reader.numbers(shape).unwrap(), &numbers);
            prop_assert_eq!(&reader.optional(shape, optional.len()).unwrap(), &optional);
            prop_assert_eq!(&reader.floats(shape, &SCALES).unwrap(), &floats);
        }
        prop_assert_eq!(reader.texts(texts.len()).unwrap(), texts);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut encoder = DeflateEncoder::new(vec![FORM], Compression::fast());
        encoder.write_all(&bytes).unwrap();
        for block in [[&[FORM], &bytes[..]].concat(), encoder.finish().unwrap()] {
            for column in 0..4 {
                let Ok(mut reader) = Reader::new(&block) else { continue };
                let _ = match column {
                    0 => reader.numbers(Shape::Ticking).map(drop),
                    1 => reader.optional(Shape::Drifting, 10).map(drop),
                    2 => reader.floats(Shape::Plain, &SCALES).map(drop),
                    _ => reader.texts(10).map(drop),
                };
            }
        }
    }
}
