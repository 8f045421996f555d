"""A user whom the bundle does not know has, by its profile alone, the vector that the encoder gives it."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from flows.config.groups import ScoringSettings
from flows.messages.batches import RequestBatch
from flows.messages.codec import decode_request, decode_scores, encode_message
from flows.messages.types import Request, Scores
from flows.offline.datasets.field_codes import field_codes
from flows.offline.datasets.layout import Dataset
from flows.scoring.enricher import Enricher
from flows.scoring.live_index import IndexEntry, LiveIndex
from flows.scoring.newcomers import Newcomers
from monitoring import metrics
from ralm.encoders.encoder import EncoderPart, TableEncoder, unit
from ralm.encoders.histories import Histories
from ralm.encoders.profiles import Profiles, ProfileWeights
from ralm.scoring import CountedForm
from state.bundle.bundle import Bundle
from state.bundle.vectors import UserSums
from state.bundle.write import BundleContent, write_bundle
from state.item_keys import item_keys
from state.user_keys import user_keys

USERS, KNOWN, ITEMS, H = 40, 25, 6, 5


def data() -> Dataset:
    rng = np.random.default_rng(4)
    fields = {
        "job": ("categorical", rng.choice(np.array(["", "clerk", "Ärztin", "7"]), USERS)),
        "age": ("continuous", rng.integers(15, 80, USERS).astype(np.float32)),
        "likes": ("multivalent", rng.choice(np.array(["", "x", "y|x", "z|y|x"]), USERS)),
        "rich": ("continuous", np.full(USERS, 3.0, np.float32)),
    }
    users = np.array([f"u{n:02d}" for n in range(USERS)])
    items = np.array([f"i{n}" for n in range(ITEMS)])
    return Dataset(
        "d", users, items[np.arange(USERS) % ITEMS], np.arange(USERS), users, fields, items, np.array(["c"] * ITEMS)
    )


def encoder_for(profiles: Profiles, rng: np.random.Generator) -> TableEncoder:
    """Of two parts, one of which knows the profile."""

    def table(codes: int) -> Any:
        made = rng.normal(size=(codes, H)).astype("f4")
        made[0] = 0
        return made

    weights = ProfileWeights(
        rng.normal(size=H).astype("f4"),
        {name: table(count) for name, (_, count) in profiles.categorical.items()},
        {name: table(count) for name, (_, count) in profiles.multivalent.items()},
        rng.normal(size=(profiles.continuous.shape[1], H)).astype("f4"),
        profiles.means(),
    )
    tables = [rng.normal(size=(ITEMS, H)).astype("f4") for _ in range(2)]
    nobody = unit(rng.normal(size=(2, H)))
    return TableEncoder(
        (
            EncoderPart(tables[0], weights, nobody[0]),
            EncoderPart(tables[1], ProfileWeights.none(H), nobody[1], power=0.0, weight=0.5),
        )
    )


def expected(made: Dataset) -> Any:
    """The vectors of all users as if they had not clicked."""
    profiles = Profiles.of_clicks(made.interactions())
    return encoder_for(profiles, np.random.default_rng(0)).encode(Histories.of_items([[]] * USERS), profiles)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """In which the last users are not."""
    made = data()
    profiles = Profiles.of_clicks(made.interactions())
    encoder = encoder_for(profiles, np.random.default_rng(0))
    histories = Histories.of_items([[n % ITEMS] for n in range(KNOWN)])
    known = profiles.take(np.arange(KNOWN))
    sums, part = encoder.sums(histories), encoder.profile_part(known)
    content = BundleContent(
        "both",
        CountedForm(encoder.dim),
        user_keys(made.user_ids[:KNOWN].tolist()),
        encoder.finish(sums, histories.counts, part),
        histories.counts,
        item_keys=item_keys(made.item_ids.tolist()),
        parts=encoder.parts,
        sums=UserSums(sums.astype("f4"), part, histories.items.astype("i4"), histories.start.astype("u8")),
        fields=field_codes(made),
    )
    path = tmp_path_factory.mktemp("newcomers") / "b"
    write_bundle(path, content, {})
    return Bundle.open(path)


def asking(made: Dataset, user: int) -> Request:
    """With the user's row of the table, as a program would send it."""
    profile = {name: column.tolist()[user] for name, (_, column) in made.fields.items()}
    sent = {"request_id": "r", "user_id": str(made.user_ids[user]), "ts": 10**12, "profile": profile}
    request = decode_request(msgspec.json.encode(sent))
    assert decode_request(encode_message(request)) == request
    return request


