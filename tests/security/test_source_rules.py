"""What the code must not do, read from its syntax: no pickle, no shell, no eval, and no client of its own make."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("flows", "ralm", "state", "monitoring")
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "jsonpickle"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "os.execv",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "tempfile.mktemp",
    "torch.hub.load",
    "torch.jit.load",
    "np.loads",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "shutil.unpack_archive",
}
WRITES_MEMBERS = {"extract", "extractall"}
"""Of archives: members are read, and never written where their names lead."""
CLIENTS = {"Consumer", "Producer", "AdminClient", "SerializingProducer", "DeserializingConsumer"}
CONFIGS = {"client_config", "consumer_config", "producer_config"}
CHILD_PROCESSES = {
    "flows/support/child_process.py",
    "flows/offline/datasets/movielens.py",
    "flows/bench/store.py",
    "flows/kafka/scout.py",
}
"""The only places that start programs: our own, with fixed arguments and no shell."""
BEGINS_ANEW = "flows/cli/start.py"
"""Where this program begins itself anew, with the arguments that it has."""


JSON_READERS = {"json.load", "json.loads", "tomllib.load", "tomllib.loads"}
OWN_JSON = {
    "flows/kafka/scout_process.py",
    "flows/bench/clustering.py",
    "ralm/models/shared_tower.py",
}
"""Where what is read was written by our own process a moment ago."""


def name_of(node: ast.expr) -> str:
    """``a.b.c`` of an expression, or nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := name_of(node.value)):
        return f"{left}.{node.attr}"
    return ""


def keywords(call: ast.Call) -> dict[str, object]:
    """A call's keyword arguments that are constants."""
    return {k.arg: k.value.value for k in call.keywords if k.arg and isinstance(k.value, ast.Constant)}


