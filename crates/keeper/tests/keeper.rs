//! Tests of keepers as processes, with shell scripts as engines.

mod keeper {
    pub mod started;

    mod ends;
    mod left_behind;
    mod starts;
}