def test_a_newcomer_has_the_vector_that_the_encoder_gives_its_profile(bundle: Bundle) -> None:
    made = data()
    requests = [asking(made, user) for user in range(USERS)]
    rows = bundle.vectors.rows(user_keys([request.user_id for request in requests]))
    vectors, are_made = Newcomers(bundle).vectors(requests, rows, np.zeros(USERS, bool))
    assert are_made.tolist() == [False] * KNOWN + [True] * (USERS - KNOWN)
    np.testing.assert_allclose(vectors[KNOWN:], expected(made)[KNOWN:], atol=1e-5)


def counts() -> list[float]:
    outcomes = [metrics.PROFILES.labels(outcome)._value.get() for outcome in ("used", "known_user", "useless")]
    return [*outcomes, metrics.PROFILE_VALUES_UNKNOWN._value.get()]


def answers(bundle: Bundle, *requests: Request, **more: float) -> list[Scores]:
    index, rng = LiveIndex(bundle.form, sketched=True), np.random.default_rng(1)
    for item in ("i0", "i1", "new"):
        centroids = unit(rng.normal(size=(2, bundle.form.dim)))
        index.update({item: IndexEntry(centroids, np.array([3, 4]), centroids.mean(axis=0), 1000, 7)})
    options = ScoringSettings(prior=0, score_batch=3, request_timeout=0, **more)
    out = Enricher(bundle, index, options).answer(RequestBatch(0, list(requests), [0] * len(requests)))
    return [decode_scores(message.value) for message in out]


def test_answers_rest_on_the_profile_where_the_user_is_not_known(bundle: Bundle) -> None:
    before, made = counts(), data()
    known = str(made.user_ids[0])
    some, other = {"job": "clerk", "age": "20"}, {"job": "7", "likes": "z"}
    found = answers(
        bundle,
        Request("r0", "stranger", 10**12, profile=some),
        Request("r1", "stranger", 10**12, profile=other),
        Request("r2", known, 10**12, profile=other),
        Request("r3", known, 10**12),
        Request("r4", "stranger", 10**12, profile={"job": "astronaut", "shoes": "44"}),
        Request("r5", "stranger", 10**12, profile={}),
        Request("r6", "stranger", 10**12),
        activity=0.3,
        neighbours=1.0,
    )
    assert [answer.status for answer in found] == ["ok"] * 4 + ["unknown_user"] * 3
    scores = [{item.item_id: item.score for item in answer.scores} for answer in found]
    assert scores[2] == pytest.approx(scores[3], abs=1e-6)
    assert scores[0] != pytest.approx(scores[1], abs=1e-2)
    for answer in found[:2]:  # no clicks, and nothing clicked
        for item in answer.scores:
            assert item.score == pytest.approx(0.5 * item.global_part + 0.5 * item.local_part, abs=1e-6)
    assert np.subtract(counts(), before).tolist() == [2, 1, 2, 2]


def test_a_bundle_that_makes_nothing_of_profiles_answers_no_stranger(bundle: Bundle, tmp_path: Path) -> None:
    assert bundle.encoder is not None
    assert bundle.sums is not None
    plain = bundle.encoder.parts[1]
    content = BundleContent(
        "spectral",
        CountedForm(H),
        bundle.vectors.keys,
        unit(np.ones((KNOWN, H))),
        np.ones(KNOWN, np.int64),
        item_keys=bundle.items.keys,
        parts=(plain,),
        sums=UserSums(
            bundle.sums.sums[:, H:], np.zeros((KNOWN, 0), "f4"), bundle.sums.history, bundle.sums.history_start
        ),
        fields=field_codes(data()),
    )
    write_bundle(tmp_path / "b", content, {})
    (answer,) = answers(Bundle.open(tmp_path / "b"), asking(data(), USERS - 1))
    assert answer.status == "unknown_user"
