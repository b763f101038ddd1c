//! What every database must do alike. Each function takes an empty store; SQLite runs each as a test of its own,
//! PostgreSQL all of them on one throwaway cluster.

mod access;
mod fixtures;
mod listing;
mod moving;
mod postgres;
mod queueing;
mod recovering;
mod results;
mod sqlite;
mod timeseries;

/// Lists the contract once: `SQLite` gets a test a function, `all` runs them one after the other.
macro_rules! contract {
    ($($module:ident :: $name:ident,)*) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    let folder = tempfile::tempdir().unwrap();
                    super::$module::$name(super::sqlite::fresh(folder.path()).await).await;
                }
            )*
        }

        async fn all(fresh: impl AsyncFn() -> super::Store) {
            $(
                println!("{}", stringify!($name));
                $module::$name(fresh().await).await;
            )*
        }
    };
}

contract! {
    queueing::what_was_inserted_reads_back_whole,
    queueing::an_id_is_stored_once,
    queueing::the_oldest_waits_first,
    queueing::of_many_who_claim_one_experiment_exactly_one_gets_it,
    queueing::many_claimers_share_a_queue_without_running_anything_twice,
    queueing::many_submissions_at_once_are_all_stored,
    listing::pages_go_from_the_newest_to_the_oldest_without_gaps,
    listing::state_and_label_narrow_a_list_each_and_together,
    listing::every_state_is_counted,
    moving::an_experiment_goes_the_whole_way_with_its_times,
    moving::a_move_that_does_not_exist_is_refused_and_changes_nothing,
    moving::a_lost_attempt_can_do_nothing,
    moving::a_failure_is_kept_with_its_reason,
    moving::a_repeated_move_finds_its_work_done,
    moving::one_that_waits_is_cancelled_at_once,
    moving::one_that_runs_is_cancelled_by_whoever_runs_it,
    moving::an_unknown_experiment_is_said_to_be_unknown,
    results::results_and_state_are_stored_together,
    results::results_that_cannot_be_stored_whole_leave_nothing,
    results::a_lost_attempt_stores_no_result,
    results::a_repeated_completion_keeps_the_first_result,
    recovering::what_ran_goes_back_to_the_queue_and_runs_again,
    recovering::what_has_used_up_its_attempts_fails_as_interrupted,
    recovering::a_cancellation_outlives_the_server,
    recovering::what_waits_or_is_finished_is_left_alone,
    access::a_key_reads_back_whole_and_an_unknown_one_is_none,
    access::a_key_is_revoked_once_and_for_good,
    access::a_keys_last_use_only_goes_forward,
    access::a_submission_is_written_down_with_who_did_it,
    access::what_waits_or_runs_is_counted_by_submitter,
    timeseries::devices_over_time_read_back_in_order_also_after_the_end,
    timeseries::a_host_without_any_device_has_a_series_of_none,
    timeseries::a_later_attempt_s_series_takes_the_place_of_an_earlier_one,
    timeseries::whoever_lost_an_experiment_keeps_no_series_of_it,
}