def broken_rules(tree: ast.Module, where: str) -> Iterator[str]:
    """Yield what a module does that it must not."""
    restricted = _restricted_unpicklers(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imports(node, tree, where, restricted)
        elif isinstance(node, ast.Call):
            yield from (f"{where}:{node.lineno}: {text}" for text in _calls(node, where))


def _imports(node: ast.Import | ast.ImportFrom, tree: ast.Module, where: str, restricted: bool) -> Iterator[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    for name in names:
        if name.partition(".")[0] not in FORBIDDEN_MODULES:
            continue
        if isinstance(node, ast.Import) and name == "pickle" and (restricted or _reads_none(tree)):
            continue
        yield f"{where}:{node.lineno}: imports {name}"


def _reads_none(tree: ast.Module) -> bool:
    """Whether a module uses of pickle only what loads nothing: the error that others raise, and writing."""
    used = {name_of(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {name for name in used if name.startswith("pickle.")} <= {
        "pickle.UnpicklingError",
        "pickle.dumps",
        "pickle.HIGHEST_PROTOCOL",
    }


def _restricted_unpicklers(tree: ast.Module) -> bool:
    """Whether a module's only unpickler refuses every class: ``find_class`` is one statement, and raises."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and "pickle.Unpickler" in map(name_of, node.bases):
            methods = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
            finder = methods.get("find_class")
            if finder is not None and isinstance(finder.body[-1], ast.Raise) and not _returns(finder):
                return True
    return False


def _returns(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Return) for node in ast.walk(function))


def _calls(call: ast.Call, where: str) -> Iterator[str]:
    name, given = name_of(call.func), keywords(call)
    if name in FORBIDDEN_CALLS and (name, where) != ("os.execv", BEGINS_ANEW):
        yield f"calls {name}"
    if name.rpartition(".")[2] in WRITES_MEMBERS:
        yield f"calls {name}"
    if name.startswith("subprocess.") and (where not in CHILD_PROCESSES or "shell" in given):
        yield f"calls {name}"
    if given.get("shell"):
        yield f"{name} with a shell"
    if name in ("np.load", "numpy.load") and given.get("allow_pickle") is not False:
        yield "np.load without allow_pickle=False"
    if name == "torch.load" and given.get("weights_only") is not True:
        yield "torch.load without weights_only=True"
    if name in ("yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all"):
        yield f"calls {name}: yaml.safe_load"


def strange_clients(tree: ast.Module, where: str) -> Iterator[str]:
    """Yield the Kafka clients whose settings do not come from ``flows/kafka/config.py``.

    They come from there when one of its functions is called in the client's own call or for a name that is used in
    it; ``HANDED_ON`` are the few that get them as an argument.
    """
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.Module):
            continue
        ours = {name_of(target) for node in _own(function) for target in _made_by_config(node)}
        if where in HANDED_ON:
            ours.add(HANDED_ON[where])
        for node in _own(function):
            if (
                isinstance(node, ast.Call)
                and name_of(node.func).rpartition(".")[2] in CLIENTS
                and not _calls_config(node)
                and not any(name_of(value) in ours for value in _given(node))
            ):
                yield f"{where}:{node.lineno}: {name_of(node.func)} with settings of its own"


HANDED_ON = {
    "flows/kafka/range_reader.py": "self._config",
    "flows/kafka/topic_client.py": "config",
    "flows/kafka/message_times.py": "config",
    "flows/kafka/producer.py": "config",
    "flows/kafka/probe.py": "config",
    "flows/kafka/standstill.py": "self._config",
    "flows/kafka/scout_process.py": "config",
    "flows/kafka/topic_watch.py": "config",
    "flows/engine/sink.py": "self._config",
}
"""Where settings come as an argument, and its name."""


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """A function's nodes without those of functions in it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from _own(child)


def _made_by_config(node: ast.AST) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) and _calls_config(node) else []


def _calls_config(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Call) and name_of(each.func) in CONFIGS for each in ast.walk(node))


def _given(call: ast.Call) -> list[ast.expr]:
    """What a client is made from: its argument, or what is unfolded into it."""
    dicts = [each for each in ast.walk(call) if isinstance(each, ast.Dict)]
    return [*call.args, *(value for each in dicts for value in _spread(each))]


def _spread(node: ast.Dict) -> list[ast.expr]:
    return [value for key, value in zip(node.keys, node.values, strict=True) if key is None]


def modules(*rooms: str) -> list[Path]:
    """The Python files of some rooms."""
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def where(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_module_runs_what_it_reads() -> None:
    found = [line for path in modules(*ROOMS) for line in broken_rules(ast.parse(path.read_text()), where(path))]
    assert len(modules(*ROOMS)) > 100
    assert not found, "\n".join(found)


def test_json_from_outside_is_read_where_its_depth_is_bounded() -> None:
    """``state/nesting.py`` reads JSON, ``flows/support/text.py`` TOML; messages go through ``codec.py``."""
    for path in modules(*ROOMS):
        called = {name_of(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        if where(path) not in {"state/nesting.py", "flows/support/text.py", *OWN_JSON}:
            assert not called & JSON_READERS, where(path)


def test_every_kafka_client_has_the_settings_of_flows_kafka() -> None:
    found = [line for path in modules("flows") for line in strange_clients(ast.parse(path.read_text()), where(path))]
    assert not found, "\n".join(found)


def test_those_who_hand_settings_on_get_them_from_flows_kafka() -> None:
    """Whoever makes a reader, a sink or a loader gives it one of the functions' results."""
    makers = {
        *("TopicReader", "RangeReader", "BrokerProbe", "BrokerAsker", "Producer"),
        *("KafkaSource", "KafkaSink", "IndexLoader", "SourceOptions"),
    }
    for path in modules("flows"):
        tree = ast.parse(path.read_text())
        made = {name_of(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)} & makers
        if made and where(path) not in {*HANDED_ON, "flows/engine/source.py", "flows/scoring/index_loader.py"}:
            assert CONFIGS & {name_of(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}, where(path)


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.loads(b'')",
        "from pickle import loads",
        "import pickle\nclass U(pickle.Unpickler):\n    def find_class(self, m, n): return super().find_class(m, n)",
        "import pickle\nclass U(pickle.Unpickler): pass",
        "import joblib",
        "eval('1')",
        "import os\nos.system('ls')",
        "import subprocess\nsubprocess.run(['ls'])",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import yaml\nyaml.load(x)",
        "import numpy as np\nnp.load(f)",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "import torch\ntorch.load(f)",
        "import tarfile\nwith tarfile.open(f) as opened:\n    opened.extractall()",
    ],
)
def test_the_rules_find_what_they_forbid(code: str) -> None:
    assert list(broken_rules(ast.parse(code), "flows/x.py"))


def test_an_unpickler_that_knows_no_class_is_allowed() -> None:
    code = "import pickle\nclass U(pickle.Unpickler):\n    def find_class(self, m, n):\n        raise ValueError(m)"
    assert not list(broken_rules(ast.parse(code), "flows/x.py"))


@pytest.mark.parametrize(
    ("code", "strange"),
    [
        ("Consumer({'bootstrap.servers': s})", True),
        ("confluent_kafka.Producer(config)", True),
        ("AdminClient({**other, 'x': 1})", True),
        ("Consumer({**config, 'x': 1})", True),
        ("Consumer({**consumer_config(settings), 'x': 1})", False),
        ("Producer(producer_config(settings))", False),
        ("def f(s):\n    c = consumer_config(s)\n    Consumer(c)", False),
        ("def f(s):\n    c = consumer_config(s)\ndef g(c):\n    Consumer(c)", True),
    ],
)
def test_the_rule_of_clients_finds_strangers(code: str, strange: bool) -> None:
    assert bool(list(strange_clients(ast.parse(code), "flows/x.py"))) is strange


@pytest.mark.parametrize(
    "name",
    [
        *(f"messages/{name}" for name in ("batches", "codec", "dead_letter", "decode", "nesting", "rejects", "types")),
        *(f"scoring/{name}" for name in ("enricher", "index_loader", "live_index")),
    ],
)
def test_what_handles_messages_handles_no_files(name: str) -> None:
    """So that no path, topic or address can come out of a message."""
    tree = ast.parse((ROOT / "flows" / f"{name}.py").read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    called = {name_of(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not imported & {"os", "pathlib", "shutil", "tempfile", "socket", "urllib", "http", "subprocess"}
    assert not called & {"open", "Path"}
