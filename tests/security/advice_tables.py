"""What messages of commands and of one's own data, and runbooks, say to do: see ``test_advice.py``."""

_OWN = "tests/flows/offline/datasets/test_followed.py"
_TABLES = f"{_OWN}::test_tables_are_brought_once_it_is_done"
_GUESS = f"{_OWN}::test_a_first_description_is_changed_as_its_notes_say"
_YES_NO = f"{_OWN}::test_a_yes_or_no_becomes_a_filter_where_it_is_said"
_BRING = f"{_OWN}::test_data_are_brought_as_the_message_says"
_DESCRIBED = f"{_OWN}::test_a_description_that_is_there_is_kept_whichever_way_is_taken"
_MOMENT = f"{_OWN}::test_clicks_of_one_moment_are_brought_without_times"
_SPLIT = "tests/flows/offline/evaluation/test_experiment.py::test_clicks_without_times_are_split_as_is_said"
_STREAM = "tests/flows/offline/evaluation/test_stream_experiment.py"
_CONFIG = "tests/flows/config/test_settings.py"
_ASK = "tests/integration/test_ask.py"
_REDRIVE = "tests/flows/admin/dead_letters/test_redrive.py"
_LETTERS = "tests/integration/test_dead_letters.py::test_dead_letters_go_back_in_order_after_a_fix_and_only_once"
_BACKUP = "tests/flows/admin/state/test_backup.py"
_STATE = "tests/flows/admin/state/test_followed.py"
_CLUSTER = "tests/integration/test_cluster.py"
_BRAKE = "tests/integration/test_brake.py::test_a_bad_release_is_not_read_to_its_end"
_KILLS = "tests/faults/test_faults.py::test_five_kills_lose_nothing"
_TOPICS = "tests/integration/test_topics_change.py"
_FLOWS = "tests/integration/test_followed.py"
_RAISED = f"{_REDRIVE}::test_a_letter_is_accepted_once_the_limit_is_raised_or_the_time_has_come"
_TRAINED = (
    "tests/flows/offline/test_followed.py::test_a_bundle_that_cannot_be_used_is_trained_again_as_the_message_says"
)
_HALVES = f"{_FLOWS}::test_halves_another_bundle_and_the_one_before_with_more_least_seeds_cost_no_seed"

DATA: dict[str, tuple[str, ...]] = {
    # tables of one's own
    "put a line of names above them": (_TABLES,),
    "say blank_numbers =": (_TABLES,),
    "take least_rating out": (_TABLES,),
    "say unlisted =": (_TABLES,),
    "say incomplete =": (_TABLES,),
    "save it as that, or say encoding in data.toml": (_TABLES,),
    "say time_format in data.toml": (_TABLES,),
    'say time_unit = "{}" in data.toml, or "s"': (_TABLES,),
    'say time_unit = "{}" in data.toml if that': (_TABLES,),
    "write it as a number, such as +01:00": (_TABLES,),
    "bring them into one": (_TABLES,),
    "leave such events out": (_TABLES,),
    "write both in one way": (_TABLES,),
    "rename that column": (_TABLES,),
    "keep those that tell most": (_TABLES,),
    "unpack it, or save each sheet as CSV": (_TABLES,),
    "export its tables as CSV": (_TABLES,),
    "bring a part of its rows": (
        "tests/flows/offline/datasets/test_export_shapes.py::test_what_unfolds_to_more_than_memory_holds_is_refused",
    ),
    "what it is called ([columns]), or timed = false": (_TABLES,),
    "say in data.toml what they are called": (_GUESS,),
    "give what is a table one of these endings": (
        "tests/flows/offline/datasets/test_export_shapes.py::test_files_whose_endings_tell_nothing_are_named",
    ),
    "if its rows are events as well": (_GUESS,),
    "if only those with {} are clicks": (_YES_NO,),
    "if they are ratings, say rating =": (f"{_OWN}::test_a_column_that_may_be_ratings_is_named_as_is_said",),
    "if they are ratings, call it": (f"{_OWN}::test_small_numbers_without_a_name_are_ratings",),
    "bring them as one column": (f"{_OWN}::test_year_month_and_day_are_brought_as_one_column",),
    "bring a row for each user and item": (f"{_OWN}::test_a_matrix_is_brought_as_a_row_for_each_of_its_numbers",),
    "put day and time into one column": (f"{_OWN}::test_day_and_time_in_two_columns_are_put_together",),
    "export them as text": (f"{_OWN}::test_ids_that_are_exported_as_text_keep_their_digits",),
    "leave --init out to go by it": (_DESCRIBED,),
    "bring one with `ralm data NAME`": (_BRING,),
    "bring it first: ralm data": (_BRING,),
    "give the times at which they happened": (_MOMENT,),
    "move it to another place, and another is fetched": (
        f"{_OWN}::test_a_damaged_wheel_is_moved_away_and_fetched_again",
    ),
    "put its wheel into": ("tests/flows/offline/datasets/test_movielens.py::test_movielens_is_fetched_once",),
    "; say --eval-split user or items": (_SPLIT,),
    "leave out --protocol stream": (_SPLIT,),
    "another --eval-stream-cut": (f"{_STREAM}::test_tables_and_plot_are_written_and_cells_are_used_again",),
    # settings and commands
    "choose SSL or SASL_SSL": (f"{_CONFIG}::test_settings_that_are_changed_as_is_said_are_taken",),
    "choose SASL_SSL or SASL_PLAINTEXT": (f"{_CONFIG}::test_settings_that_are_changed_as_is_said_are_taken",),
    "name it with --config {} if you trust it": (f"{_CONFIG}::test_a_file_that_nobody_named_loads_no_code",),
    "write 250ms, 5s, 5m or 1h": (f"{_ASK}::test_what_no_flow_would_take_is_not_sent",),
    "(--again sends them too)": (f"{_REDRIVE}::test_receipts_may_be_passed_over",),
    "send with --unproven if you trust": (f"{_REDRIVE}::test_what_its_topic_does_not_hold_stays",),
    "is restored from {}: start the flow": (
        f"{_BACKUP}::test_what_was_backed_up_comes_back",
        f"{_STATE}::test_each_damaged_value_names_its_store_which_alone_is_moved_away_and_put_back",
    ),
    "stop it, or give this one a --folder of its own": (
        "tests/integration/test_demo.py::test_an_interrupt_leaves_no_process_behind",
    ),
}
"""Words of a message, and the tests that do what it says."""

