//! What every database must do alike. Each function takes an empty store; SQLite runs each as a test of its own,
//! PostgreSQL all of them on one throwaway cluster.

mod access;
mod callbacks;
mod fixtures;
mod leases;
mod listing;
mod maintenance;
mod moving;
mod nodes;
mod postgres;
mod pruning;
mod queue_depth;
mod queueing;
mod quotas;
mod recovering;
mod relabelling;
mod results;
mod retention;
mod sessions;
mod sorting;
mod spooling;
mod sqlite;
mod submitting;
mod sweeping;
mod timeseries;
mod transitions;
mod upgrading;
mod usages;
mod waiting;

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
                // Apart: together they would be more than a test's stack holds.
                Box::pin($module::$name(fresh().await)).await;
            )*
        }
    };
}

contract! {
    queue_depth::unfinished_experiments_are_counted_by_state_and_by_need,
    queueing::what_was_inserted_reads_back_whole,
    queueing::an_id_is_stored_once,
    queueing::the_oldest_waits_first,
    queueing::of_many_who_claim_one_experiment_exactly_one_gets_it,
    queueing::many_claimers_share_a_queue_without_running_anything_twice,
    queueing::many_submissions_at_once_are_all_stored,
    waiting::of_each_user_and_need_the_first_by_priority_and_age_are_seen,
    waiting::a_thousand_that_need_the_cpu_hide_nobody_who_needs_a_gpu,
    waiting::a_lane_that_cannot_be_read_stands_in_nobody_s_way,
    waiting::what_an_earlier_version_queued_is_given_its_place,
    waiting::device_time_is_put_down_to_its_user_when_an_attempt_ends,
    leases::a_claim_says_who_has_it_and_what_it_was_given,
    leases::what_is_held_is_known_with_the_wish_to_cancel_it,
    leases::a_lease_that_ran_out_is_taken_over_and_its_old_holder_can_do_nothing,
    leases::a_heartbeat_renews_also_a_lease_that_ran_out_but_was_not_taken,
    leases::an_earlier_life_of_a_node_is_taken_over_at_once_and_nobody_else_s,
    leases::an_orderly_stop_is_no_interruption,
    leases::what_is_held_and_not_run_is_given_back,
    leases::many_who_take_over_at_once_take_over_each_experiment_once,
    nodes::a_node_is_listed_with_what_it_has_and_lives_by_its_heartbeat,
    nodes::a_name_is_one_live_server_s_own,
    nodes::a_server_that_knows_of_no_engines_offers_what_it_has_built_in,
    nodes::a_node_that_stops_in_order_is_listed_no_more,
    moving::a_run_that_the_database_lost_sight_of_may_still_complete,
    submitting::a_key_queues_once_and_gives_the_same_experiment,
    submitting::the_same_key_with_another_body_is_refused,
    submitting::of_many_who_come_with_one_key_one_queues,
    submitting::a_key_is_free_again_after_its_time,
    submitting::one_that_is_refused_does_not_take_its_group_down,
    quotas::of_many_at_once_no_more_are_let_in_than_may_wait,
    quotas::each_submitter_has_a_quota_of_what_waits_or_runs,
    quotas::whoever_finds_no_room_leaves_the_key_free,
    quotas::each_submitter_stores_so_many_bytes_and_no_more_however_many_come_at_once,
    listing::pages_go_from_the_newest_to_the_oldest_without_gaps,
    listing::state_and_label_narrow_a_list_each_and_together,
    listing::model_and_time_narrow_a_list,
    listing::the_engine_narrows_a_list_in_every_order,
    upgrading::the_engine_of_what_was_stored_before_is_found,
    listing::a_page_is_bounded_in_number_and_in_bytes,
    listing::every_state_is_counted,
    sorting::every_order_comes_in_pages_without_gaps_or_repeats,
    sorting::submitter_and_times_narrow_every_order,
    sorting::an_unread_page_has_each_report_and_is_bounded_in_bytes,
    sorting::a_version_moves_with_every_change,
    moving::an_experiment_goes_the_whole_way_with_its_times,
    moving::a_move_that_does_not_exist_is_refused_and_changes_nothing,
    moving::a_lost_attempt_can_do_nothing,
    moving::a_failure_is_kept_with_its_reason,
    moving::a_repeated_move_finds_its_work_done,
    moving::one_that_waits_is_cancelled_at_once,
    moving::one_that_runs_is_cancelled_by_whoever_runs_it,
    moving::an_unknown_experiment_is_said_to_be_unknown,
    relabelling::labels_change_in_every_state_and_lists_find_them,
    relabelling::a_claim_has_the_labels_of_its_moment,
    relabelling::each_change_of_labels_is_a_version_and_none_is_none,
    relabelling::more_labels_than_there_may_be_change_nothing,
    relabelling::of_many_who_change_labels_at_once_no_change_is_lost,
    sweeping::a_sweep_is_queued_whole_and_tells_how_far_it_is,
    sweeping::a_sweep_that_finds_no_room_for_all_leaves_nothing,
    sweeping::sweeps_are_listed_from_the_newest_with_counts,
    sweeping::a_search_goes_on_with_the_end_of_what_it_waited_for,
    sweeping::of_many_who_settle_a_search_at_once_one_goes_on_with_it,
    sweeping::a_search_that_is_cancelled_queues_nothing_more,
    sweeping::a_search_that_cannot_be_read_back_is_given_up_with_its_plans,
    usages::what_a_user_has_had_is_summed_by_the_hour_of_its_end,
    results::results_and_state_are_stored_together,
    results::results_that_cannot_be_stored_whole_leave_nothing,
    results::a_lost_attempt_stores_no_result,
    results::a_repeated_completion_keeps_the_first_result,
    recovering::what_ran_goes_back_to_the_queue_and_runs_again,
    recovering::a_server_that_is_killed_uses_up_no_attempt,
    recovering::what_has_used_up_its_attempts_fails_as_interrupted,
    recovering::a_cancellation_outlives_the_server,
    recovering::what_waits_or_is_finished_is_left_alone,
    access::a_key_reads_back_whole_and_an_unknown_one_is_none,
    access::a_key_is_revoked_once_and_for_good,
    access::a_keys_last_use_only_goes_forward,
    access::a_submission_is_written_down_with_who_did_it,
    sessions::a_session_reads_back_with_its_key_as_that_is_now,
    sessions::a_session_ends_once_and_the_log_says_who_signed_in_and_out,
    sessions::sessions_that_have_expired_are_forgotten_and_no_others,
    sessions::a_key_has_so_many_sessions_and_the_oldest_goes_first,
    callbacks::who_wants_to_be_told_becomes_due_with_the_end_and_not_before,
    callbacks::nobody_s_callbacks_keep_another_s_waiting,
    callbacks::a_try_is_one_server_s_until_its_lease_ends,
    callbacks::what_came_of_a_try_is_kept_and_a_failed_one_is_due_again_in_its_time,
    transitions::every_change_of_state_is_in_the_log_once_and_in_order,
    transitions::what_was_not_committed_is_not_in_the_log,
    transitions::who_follows_the_log_while_many_write_misses_nothing,
    timeseries::devices_over_time_read_back_in_order_also_after_the_end,
    timeseries::a_host_without_any_device_has_a_series_of_none,
    timeseries::a_later_attempt_s_series_takes_the_place_of_an_earlier_one,
    timeseries::whoever_lost_an_experiment_keeps_no_series_of_it,
    spooling::an_end_that_waited_is_stored_as_if_it_had_not,
    spooling::an_end_whose_attempt_was_lost_is_dropped,
    spooling::an_end_that_is_stored_already_is_not_stored_twice,
    spooling::what_is_no_end_or_of_another_database_is_left,
    maintenance::what_is_stored_is_counted_and_found_good,
    maintenance::what_cannot_be_read_or_does_not_belong_together_is_named,
    retention::what_is_too_old_goes_and_the_results_stay,
    retention::the_oldest_go_first_until_the_rest_fits,
    retention::what_runs_is_left_alone,
    retention::without_a_bound_everything_is_kept,
    pruning::prompts_of_what_is_finished_go_and_their_number_and_hash_stay,
    pruning::prompts_of_a_built_in_set_are_no_prompts_to_drop,
    pruning::changes_of_state_go_but_the_last_of_each_experiment,
    pruning::old_entries_of_the_audit_log_and_free_keys_go_in_batches,
}
