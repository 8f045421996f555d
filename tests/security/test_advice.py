"""Each message that tells somebody to do something: which test does it to the letter and looks what is left.

A message with advice that is in neither table fails here, and so does a remedy of a runbook. The tables of commands, of
one's own data and of runbooks are in ``advice_tables.py``. The help of flags and settings is left out.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from flows.cli.main import cli
from tests.security.advice_tables import DATA, HARMLESS_ELSEWHERE, LOOKS, RUNBOOKS

ROOT = Path(__file__).parents[2]
_ROOMS = ("flows", "state", "monitoring")
_LEFT_OUT = {"bench", "schemas"}
_NOT_MESSAGES = {"dashboard.py", "export.py", "generated.py", "main.py", "options.py", "reference.py"}
_OF_HELP = {"setting", "duration"}
"""What makes settings; their texts are the help of flags."""
_VERB = (
    "alter ask bring call choose compare copy delete export fill find fix give grow install keep leave let look lower "
    "make mend mount move name point put raise rebuild redrive remove rename restart restore run save say send set "
    "start stop take train unpack use wait write"
)
_ADVICE = re.compile(
    rf"(?:^|[.;:,(] |\b(?:and|or|first|once|yet) )(?:then |else |once )?(?:{_VERB.replace(' ', '|')})\b"
    r"|(?<![\w-])--[a-z]{3}|`ralm ",
    re.IGNORECASE,
)
"""An imperative where a sentence or a part of it begins, a flag, a command."""
_REMEDY = re.compile(
    _ADVICE.pattern + r"|[Mm]ore `|fewer `|\b(?:kill|silence|turn|change|keep|put|[Tt]rain)\b", re.IGNORECASE
)
_COMMAND = re.compile(r"`(ralm [^`]+)`")

_STATE = "tests/flows/admin/state/test_followed.py"
_TOPICS = "tests/integration/test_topics_change.py"
_FLOWS = "tests/integration/test_followed.py"
_LETTERS = "tests/integration/test_dead_letters.py"
_REDRIVE = "tests/flows/admin/dead_letters/test_redrive.py"
_SYSTEM = "tests/state/store/test_system_refusals.py"
_CONSUMER = "tests/flows/kafka/test_consumer.py"
_GROWN = "tests/flows/seed_sets/test_repartition.py"
_SINK = "tests/integration/test_sink_and_source.py"
_PREFLIGHT = "tests/flows/preflight/test_preflight.py"
_CHECK = "tests/integration/test_preflight.py"
_AWAY = f"{_STATE}::test_each_damaged_value_names_its_store_which_alone_is_moved_away_and_put_back"
_IN_THE_WAY = f"{_STATE}::test_what_lies_in_the_way_of_a_restore_is_moved_and_kept"
_NEW_PLACE = f"{_STATE}::test_a_backup_goes_into_a_new_directory_beside_the_state"
_CUT_OFF = "tests/flows/admin/state/test_backup.py::test_a_restore_that_is_cut_off_is_refused_until_it_is_done_again"
_ELSEWHERE = f"{_TOPICS}::test_a_store_that_lies_elsewhere_is_rebuilt_if_the_topic_has_all_of_it_else_refused"
_ANEW = f"{_TOPICS}::test_clicks_made_anew_while_stopped_are_refused_and_then_read_with_all_seeds_kept"
_EXPIRED = f"{_FLOWS}::test_clicks_that_expired_before_they_were_read_cost_no_seed_that_a_store_has"
_ALTERED = f"{_FLOWS}::test_topics_are_altered_with_the_command_that_is_shown"
_FIRST_FORMAT = f"{_FLOWS}::test_a_state_of_the_first_format_is_moved_and_made_again_of_what_the_topic_has"
_RAISED = f"{_REDRIVE}::test_a_letter_is_accepted_once_the_limit_is_raised_or_the_time_has_come"
_FILES = f"{_SYSTEM}::test_too_few_files_that_may_be_open_are_said_and_more_of_them_bring_all_back"
_ROOM = f"{_SYSTEM}::test_a_limit_of_length_is_said_and_a_higher_one_brings_back_all_that_was_written"
_REFUSALS = f"{_SYSTEM}::test_each_refusal_has_advice_that_keeps_the_store"
_GONE = f"{_CONSUMER}::test_offsets_that_are_gone_cost_no_store"
_STEP = "tests/flows/kafka/test_step_over.py::test_a_batch_that_unfolds_to_too_much_is_stepped_over"
_RESTART = "tests/faults/test_faults.py::test_five_kills_lose_nothing"
_PEER = "tests/integration/test_cluster.py::test_a_process_whose_peer_died_says_so_and_both_go_on_once_started_again"
_BEGIN = "tests/flows/seed_sets/test_first_positions.py"
_DIRECTORY = "tests/state/test_directory.py"
_SCOUT = "tests/flows/kafka/test_scout.py::test_a_damaged_batch_ends_the_flow_in_words_unless_all_are_stepped_over"
_COMMANDS = (
    "tests/flows/kafka/test_batch_by_batch.py::test_where_it_is_not_to_be_stepped_over_the_way_on_is_said_and_is_one"
)
_MIXED_UP = f"{_STATE}::test_two_stores_that_were_mixed_up_go_back_to_where_they_were"
_TRAINED = "tests/flows/offline/test_followed.py::test_a_bundle_of_a_newer_version_stays_where_one_is_trained_beside_it"
_AGAIN = "tests/flows/offline/test_followed.py::test_a_bundle_that_cannot_be_used_is_trained_again_as_the_message_says"
_CROWD = f"{_STATE}::test_of_two_processes_on_a_directory_the_second_goes_elsewhere_or_waits"

FOLLOWED: dict[str, tuple[str, ...]] = {
    # stores
    "Move that directory away: at its next start": (_AWAY, _ELSEWHERE),
    "to it the store is whole": (f"{_SYSTEM}::test_a_store_of_a_newer_version_is_not_given_up",),
    "does not end either, it is damaged": (_AWAY,),
    "Let the process open more files (ulimit -n, LimitNOFILE)": (_FILES,),
    "Make room on the disk and start again": (_ROOM,),
    "Run as the user whom its files belong to": (_REFUSALS,),
    "Mount the disk so that it can be written": (_REFUSALS,),
    "Give the process more memory and start again": (_REFUSALS,),
    "The disk or its driver says so": (_REFUSALS, _AWAY),
    "could not be compacted": (_ROOM, _AWAY),
    "is in use by another process: stop that one first": (_CROWD,),
    "If topic_prefix or topic_clicks is not what it was": (
        _MIXED_UP,
        f"{_STATE}::test_a_backup_of_another_topic_is_put_aside_and_ones_own_put_in_place",
        f"{_BEGIN}::test_a_store_of_another_topic_is_said_and_read_once_the_name_is_set_back",
    ),
    # state directories
    "Drain the flow with the version that wrote it": (_FIRST_FORMAT,),
    "A newer version wrote it": (f"{_STATE}::test_a_newer_state_is_moved_and_the_backup_from_before_it_restored",),
    "copy or restore the whole directory again": (_IN_THE_WAY,),
    "(BACKUP/format.json)": (
        f"{_STATE}::test_a_note_that_is_copied_from_a_backup_serves",
        f"{_DIRECTORY}::test_a_mark_that_is_written_as_the_refusal_says_keeps_the_number_of_partitions",
    ),
    "was cut off, or is still going on": (_CUT_OFF,),
    "Stop that process first. If this one is to run beside it": (_CROWD,),
    "move what it holds to another place first": (_IN_THE_WAY,),
    "is there: move that directory away first": (_AWAY,),
    "could not be restored": (
        "tests/flows/admin/state/test_backup.py::test_a_full_disk_leaves_a_restore_that_is_done_again",
    ),
    "could not be given the store": (f"{_STATE}::test_a_store_that_is_not_put_back_whole_is_not_there",),
    "choose a new directory for the backup": (_NEW_PLACE,),
    "name a new directory on it": (_NEW_PLACE,),
    "choose a place outside it": (_NEW_PLACE,),
    "`ralm state backup DIRECTORY` makes one": (_NEW_PLACE,),
    "stop it first": ("tests/integration/test_backup.py::test_a_backup_beside_a_running_flow",),
    "cannot be written: {}. Once that is fixed": (_ROOM,),
    "Look for a full or failing disk": (_ROOM, f"{_GROWN}::test_a_move_that_was_cut_off_goes_on"),
    # where topics begin
    "Put the partition's store back": (_ELSEWHERE,),
    "Put a newer store of the partition in its place": (_EXPIRED,),
    "there is one; else start once with --rebuild partial": (_EXPIRED,),
    "name the wrong cluster, fix that": (
        _ANEW,
        f"{_TOPICS}::test_clicks_with_fewer_partitions_are_refused_and_then_read_with_all_items_brought_home",
    ),
    "were deleted before they were read": (_GONE, _EXPIRED),
    "unclean leader election": (_GONE, _ANEW),
    "was made anew while the flow ran": (f"{_TOPICS}::test_a_topic_made_anew_under_a_flow_ends_it",),
    "was made while the flow ran: start the flow again": (
        f"{_TOPICS}::test_a_flow_says_what_becomes_of_its_topics_and_is_not_ready",
    ),
    "start the flow again": (
        "tests/integration/test_partition_growth.py::test_items_keep_their_seeds_when_the_topic_has_grown",
    ),
    "it is gone, and the stores have read it": (
        f"{_TOPICS}::test_requests_and_candidates_made_anew_while_stopped_are_read_from_their_beginning",
    ),
    "Start again with --partitioner": (f"{_GROWN}::test_without_a_partitioner_that_explains_it_nothing_is_moved",),
    "Put the folders seeds/NNNNN": (
        f"{_GROWN}::test_fewer_partitions_are_refused_where_a_store_is_missing_or_nothing_tells_where_items_go",
    ),
    "Say it: --partitioner crc32": (
        f"{_GROWN}::test_after_a_single_partition_the_operator_must_say_which_partitioner_it_is",
    ),
    # topics and brokers
    "alter it with `{}`": (_ALTERED,),
    "kafka-configs.sh": (_ALTERED,),
    ", or have producers send at most": (
        "tests/flows/preflight/test_topics.py::test_what_a_topic_is_altered_to_takes_the_longest_good_message",
    ),
    "--bootstrap-server": (_ALTERED,),
    " --command-config CLIENT.properties": (_ALTERED,),
    "restore to another place": (_NEW_PLACE,),
    "set the topic's to {most} or more with": (
        _ALTERED,
        f"{_SINK}::test_a_topic_that_takes_only_shorter_messages_is_said_with_its_setting",
    ),
    "a change of the topic moves keys": (
        "tests/flows/kafka/test_topics.py::test_partitions_that_are_asked_for_as_they_are_differ_no_more",
    ),
    "`ralm topics` makes it again": (f"{_TOPICS}::test_a_flow_says_what_becomes_of_its_topics_and_is_not_ready",),
    "run `ralm topics` to make it": (
        f"{_CHECK}::test_missing_outputs_are_refused_for_those_that_write_them",
        f"{_CHECK}::test_a_flow_may_start_right_after_its_topics_were_made",
    ),
    "start with --step-over {}": (_STEP, _SCOUT),
    "make a good one the leader": (_STEP, f"{_CONSUMER}::test_a_batch_that_stays_unreadable_stops_the_flow_in_words"),
    "Make a replica that has it intact the leader": (_SCOUT, _STEP, _COMMANDS),
    "this with --step-over": (_COMMANDS,),
    "delete the topic {}, make it again": (f"{_TOPICS}::test_centroids_made_anew_while_stopped_are_sent_again",),
    "Start again once it does": (_RESTART,),
    "Fix that at the broker and start again": (_RESTART,),
    "raise delivery_timeout": (f"{_SINK}::test_what_the_broker_does_not_take_raises", _RESTART),
    "another process of the cluster has ended": (_PEER,),
    "Start the processes of the cluster again": (_PEER,),
    "Stop what sends them, then send": ("tests/integration/test_brake.py::test_a_bad_release_is_not_read_to_its_end",),
    # bundles, ports
    "Train again (`ralm train NAME`), or copy": (_AGAIN,),
    "train one with `ralm train NAME`": (_AGAIN,),
    "Train again with this version": (_AGAIN,),
    "A newer version made it": (_TRAINED,),
    "let this user read the bundle's folder": (
        "tests/state/bundle/test_bundle.py::test_a_file_that_may_not_be_read_is_not_taken_for_damage",
    ),
    "Choose another --metrics-host": (f"{_PREFLIGHT}::test_a_port_that_is_taken_is_refused",),
    "raise the limit (ulimit -n, LimitNOFILE)": (
        f"{_PREFLIGHT}::test_too_few_files_are_said_before_anything_is_taken_for_damage",
        _FILES,
    ),
    # dead letters
    "`ralm dead-letters redrive --set-key`": (f"{_REDRIVE}::test_a_key_is_set_only_where_the_key_was_the_reason",),
    "raise max_message_bytes": (_RAISED,),
    "raise max_candidates": (_RAISED,),
    "max_future is raised": (_RAISED,),
    "run the version that reads it": (f"{_LETTERS}::test_dead_letters_go_back_in_order_after_a_fix_and_only_once",),
    "Run a version of the flow that reads it": (
        f"{_LETTERS}::test_dead_letters_go_back_in_order_after_a_fix_and_only_once",
    ),
    "name it: --topic": (f"{_REDRIVE}::test_filters_limit_and_dry_run",),
    "could be forged (--unproven)": (f"{_REDRIVE}::test_what_its_topic_does_not_hold_stays",),
}
"""Words of a message, and the tests that do what it says."""

HARMLESS = (
    # It looks, or asks once more.
    "Does a flow run that scores",
    "there are no stores in",
    "run this again",
    "compare this machine's clock with theirs",
    "give all processes the same bundle",
    "It may be whole: look at what the system says",
    "Run the command as the user whom the files belong to",
    "Fix that (rights, files that may be open, the disk)",
    # Another place, a right, more of something: what is kept is not touched.
    "name another place",
    "name a place that can be written",
    "name one that is there",
    "name a file",
    "Name a file that is there",
    "make room, and run it again",
    "let the process open more files (ulimit -n), and",
    "let the system open more files",
    "let the process write longer files",
    "raise the limit (ulimit -v, LimitAS)",
    "give it more memory",
    "give it more, and run it again",
    "let it have more processes",
    "give him {}",
    "give the user {} on it",
    "Give them to the user",
    "Give this user the right to",
    "Choose another --state-dir",
    "Mount it so that it can be written",
    "Set TMPDIR",
    "Run as the user whom the files belong to",
    "Stop what listens there",
    # Another value of a setting, before anything was read.
    "give both the same number",
    "make messages shorter: lower {lower}",
    "or fewer",
    "train with a smaller dim",
    "all producers of clicks must key them",
    "install a C compiler",
    "use a Kafka cluster",
    "start it first",
    "Fix the producer and have it send the event again",
    # No advice: words that read like it.
    "rebuild is partial: all seed sets are kept",
    "ok: use the scores",
)
"""Words of messages by which nothing that is kept can be lost, whoever follows them."""


def _words(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


def _messages(path: Path) -> Iterator[str]:
    """The texts of a module, but for its documentation and the help of its flags."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = [each.value for each in node.keywords if each.arg == "help"]
            passed |= {id(each) for each in given + (node.args if _called(node) in _OF_HELP else [])}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed |= {id(part) for part in ast.walk(node)} - {id(node)}
    for node in ast.walk(tree):
        if id(node) not in passed and (
            isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        ):
            yield _words(node)


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _modules(*, all_rooms: bool = False) -> Iterator[Path]:
    for room in _ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if path.name not in _NOT_MESSAGES and (all_rooms or not _LEFT_OUT & set(path.parts)):
                yield path