LOOKS = (
    "look at the disk",
    "look at [columns]",
    "if not all are clicks, say which ([filter])",
    "look at [lists]",
    "look at [join]",
    "look at unlisted",
    "look at incomplete",
    "look at names with accents",
    "look at missing",
    "look at time_format",
    "look at [names]",
    "look at least_rating",
    "look at [filter]",
    "look at blank_numbers",
    "look at their unit, and bring the data again",
    "look at the unit and the clock of what wrote it",
    "look at the process that makes them",
    "look at the dead letters",
    "look at the centroids topic",
    "Look at the centroids topic",
    "look at the errors of the sink",
    "Look for a failing disk or one without locks",
    "Look at the intervals",
    "says what else is",
    "says what is missing",
    "wait before you start a flow",
    "it catches up, wait",
    "ask again",
    "Find what produces",
    "Find out who wrote them",
)
"""Words by which somebody only looks, asks or waits."""

HARMLESS_ELSEWHERE = (
    "Mount it so that it can be written, or choose another --state-dir",
    "say --from FOLDER",
    "fall back to what is popular, or train again",
    "give it another name, and say --from FOLDER",
    "give --clicks, --requests or both",
    "say where it is with --metrics-host",
    "--limit",
    "--dashboards goes with --live",
    "{} state show --config {}",
    "{} top --config {}",
    "In another terminal: {} ask 13 --config {}",
    "{} demo --live shows",
    "`ralm bench ingest` measures",
    "fill them in to use it",
    "unpack it, and leave the files here",
    "save each of its sheets as CSV",
    "bring it as Parquet, CSV or JSON lines",
    "start again",
    "Give it more memory",
    "--eval-split {}",
    "(--eval-cut, --eval-floor-clicks",
    "`ralm evaluate {} --eval-split items`",
    "train again",
    "Ask for fewer",
    "send it one example",
    "raise the allowed lateness",
    # No advice: words that read like it.
    "leave out",
    ", give or take ",
    "runs the main models alone, once",
    "name several items",
    "put together with it (repeated)",
    "as long as it is, a start accepts",
    "--protocol stream",
    "look at the intervals",
    "Served with these: ",
    "chosen on validation, run by run",
    "start new thread",
    "start watchdog thread",
)
"""Words by which nothing that is kept can be lost, whoever follows them."""

