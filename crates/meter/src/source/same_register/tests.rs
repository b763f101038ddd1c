use std::cell::Cell;

use super::*;

const MICROJOULE: Register = Register {
    joules_per_count: 1e-6,
    range: Some(1_000_000_000),
    counts_from_opening: false,
    group: 0,
    package: None,
    is_second_choice: false,
};

fn compared(registers: &[Register], rounds: u32, mut read: impl FnMut(usize) -> Option<u64>) -> SameRegister {
    let numbered: Vec<(usize, Register)> = registers.iter().copied().enumerate().collect();
    let mut same = SameRegister::new(&numbered);
    for _ in 0..rounds {
        same.look_once(&mut read);
    }
    same
}

#[test]
fn a_register_read_under_two_names_is_one_also_across_its_wrap() {
    let count = Cell::new(999_000_000u64);
    let same = compared(&[MICROJOULE; 3], 40, |_| {
        count.set((count.get() + 31_000) % 1_000_000_000);
        Some(count.get())
    });
    assert_eq!(same.original_of(1).map(|(kept, _)| kept), Some(0));
    assert_eq!(same.original_of(2).map(|(kept, _)| kept), Some(0));
    assert!(same.original_of(0).is_none() && !same.is_undecided());
}

#[test]
fn different_registers_are_distinguished_also_where_they_run_alike_and_close_together() {
    let tick = Cell::new(0u64);
    let same = compared(&[MICROJOULE; 2], 40, |index| {
        tick.set(tick.get() + 1);
        Some(tick.get() / 10 * 100_000 + 400 * index as u64)
    });
    assert!(same.original_of(1).is_none() && !same.is_undecided(), "{same:?}");
}

#[test]
fn a_copy_that_is_written_a_moment_after_its_original_is_one_register_with_it() {
    let tick = Cell::new(0u64);
    let value = |tick: u64| 5_000_000 + tick * 68_000;
    let same = compared(&[MICROJOULE; 2], 60, |index| {
        tick.set(tick.get() + 1);
        // One reading in eleven falls between the two writes.
        let behind = u64::from(index == 1 && tick.get().is_multiple_of(11));
        Some(value(tick.get() / 10 - behind.min(tick.get() / 10)))
    });
    assert_eq!(same.original_of(1).map(|(kept, _)| kept), Some(0), "{same:?}");
}

#[test]
fn copies_of_one_register_for_the_dies_of_a_package_are_one_though_written_a_moment_apart() {
    let die = Register {
        package: Some(0),
        ..MICROJOULE
    };
    let tick = Cell::new(0u64);
    let ticking = |watts: [u64; 2]| {
        tick.set(0);
        let read = |index: usize| {
            tick.set(tick.get() + 1);
            Some(7_000_000 + tick.get() / 10 * watts[index] * 1000 + 400 * index as u64)
        };
        compared(&[die; 2], 60, read)
    };
    assert_eq!(ticking([68, 68]).original_of(1).map(|(kept, _)| kept), Some(0));
    let own = ticking([68, 55]);
    assert!(own.original_of(1).is_none() && !own.is_undecided(), "{own:?}");
}

#[test]
fn what_counts_from_its_opening_is_one_register_at_any_constant_distance() {
    let event = Register {
        joules_per_count: 2f64.powi(-32),
        range: None,
        counts_from_opening: true,
        ..MICROJOULE
    };
    let count = Cell::new(0u64);
    let ticking = |own: u64| {
        count.set(count.get() + 1);
        Some(count.get() / 3 * 3_000_000 + own)
    };
    let same = compared(&[event; 2], 60, |index| ticking([0, 777][index]));
    assert_eq!(same.original_of(1).map(|(kept, _)| kept), Some(0), "{same:?}");
    let same = compared(&[event; 2], 60, |index| ticking(count.get() * [0, 7_000][index]));
    assert!(same.original_of(1).is_none() && !same.is_undecided(), "{same:?}");
}

#[test]
fn nothing_is_decided_while_nothing_moves_and_what_is_far_apart_is_different_at_once() {
    let same = compared(&[MICROJOULE; 2], 100, |_| Some(7));
    assert_eq!((same.maybe_same_as(1), same.original_of(1)), (Some(0), None));
    let same = compared(&[MICROJOULE; 2], 1, |index| Some(50_000_000 * index as u64));
    assert_eq!((same.maybe_same_as(1), same.original_of(1)), (None, None));
}

#[test]
fn the_second_choice_is_the_one_that_is_left_out() {
    let second = Register {
        is_second_choice: true,
        ..MICROJOULE
    };
    let count = Cell::new(0u64);
    let same = compared(&[second, MICROJOULE], 40, |_| {
        count.set(count.get() + 50_000);
        Some(count.get())
    });
    assert_eq!(same.original_of(0).map(|(kept, _)| kept), Some(1));
}
