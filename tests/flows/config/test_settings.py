"""One table of settings; what is wrong with a value is said with its name, where it came from and what is allowed."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from flows.config.environment import passed_over
from flows.config.fields import (
    LONGEST,
    allowed,
    flag,
    format_duration,
    metavar,
    parse_duration,
    shown_value,
    variable,
)
from flows.config.groups import GROUPS, ClusteringSettings, names_of
from flows.config.settings import Settings
from flows.config.sources import default_file, load_settings
from flows.offline.fitting import FitOptions
from flows.offline.training import fit_options
from flows.support.errors import ConfigError
from flows.support.logs import masked
from ralm.towers.training_config import TrainingConfig

FIELDS = Settings.model_fields


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(toml: str = "", environment: dict[str, str] | None = None, **flags: Any) -> Settings:
    file = Path("some.toml")
    file.write_text(toml, encoding="utf-8")
    return load_settings(file, flags, environment or {})


def refusal(*args: Any, **flags: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(*args, **flags)
    return str(caught.value)


@given(st.integers(0, LONGEST))
def test_a_duration_is_read_as_it_is_written(value: int) -> None:
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250ms", 250),
        ("5s", 5000),
        ("5 m", 300_000),
        (" 1h ", 3_600_000),
        ("7d", 604_800_000),
        (90, 90_000),
        (0.5, 500),
    ],
)
def test_durations(text: Any, value: int) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize(
    "text", ["", "5 minutes", "-1s", "1e3", "5M", "inf", "nan", True, None, "\u0665s", "9" * 400 + "d"]
)
def test_what_is_no_duration(text: Any) -> None:
    with pytest.raises(ValueError, match=r"duration|hundred years"):
        parse_duration(text)


def test_a_flag_goes_over_the_variable_over_the_file_over_the_default() -> None:
    toml, environment = 'window = "2m"\nclusters = 7\nmin_seeds = 8', {"RALM_WINDOW": "3m", "RALM_CLUSTERS": "9"}
    settings = load(toml, environment, window="4m")
    assert (settings.window, settings.clusters, settings.min_seeds) == (240_000, 9, 8)
    assert settings.top_k == Settings().top_k


def test_the_default_file_is_ralm_toml_in_the_working_folder() -> None:
    assert default_file() is None
    Path("ralm.toml").write_text("clusters = 3")
    assert load_settings(default_file(), environment={}).clusters == 3
    assert load("clusters = 4").clusters == 4


@pytest.mark.parametrize("name", FIELDS)
def test_each_setting_can_be_given_in_each_place(name: str) -> None:
    field = FIELDS[name]
    secret = isinstance(field.default, SecretStr)
    shown = json.dumps("") if secret else shown_value(field, field.default)
    plain = "" if shown == "[]" else str(tomllib.loads(f"x = {shown}")["x"])
    wanted = Settings()
    assert load(f"{name} = {shown}") == wanted
    assert load(environment={variable(name): plain}) == wanted
    assert load(**{name: () if shown == "[]" else plain}) == wanted


def test_what_is_shown_is_toml_that_gives_the_same_settings() -> None:
    settings = load('window = "90s"\nstate_dir = "a \\"quoted\\" ünï folder"\ntrain_learning_rate = 1e-5')
    assert load(settings.shown()) == settings
    assert settings.shown(("windows",)).splitlines() == [
        'window = "90s"',
        'allowed_lateness = "10s"',
        'idle_after = "5s"',
    ]


def test_secrets_are_shown_nowhere() -> None:
    given = {"sasl_password": "pa55word", "ssl_key_password": "pa55word", "kafka_options": ["ssl.key.pem=pa55word"]}
    settings = load(**given, security_protocol="SASL_SSL", sasl_username="me")
    assert not any("pa55word" in text for text in (settings.shown(), repr(settings), str(settings)))
    assert "ssl.key.pem=********" in settings.shown()
    for broken in (
        refusal(**given),
        refusal(sasl_password=["pa55word"]),
        refusal(kafka_options=["acks=pa55word"]),
        refusal(kafka_options="pa55word"),
        refusal(environment={"RALM_SASL_PASSWORD": "pa55word"}),
    ):
        assert "pa55word" not in broken
        assert "********" in broken


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "window",
            "abc",
            "a duration such as 250ms, 5s, 5m, 1h or 7d (a bare number is seconds), at least 1ms, at most 36500d",
        ),
        ("item_ttl", "36501d", "at most 36500d"),
        ("window", "0s", "at least 1ms"),
        ("delivery_timeout", "30d", "at least 1s, at most 1d"),
        ("clusters", "0", "a whole number, at least 1"),
        ("clusters", "2.5", "a whole number"),
        ("clusters", True, "a whole number"),
        ("min_seeds", "many", "a whole number, at least 1"),
        ("metrics_port", 70_000, "a whole number, at least 0, at most 65535"),
        ("train_alpha", "nan", "a number, at least 0, at most 1"),
        ("train_learning_rate", 0, "a number, above 0"),
        ("train_dropout", 1, "a number, at least 0, below 1"),
        ("train_merge", "sum", "one of attention, concat"),
        ("train_logq", "maybe", "true or false"),
        ("prior", 1.5, "a number, at least 0, at most 1.0"),
        ("encoder", "tower", "one of both, spectral, learned, paper"),
        ("security_protocol", "ssl", "one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ("topic_clicks", 5, "text"),
        ("kafka_options", "linger.ms=5", "a list of NAME=VALUE"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(name: str, value: Any, words: str) -> None:
    text = refusal(**{name: value})
    assert text.startswith(f"{name} = ")
    assert f"from the flag {flag(name)} cannot be used: it must be " in text
    assert words in text


def test_a_bad_value_is_named_with_where_it_came_from() -> None:
    assert "clusters = 0 from clusters in some.toml" in refusal("clusters = 0")
    assert "clusters = '0' from the variable RALM_CLUSTERS" in refusal(environment={"RALM_CLUSTERS": "0"})
    two = refusal("clusters = 0\nworkers = 0")
    assert len(two.splitlines()) == 2


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    assert refusal("windw = 1") == "windw in some.toml is not a setting; did you mean window?"
    assert refusal("[kafka]\ngroup_id = 'x'").endswith("settings stand at the top of the file, in no table")
    wrong = refusal(environment={"RALM_CLUSTER": "1"})
    assert wrong == "the variable RALM_CLUSTER is not a setting; did you mean RALM_CLUSTERS?"
    assert "RALM_window" in refusal(environment={"RALM_window": "1m"})
    both = refusal("windw = 1", {"RALM_CLUSTER": "1"})
    assert len(both.splitlines()) == 2
    load(environment={"RALM_TEST_BOOTSTRAP_SERVERS": "a:1", "RALM_CONFIG": "x", "OTHER": "y"})


def test_a_file_that_is_no_toml_is_named() -> None:
    assert "some.toml cannot be read as TOML" in refusal("window = ")
    Path("latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.toml cannot be read"):
        load_settings(Path("latin.toml"), {}, {})


def test_options_for_the_client_may_hold_commas() -> None:
    settings = load(environment={"RALM_KAFKA_OPTIONS": "debug=broker,security, linger.ms=7"})
    assert settings.kafka_options == ("debug=broker,security", "linger.ms=7")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"top_k": 2000},
            "top_k must not be above max_top_k (top_k = 2000 from the flag --top-k; max_top_k by default)",
        ),
        ({"max_seeds": 20}, "min_seeds must not be above max_seeds"),
        ({"cluster_sample": 10}, "clusters must not be above cluster_sample"),
        ({"train_alpha": 0, "train_beta": 0}, "must not both be 0"),
        ({"security_protocol": "SASL_SSL"}, "SASL_SSL with PLAIN needs sasl_username and sasl_password"),
        ({"security_protocol": "SASL_SSL", "sasl_username": "a"}, "needs sasl_username and sasl_password"),
        ({"sasl_password": "a"}, "PLAINTEXT would not use it"),
        ({"ssl_ca_location": "ca.pem"}, "PLAINTEXT would not use them"),
        ({"ssl_key_location": "k", "security_protocol": "SSL"}, "go together"),
        ({"process_id": 1}, "process_id counts the addresses from 0, and there are 0"),
        ({"process_id": 2, "addresses": "a:1,b:2"}, "there are 2"),
        ({"addresses": "a:1,b"}, "addresses must be host:port of every process"),
        ({"addresses": "a:1,b:1,a:1"}, "addresses must not name a process twice"),
        ({"kafka_options": ["linger.ms=1", "linger.ms=2"]}, "linger.ms is given 2 times"),
        ({"bootstrap_servers": " , "}, "bootstrap_servers must be host:port"),
        ({"bootstrap_servers": "a b:1"}, "bootstrap_servers must be host:port"),
        ({"metrics_port": 65_535, "process_id": 1, "addresses": "a:1,b:1"}, "metrics_port + process_id"),
        ({"metrics_port": 99, "addresses": "a:98,b:100", "process_id": 1}, "the port of this process in addresses"),
        ({"metrics_port": 3030, "engine_api": True}, "the port of the engine's own pages"),
        (
            {"metrics_port": 9464, "addresses": "h:9465,h:9466", "process_id": 1},
            "metrics_port + process_id is the port of process 0 on the same host in addresses",
        ),
        (
            {"engine_api": True, "addresses": "h:3030"},
            "the engine's own pages is the port of this process in addresses",
        ),
        ({"state_dir": ""}, "state_dir must name a directory; . is the working folder"),
        ({"bundle": " "}, "bundle must name a directory"),
        ({"metrics_host": "a b"}, "metrics_host must be a name or an address"),
        ({"metrics_host": f"{'a' * 64}.example"}, "metrics_host must be a name or an address"),
        ({"window": "2h", "item_ttl": "1h"}, "item_ttl must not be below window, or 0"),
        ({"topic_clicks": "scores"}, "two kinds of messages in one topic, 'scores'"),
        ({"topic_prefix": "a b"}, "is not a valid topic name"),
        ({"topic_prefix": "x" * 250}, "is not a valid topic name"),
        ({"kafka_options": ["linger.ms"]}, "an option must be NAME=VALUE"),
        ({"kafka_options": ["group.id=x"]}, "group.id is the setting group_id"),
        ({"kafka_options": ["acks=0"]}, "acks cannot be changed"),
        ({"kafka_options": ["queue.buffering.max.kbytes=976"]}, "queue.buffering.max.kbytes must be at least 977"),
        (
            {"kafka_options": ["queue.buffering.max.kbytes=1000"], "dead_letter_max_bytes": 2_000_000},
            "at least 2051: a message may need it, and waits for ever",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(given: dict[str, Any], words: str) -> None:
    assert words in refusal(**given)


@pytest.mark.parametrize(
    ("given", "secret"),
    [
        ({"ssl_ca_location": "ca.pem"}, {"sasl_username": "a", "sasl_password": "b"}),
        ({"sasl_username": "a", "sasl_password": "b"}, {}),
    ],
)
def test_settings_that_are_changed_as_is_said_are_taken(given: dict[str, Any], secret: dict[str, Any]) -> None:
    said = refusal(**given).partition("choose ")[2]
    for protocol in said.partition(" (")[0].split(" or "):
        load(**given, **(secret if "SASL" in protocol else {}), security_protocol=protocol)


@pytest.mark.parametrize(
    "given",
    [
        {"kafka_options": ["queue.buffering.max.kbytes=977"]},
        {"bootstrap_servers": "a:1, [::1]:9092,SSL://b.example:9093,c"},
        {"process_id": 1, "addresses": "a:1, b:2"},
        {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"},
        {"security_protocol": "SSL", "ssl_certificate_location": "c", "ssl_key_location": "k"},
        {"metrics_host": "::"},
        {"metrics_host": "fe80::1%eth0"},
        {"metrics_host": "my_host.example."},
        {"metrics_port": 9464, "addresses": "h:9466,i:9465", "process_id": 0},
        {"metrics_port": 0, "process_id": 7, "addresses": ",".join(f"h{i}:1" for i in range(8))},
    ],
)
def test_what_fits_together_is_taken(given: dict[str, Any]) -> None:
    load(**given)


@pytest.mark.parametrize("servers", ["me:s3cret@host:9092", "a:1,me:s3cret@b:1", "SASL_SSL://me:s3cret@a:1"])
def test_a_password_among_the_addresses_is_refused_and_not_shown(servers: str) -> None:
    said = refusal(bootstrap_servers=servers)
    assert "bootstrap_servers must be host:port" in said
    assert "s3cret" not in said
    assert "********@" in said


TEXTS = [name for name, field in FIELDS.items() if field.annotation is str]


@pytest.mark.parametrize("text", ["a\0b", "a\udcffb", "a\nb", "a\x1b[2Jb"])
@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_would_end_a_library_is_refused_in_words(name: str, text: str) -> None:
    said = refusal(**{name: text})
    assert f"{name} must be UTF-8 without control characters ({name} = " in said or "it must be text" in said
    assert text not in said


@pytest.mark.parametrize("name", ["sasl_password", "ssl_key_password", "kafka_options"])
def test_a_secret_may_have_lines_but_no_end(name: str) -> None:
    more = {"security_protocol": "SASL_SSL", "sasl_username": "me", "sasl_password": "a"}
    for text, taken in (("client.id=a\nb\tc", True), ("client.id=a\0b", False), ("client.id=a\udcff", False)):
        given = more | {name: [text] if name == "kafka_options" else text}
        if taken:
            load(**given)
        else:
            assert f"{name} must be UTF-8" in refusal(**given)


def test_what_stands_around_a_variables_value_is_no_part_of_it() -> None:
    environment = {
        "RALM_STATE_DIR": " /var/lib/ralm\r",
        "RALM_BOOTSTRAP_SERVERS": "kafka:9092\n",
        "RALM_BUNDLE": " \t",
        "RALM_SECURITY_PROTOCOL": "SASL_SSL ",
        "RALM_SASL_USERNAME": "me\n",
        "RALM_SASL_PASSWORD": " s3cret \r\n",
    }
    settings = load(environment=environment)
    assert (settings.state_dir, settings.bootstrap_servers) == ("/var/lib/ralm", "kafka:9092")
    assert settings.bundle == Settings().bundle
    assert settings.sasl_password.get_secret_value() == " s3cret "
    assert list(passed_over(environment).values()) == [["RALM_BUNDLE"]]


def test_a_variable_in_other_letters_is_not_passed_over_in_silence() -> None:
    for name in ("ralm_window", "Ralm_Window"):
        assert refusal(environment={name: "1m"}) == f"the variable {name} is not a setting: it is written RALM_WINDOW"
    load(environment={"ralm_home": "/opt/ralm"})


def test_links_between_containers_are_no_settings() -> None:
    environment = {"RALM_NAME": "/web/ralm", "RALM_ENV_WINDOW": "1m", "RALM_BROKER_ENV_PATH": "/bin"}
    environment |= {"RALM_1_NAME": "/web/ralm_1", "RALM_ENV_npm_config.x": "1"}
    assert load(environment=environment) == Settings()
    assert "RALM_NAME is not a setting" in refusal(environment={"RALM_NAME": "web"})


def test_settings_are_frozen_and_closed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().window = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Settings(nothing=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", FIELDS)
def test_each_setting_says_what_it_is(name: str) -> None:
    field = FIELDS[name]
    assert field.description
    assert allowed(field)
    assert metavar(field)


def test_each_setting_is_in_one_group() -> None:
    groups = [names_of(group) for group in GROUPS]
    assert all(groups)
    assert sorted(name for names in groups for name in names) == sorted(FIELDS)
    assert names_of(*GROUPS) == [name for names in groups for name in names]
    assert names_of("windows") == ["window", "allowed_lateness", "idle_after"]
    assert "window" not in names_of("seeds")


def test_a_part_needs_only_its_group() -> None:
    own = ClusteringSettings(clusters=5)
    assert (own.clusters, own.min_seeds) == (5, Settings().min_seeds)
    assert isinstance(Settings(), tuple(GROUPS.values()))
    with pytest.raises(ValidationError, match="Extra inputs"):
        ClusteringSettings(window="5m")  # type: ignore[call-arg]


def test_hyperparameters_are_settings_of_the_same_defaults_and_reach_the_training() -> None:
    assert fit_options(Settings()) == FitOptions()
    given = {"train_dim": 8, "train_loss": "plain", "train_clusters": 3, "clusters": 7, "rng_seed": 7, "prior": 0.3}
    options = fit_options(load(encoder="paper", train_local_weight=0, **given))
    towers = TrainingConfig(dim=8, loss="plain", clusters=3)
    assert options == FitOptions("paper", 0.0, towers, clusters=3, prior=0.3, rng_seed=7)
    assert fit_options(load(clusters=7)).clusters == 7


SERVICES = ("RALM", "RALM_SCORES", "RALM_METRICS", "RALM_RUN_1")


def injected(service: str, host: str = "10.96.0.12", port: int = 9464, protocol: str = "tcp") -> dict[str, str]:
    """What Kubernetes gives to each container for a Service."""
    at, name = f"{protocol}://{host}:{port}", f"{service}_PORT_{port}_{protocol.upper()}"
    return {
        f"{service}_SERVICE_HOST": host.strip("[]"),
        f"{service}_SERVICE_PORT": str(port),
        f"{service}_SERVICE_PORT_METRICS": str(port),
        f"{service}_PORT": at,
        name: at,
        f"{name}_PROTO": protocol,
        f"{name}_PORT": str(port),
        f"{name}_ADDR": host.strip("[]"),
    }


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("host", "protocol"), [("10.96.0.12", "tcp"), ("[fd00::1]", "tcp"), ("10.0.0.1", "udp")])
def test_what_a_platform_makes_for_a_service_is_no_setting(service: str, host: str, protocol: str) -> None:
    environment = injected(service, host, 9464, protocol)
    assert load(environment=environment) == Settings()
    assert load("metrics_port = 1234", environment).metrics_port == 1234
    said = passed_over(environment)
    assert [sorted(names) for names in said.values()] == [sorted(environment)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"RALM_SERVICE_HOST": "a-host"},
        {"RALM_SERVICE_PORT": "tcp"},
        {"RALM_PORT": "9464"},
        {"RALM_METRIC_PORT": "9464"},
        {"RALM_PORT_9464_TCP_ADDR": "x"},
        {"RALM_METRICS_PROT": "tcp://10.0.0.1:1"},
        {"RALM_CONFIGS": "x.toml"},
        {"RALM_CLUSTER": ""},
    ],
)
def test_what_only_resembles_a_platforms_variable_is_still_refused(wrong: dict[str, str]) -> None:
    assert f"the variable {next(iter(wrong))} is not a setting" in refusal(environment=wrong)
    assert "cannot be used" in refusal(environment={"RALM_METRICS_PORT": "tcp://nowhere"})


@pytest.mark.parametrize("name", FIELDS)
def test_an_empty_variable_is_as_if_it_were_not_set(name: str) -> None:
    assert load(environment={variable(name): ""}) == Settings()
    assert list(passed_over({variable(name): ""}).values()) == [[variable(name)]]


def test_a_variable_of_the_platform_may_be_emptied() -> None:
    environment = dict.fromkeys(injected("RALM"), "") | {"OTHER_PORT": "", "RALM_SERVICE_PORT": " "}
    assert load(environment=environment) == Settings()
    said = passed_over(environment)
    assert list(said) == ["empty variables are taken as if they were not set"]
    assert [sorted(names) for names in said.values()] == [sorted(injected("RALM"))]


def test_an_empty_variable_leaves_what_the_file_says() -> None:
    assert load('topic_prefix = "x."', {"RALM_TOPIC_PREFIX": ""}).topic_prefix == "x."
    assert load('topic_prefix = "x."', topic_prefix="").topic_prefix == "", "a flag may be empty"


@pytest.mark.parametrize(
    "line",
    [
        'eval_catalogue = "evil"',
        'eval_rankers = "evil"',
        'kafka_options = ["linger.ms=5", "plugin.library.paths=/tmp/evil.so"]',
        'kafka_options = ["ssl.engine.location=/tmp/evil.so"]',
        'kafka_options = ["ssl.providers=evil"]',
        'kafka_options = [" sasl.kerberos.kinit.cmd=evil"]',
    ],
)
def test_a_file_that_nobody_named_loads_no_code(line: str) -> None:
    file = Path("ralm.toml")
    file.write_text(line)
    with pytest.raises(ConfigError, match=r"name it with --config ralm\.toml if you trust it") as caught:
        load_settings(file, environment={}, unasked=True)
    assert "evil" not in str(caught.value)
    assert load_settings(file, environment={}) != Settings(), "a file that is named may"
    file.write_text('kafka_options = ["linger.ms=5"]')
    assert load_settings(file, environment={}, unasked=True).kafka_options == ("linger.ms=5",)


@pytest.mark.parametrize(
    ("option", "hidden"),
    [
        ("sasl.oauthbearer.extensions=token=abcd1234,tenant=blue", ["abcd1234", "blue"]),
        ("sasl.oauthbearer.token.endpoint.url=https://me:p%40ss@host/", ["p%40ss", "p@ss"]),
        ("sasl.kerberos.kinit.cmd=kinit --password=hunter2 me", ["hunter2"]),
        ("ssl.keystore.password=12345678", ["12345678"]),
        ("an.option.of.a.later.version=hunter2", ["hunter2"]),
    ],
)
def test_a_secret_in_an_option_is_known_whatever_the_option_is_called(option: str, hidden: list[str]) -> None:
    secrets = Settings(kafka_options=(option,)).secrets()
    assert {option.partition("=")[2], *hidden} <= set(secrets)
    for secret in hidden:
        assert secret not in masked(f"the library says {secret} of {option}", secrets)


@pytest.mark.parametrize("option", ["debug=broker,security", "linger.ms=500", "enable.x=true", "compression.type=zstd"])
def test_what_is_no_secret_stays_readable(option: str) -> None:
    assert Settings(kafka_options=(option,)).secrets() == ()


def test_a_number_of_more_digits_than_python_writes_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match=r"a number of more than 4,300 digits"):
        load(f"window = 0x{'f' * 5000}\n")
