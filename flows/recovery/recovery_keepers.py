"""The seed sets' snapshots in recovery data, and whether they are of the same time as what the sources have read.

What a source reads, the seed sets take in the same epoch. So their snapshot is never behind the source's: if it were,
items that were touched between the two would keep the centroids they had.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from flows.recovery.recovery_pickles import Snapshot
from flows.recovery.sealed import unseal, unseal_position
from flows.seed_sets.keeper_state import OperatorSnapshot
from flows.support.errors import RalmError

KINDS = ("clicks", "requests", "candidates")
STEP = "seed_sets"


def positions_of(snapshots: Mapping[tuple[str, str], Snapshot], kind: str) -> dict[int, int | None]:
    """The next offset of each partition of a topic, as the source's snapshots have it.

    Raises:
        RalmError: when a snapshot is damaged.
    """
    found: dict[int, int | None] = {}
    for (step, key), value in snapshots.items():
        name, _, number = key.partition("/")
        if step == name == kind and number.isdecimal():
            found[int(number)] = unseal_position(value) if isinstance(value, bytes) else value
    return found


def decoded_keeper(value: Snapshot) -> OperatorSnapshot | None:
    """The seed sets' snapshot; None of a step that had none yet.

    Raises:
        ValueError: when it is none.
    """
    try:
        if isinstance(value, int):
            msg = "it is a number"
            raise RalmError(msg)
        return None if value is None else OperatorSnapshot.decode(unseal(value))
    except RalmError as error:
        # What to do about it is said once, for all that is found.
        raise ValueError(str(error).partition(". ")[0]) from error


def late_keepers(
    snapshots: Mapping[tuple[str, str], Snapshot],
    keepers: Mapping[str, OperatorSnapshot],
    files: Mapping[tuple[str, str], Path],
) -> Iterator[str]:
    """In which way seed sets are behind what was read, in words.

    Args:
        snapshots: by step and key.
        keepers: the seed sets' snapshots, by key.
        files: where each snapshot lies.
    """
    for kind in ("clicks", "candidates"):
        positions = positions_of(snapshots, kind)
        for key, keeper in keepers.items():
            read = positions.get(keeper.partition)
            reached = keeper.position if kind == "clicks" else keeper.candidates
            # A source may begin beyond 0, and the seed sets learn where with its first batch.
            if read is not None and 0 < reached < read:
                source = files[kind, f"{kind}/{keeper.partition:05d}"].name
                yield (
                    f"the recovery data does not agree with itself: it has read {kind}/{keeper.partition} to {read} "
                    f"({source}), its seed sets reach {reached} ({files[STEP, key].name}); "
                    f"{files[STEP, key].name} is old, or one of the two is damaged"
                )
