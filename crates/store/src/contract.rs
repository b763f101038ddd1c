//! The contract that every database must fulfil. Each function takes an empty store. SQLite runs each as a test of its
//! own; PostgreSQL runs all of them in one cluster, each in a fresh database.

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

/// Turns the list into one test on SQLite for each function, and into `all`, which runs the functions one after the
/// other.
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
                // Boxed: together the futures would overflow the stack of a test.
                Box::pin($module::$name(fresh().await)).await;
            )*
        }
    };
}

contract! {
    queue_depth::unfinished_experiments_are_counted_by_state_and_by_requirements,
    queueing::an_inserted_experiment_reads_back_whole,
    queueing::an_id_is_stored_once,
    queueing::the_oldest_waits_first,
    queueing::exactly_one_of_many_concurrent_claims_succeeds,
    queueing::many_claimers_share_a_queue_without_running_anything_twice,
    queueing::many_submissions_at_once_are_all_stored,
    waiting::the_first_of_each_user_queue_by_priority_and_age_are_returned,
    waiting::a_long_queue_for_the_cpu_does_not_hide_gpu_experiments,
    waiting::an_unreadable_lane_does_not_block_others,
    waiting::experiments_queued_by_an_earlier_version_get_a_lane,
    waiting::device_time_is_charged_to_its_user_when_an_attempt_ends,
    leases::a_claim_records_its_node_and_gpus,
    leases::held_experiments_are_listed_with_requested_cancellations,
    leases::an_expired_lease_is_taken_over_and_its_old_holder_can_write_nothing,
    leases::a_heartbeat_renews_an_expired_lease_that_was_not_taken,
    leases::only_experiments_of_the_node_s_earlier_incarnation_are_recovered,
    leases::a_graceful_shutdown_uses_up_no_attempt,
    leases::an_experiment_that_is_held_but_not_run_is_given_back,
    leases::concurrent_recoveries_recover_each_experiment_once,
    nodes::a_node_is_listed_with_its_capabilities_and_kept_live_by_heartbeats,
    nodes::a_name_belongs_to_one_live_server,
    nodes::a_server_of_a_version_without_engines_offers_the_built_in_one,
    nodes::a_node_that_shuts_down_is_removed_from_the_list,
    moving::a_run_whose_transitions_were_not_stored_can_complete,
    submitting::a_repeated_key_returns_the_same_experiment,
    submitting::the_same_key_with_another_body_is_refused,
    submitting::concurrent_submissions_with_one_key_queue_one_experiment,
    submitting::a_key_can_be_used_again_after_it_expires,
    submitting::a_rejected_submission_does_not_fail_its_batch,
    quotas::concurrent_submissions_do_not_exceed_the_queue_limit,
    quotas::each_submitter_has_a_quota_of_unfinished_experiments,
    quotas::a_rejected_submission_releases_its_key,
    quotas::concurrent_submissions_do_not_exceed_the_quota_of_stored_bytes,
    listing::pages_go_from_the_newest_to_the_oldest_without_gaps,
    listing::state_and_labels_filter_a_list,
    listing::model_and_age_filter_a_list,
    listing::the_engine_filters_a_list_in_every_order,
    upgrading::the_engine_of_older_experiments_is_filled_in,
    listing::a_page_is_bounded_in_number_and_in_bytes,
    listing::every_state_is_counted,
    sorting::every_order_comes_in_pages_without_gaps_or_repeats,
    sorting::submitter_and_times_filter_every_order,
    sorting::an_unread_page_has_each_report_and_is_bounded_in_bytes,
    sorting::every_change_makes_a_new_version,
    moving::an_experiment_passes_through_every_state_with_its_times,
    moving::an_illegal_transition_is_refused_and_changes_nothing,
    moving::a_lost_attempt_can_do_nothing,
    moving::a_failure_is_kept_with_its_reason,
    moving::a_repeated_transition_changes_nothing,
    moving::a_queued_experiment_is_cancelled_at_once,
    moving::a_running_experiment_is_cancelled_by_its_server,
    moving::an_unknown_experiment_is_reported_as_unknown,
    relabelling::labels_change_in_every_state_and_lists_find_them,
    relabelling::a_claim_returns_the_present_labels,
    relabelling::each_change_of_labels_makes_a_new_version,
    relabelling::too_many_labels_change_nothing,
    relabelling::concurrent_changes_of_labels_are_all_applied,
    sweeping::a_sweep_is_queued_whole_and_shows_its_progress,
    sweeping::a_sweep_that_exceeds_a_quota_queues_nothing,
    sweeping::sweeps_are_listed_from_the_newest_with_counts,
    sweeping::a_search_continues_when_its_experiments_end,
    sweeping::concurrent_ends_continue_a_search_once,
    sweeping::a_cancelled_search_queues_nothing_more,
    sweeping::a_search_that_cannot_be_read_back_is_cancelled,
    usages::usage_is_summed_by_the_hour_in_which_attempts_end,
    results::results_and_state_are_stored_together,
    results::results_that_cannot_be_stored_whole_leave_nothing,
    results::a_lost_attempt_stores_no_result,
    results::a_repeated_completion_keeps_the_first_result,
    recovering::running_experiments_return_to_the_queue_and_run_again,
    recovering::a_server_that_is_killed_uses_up_no_attempt,
    recovering::an_experiment_without_attempts_left_fails_as_interrupted,
    recovering::a_requested_cancellation_survives_its_server,
    recovering::queued_and_finished_experiments_are_not_recovered,
    access::a_key_reads_back_whole_and_an_unknown_one_is_none,
    access::revoking_a_key_again_changes_nothing,
    access::the_last_use_of_a_key_never_moves_back,
    access::a_submission_is_logged_with_its_submitter,
    sessions::a_session_reads_back_with_the_present_state_of_its_key,
    sessions::a_session_ends_once_and_sign_in_and_sign_out_are_logged,
    sessions::only_expired_sessions_are_deleted,
    sessions::a_key_beyond_its_limit_of_sessions_loses_the_oldest,
    callbacks::a_callback_becomes_due_when_its_experiment_ends,
    callbacks::one_submitter_s_callbacks_do_not_delay_another_s,
    callbacks::a_delivery_attempt_belongs_to_one_server_until_its_lease_ends,
    callbacks::the_result_of_a_delivery_attempt_is_stored_and_a_failed_one_repeated,
    transitions::every_transition_is_logged_once_and_in_order,
    transitions::uncommitted_transitions_are_not_logged,
    transitions::a_reader_of_the_log_misses_nothing_during_concurrent_writes,
    timeseries::time_series_read_back_in_order_after_the_end,
    timeseries::a_host_without_devices_has_an_empty_time_series,
    timeseries::the_time_series_of_a_later_attempt_replaces_an_earlier_one,
    timeseries::a_lost_attempt_stores_no_time_series,
    spooling::a_spooled_end_is_stored_like_any_other,
    spooling::an_end_whose_attempt_was_lost_is_dropped,
    spooling::an_end_that_is_stored_already_is_not_stored_twice,
    spooling::files_that_cannot_be_stored_are_left_in_place,
    maintenance::stored_data_is_counted_and_passes_the_check,
    maintenance::unreadable_or_inconsistent_data_is_named,
    retention::old_raw_data_is_dropped_and_results_are_not,
    retention::the_oldest_raw_data_is_dropped_first,
    retention::raw_data_of_running_experiments_is_not_dropped,
    retention::without_limits_nothing_is_dropped,
    pruning::prompts_of_finished_experiments_are_dropped_but_not_their_number_and_hash,
    pruning::prompts_of_a_built_in_dataset_are_not_dropped,
    pruning::transitions_are_dropped_except_the_last_of_each_experiment,
    pruning::old_audit_entries_and_expired_keys_are_dropped,
}