ADVICE = sorted({text for path in _modules() for text in _messages(path) if _ADVICE.search(text) and " " in text})


def test_there_is_advice() -> None:
    assert len(ADVICE) > 80


ALL_FOLLOWED = {**FOLLOWED, **DATA}
ALL_HARMLESS = (*HARMLESS, *HARMLESS_ELSEWHERE, *LOOKS)


@pytest.mark.parametrize("text", ADVICE, ids=lambda text: text[:60])
def test_each_message_with_advice_is_in_a_table(text: str) -> None:
    known = [words for words in (*ALL_FOLLOWED, *ALL_HARMLESS) if words in text]
    assert known, "add the test that follows it to FOLLOWED, or its words to HARMLESS if it can cost nothing"


def test_each_entry_is_of_a_message() -> None:
    assert not [words for words in (*ALL_FOLLOWED, *ALL_HARMLESS) if not any(words in text for text in ADVICE)]


def _remedies() -> Iterator[tuple[str, str]]:
    """The sentences of runbooks that say to do something: the runbook, and the sentence."""
    for path in sorted((ROOT / "monitoring" / "runbooks").glob("*.md")):
        part = path.read_text(encoding="utf-8").partition("## Likely causes and fixes")[2]
        for paragraph in re.split(r"\n(?=- |\n|#)", part):
            for sentence in re.split(r"(?<=[.:;]) (?=[A-Z`*])", " ".join(paragraph.split())):
                if _REMEDY.search(sentence):
                    yield path.stem, sentence