_LOOK: tuple[str, ...] = ()
"""Somebody looks, asks or waits, or a flow that is well is named."""

RUNBOOKS: dict[str, tuple[str, ...]] = {
    # start, stop, move
    "SIGKILL if that does not help in a minute": (_KILLS,),
    "Start the flow again; more `--cluster-workers`": (_KILLS,),
    "Give it more, or fewer `--workers`": (f"{_CLUSTER}::test_two_processes_then_one",),
    "More `--workers` or processes": (
        f"{_CLUSTER}::test_two_processes_then_one",
        f"{_CLUSTER}::test_two_processes_with_a_directory_each_start_on_either",
    ),
    "`ralm run scores` with one of its own": (_HALVES,),
    "run `ralm run seeds` and `ralm run scores` apart": (_HALVES,),
    "copy the whole state directory": ("tests/integration/test_backup.py::test_a_drained_copy_is_a_backup",),
    "A restart loses nothing": (_KILLS,),
    "stop one of them": (f"{_STATE}::test_of_two_processes_on_a_directory_the_second_goes_elsewhere_or_waits",),
    "Bring it back; the flow goes on by itself": (
        "tests/flows/kafka/test_outage_log.py::test_an_answer_after_calm_ends_it_and_the_next_error_begins_anew",
    ),
    "put the last good bundle back": (_HALVES,),
    "put the last good one back": (_HALVES,),
    "a higher `--min-seeds`": (_HALVES,),
    "Do not lower `--item-ttl`": _LOOK,
    # topics
    "It *has grown*": (
        "tests/integration/test_partition_growth.py::test_items_keep_their_seeds_when_the_topic_has_grown",
    ),
    "It *is gone*": (f"{_TOPICS}::test_a_flow_says_what_becomes_of_its_topics_and_is_not_ready",),
    "start once with `--rebuild partial`": (
        f"{_FLOWS}::test_clicks_that_expired_before_they_were_read_cost_no_seed_that_a_store_has",
    ),
    "Put the partition's store back": (
        f"{_TOPICS}::test_a_store_that_lies_elsewhere_is_rebuilt_if_the_topic_has_all_of_it_else_refused",
    ),
    "`ralm topics` makes it": (f"{_TOPICS}::test_a_flow_says_what_becomes_of_its_topics_and_is_not_ready",),
    "raise the topic's to 1048588": (
        "tests/integration/test_sink_and_source.py::test_a_topic_that_takes_only_shorter_messages_is_said_with_its_setting",
    ),
    # dead letters
    "Stop it or set it back": (_BRAKE,),
    "kill -USR1 PID": (_BRAKE,),
    "until they are passed (lag 0)": (_BRAKE,),
    "Start the version of the flow that reads its messages": (_LETTERS,),
    "`ralm dead-letters redrive` brings back": (_LETTERS,),
    "Raise it, restart, and redrive": (_RAISED,),
    "raise them only if such messages are intended": (_RAISED,),
    "Raise `dead_letter_max_ratio`, or turn the brake off": (_BRAKE,),
    # bundles
    "rain again": (_TRAINED,),
    "`ralm train NAME` with newer clicks": (_TRAINED,),
    # nothing of ours is touched
    "take that right away": _LOOK,
    "silence it": _LOOK,
    "give it more time": _LOOK,
    "Fix the clock": _LOOK,
    "`--max-top-k`": _LOOK,
    "yet, wait": _LOOK,
    "look at ": _LOOK,
    "look for ": _LOOK,
    "Ask without candidates to compare": _LOOK,
    "Somebody has sent tombstones": _LOOK,
    "compare them": _LOOK,
    "compare the ": _LOOK,
    "`ralm dead-letters explain`": _LOOK,
    "Find out who": _LOOK,
    "prints what is in force": _LOOK,
    "the port is bound to loopback": _LOOK,
    "before it gives up and stops the flow": _LOOK,
    "`--score-batch`": _LOOK,
    "keep the log and the py-spy dump": _LOOK,
    "keep `ralm state show` and the log": _LOOK,
    "`ralm topics` fails": _LOOK,
    "ask its keepers first": _LOOK,
    "name resolution": _LOOK,
    "the count begins again": _LOOK,
    "at the very first start": _LOOK,
    "shows that the topic is not compacted": _LOOK,
}
"""Words of a runbook's remedy, and the tests that do what it says; none where nothing can be lost."""