@pytest.mark.parametrize(("runbook", "sentence"), list(_remedies()), ids=lambda text: text[:60])
def test_each_remedy_of_a_runbook_is_in_its_table(runbook: str, sentence: str) -> None:
    assert [words for words in RUNBOOKS if words in sentence], f"{runbook}: add the tests that follow it to RUNBOOKS"


def test_each_entry_is_of_a_runbook() -> None:
    said = [sentence for _, sentence in _remedies()]
    assert not [words for words in RUNBOOKS if not any(words in sentence for sentence in said)]


@pytest.mark.parametrize(
    "node", sorted({node for each in (ALL_FOLLOWED, RUNBOOKS) for n in each.values() for node in n})
)
def test_the_tests_of_the_table_are_there(node: str) -> None:
    path, _, name = node.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert any(isinstance(each, ast.FunctionDef) and each.name == name for each in tree.body)


COMMANDS = sorted(
    {said for path in _modules(all_rooms=True) for text in _messages(path) for said in _COMMAND.findall(text)}
)


@pytest.mark.parametrize("said", COMMANDS)
def test_each_command_in_a_message_can_be_typed(said: str) -> None:
    context, command = click.Context(cli), cli
    words = said.replace("{}", "X").replace("[", "").replace("]", "").split()[1:]
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, said
        context, command, words = click.Context(found, parent=context), found, words[1:]
    given, _, _ = command.make_parser(context).parse_args([*words])
    if "--help" not in words:
        missing = [each.name for each in command.params if isinstance(each, click.Argument) and each.required]
        assert not [name for name in missing if not isinstance(given.get(name or ""), str)], f"not whole: {said}"
