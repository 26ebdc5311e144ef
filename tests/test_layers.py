"""The layers, read from one tuple and enforced: imports go down, third parties keep to their places."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS: tuple[tuple[str, ...], ...] = (
    ("bridge", "cast", "catalogue", "errors", "operations", "phrases", "registry"),
    (
        "body",
        "events",
        "history",
        "horizon",
        "moments",
        "naming",
        "steps",
        "understood",
        "explore.simplifying",
        "model",
        "wire.messages",
        "wire.sql",
        "wire.session",
        "wire.server_answers",
        "wire.units",
        "witness.merge",
        "witness.pgoutput",
    ),
    ("promises", "trace"),
    ("judge",),
    ("checks", "wire", "clock", "server", "adapters", "styles", "target", "reference", "client", "queue", "witness"),
    ("world", "report", "service"),
    ("explore", "machine", "simulation"),
    ("__main__", "cli", "sims", "statemachines"),
)
PLACES = {
    "hypothesis": ("machine",),
    "networkx": ("checks",),
    "psycopg": ("server", "target", "client", "service", "witness", "adapters"),
    "greenlet": ("bridge",),
    "starlette": ("service",),
    "hypercorn": ("service",),
    "httpx": ("simulation",),
    "hdrh": ("simulation",),
    "matplotlib": ("simulation",),
    "psutil": ("simulation",),
    "rich": ("cli",),
    "click": ("cli",),
}
"""Where a third party may be imported, so that exchanging it means one place."""
BANS = {
    "os": "the environment is an effect",
    "socket": "sockets are the gate's",
    "subprocess": "processes are the server's",
    "time": "time comes as an event",
    "random": "chance comes from Hypothesis",
    "secrets": "chance comes from Hypothesis",
    "trio": "the pure layers do not wait",
    "threading": "the pure layers do not wait",
}
"""What layers 0 to 3, the checks and the reports may not import, and why."""
SEEN = {"steps": "world"}
"""A step acts on the world that it is given: it may name the types of the world, and imports nothing of it."""
PURE = (*LAYERS[0], *LAYERS[1], *LAYERS[2], *LAYERS[3], "checks", "report")


def layer_of(module: str) -> int:
    """The layer of a module named within the package; the longest name in the tuple counts."""
    found = [
        (len(name), number)
        for number, names in enumerate(LAYERS)
        for name in names
        if module == name or module.startswith(f"{name}.")
    ]
    return max(found)[1]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, by its full name, and whether it is there for its types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    types_only = {inner for node in typing for statement in node.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in types_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node in types_only


def module_of(path: Path, root: Path) -> str:
    """The name of a file's module within the package."""
    relative = path.relative_to(root / "pgqmodel") if "pgqmodel" in path.parts else path.relative_to(root)
    return ".".join(relative.with_suffix("").parts).removesuffix(".__init__").removesuffix("__init__")


def offences(root: Path) -> list[str]:
    """Everything in a tree that breaks the rules, in sentences."""
    found = []
    for folder in ("pgqmodel", "sims", "statemachines"):
        for path in sorted((root / folder).rglob("*.py")):
            module = module_of(path, root)
            if module:
                found += [f"{path.relative_to(root)}: {offence}" for offence in _offences(module, imports(path))]
    return found


def _offences(module: str, imported: Iterator[tuple[str, bool]]) -> Iterator[str]:
    pure = any(module == name or module.startswith(f"{name}.") for name in PURE)
    for name, types_only in imported:
        top, _, rest = name.partition(".")
        seen = types_only and SEEN.get(module.partition(".")[0]) == rest.partition(".")[0]
        if top == "pgqmodel" and rest and not seen and layer_of(rest) > layer_of(module):
            yield f"imports {name}, which is of a layer above"
        if top in PLACES and module.split(".", maxsplit=1)[0] not in PLACES[top]:
            yield f"imports {top}, whose place is {' and '.join(PLACES[top])}"
        if pure and top in BANS:
            yield f"imports {top}, although {BANS[top]}"


def test_layers_are_kept() -> None:
    """Nothing in the repository imports upward, out of place, or an effect into what is pure."""
    assert offences(ROOT) == []


@pytest.mark.parametrize(
    ("place", "line", "offence"),
    [
        ("judge/judge.py", "import time", "time comes as an event"),
        ("wire/session.py", "from pgqmodel.wire.proxy import Gate", "of a layer above"),
        ("server/cluster.py", "from pgqmodel.world import World", "of a layer above"),
        ("steps/cut.py", "from pgqmodel.world import World", "of a layer above"),
        ("steps/cut.py", "if TYPE_CHECKING:\n    from pgqmodel.explore.judged import Run", "of a layer above"),
        ("world/world.py", "import psycopg", "whose place is"),
        ("judge/judge.py", "import networkx", "whose place is"),
        ("model/step.py", "from pgqmodel.promises import PROMISES", "of a layer above"),
    ],
)
def test_the_test_can_fail(tmp_path: Path, place: str, line: str, offence: str) -> None:
    """A planted offence of each kind is found: the check is able to fail."""
    file = tmp_path / "pgqmodel" / place
    file.parent.mkdir(parents=True)
    file.write_text(line)
    assert [offence in found for found in offences(tmp_path)] == [True]


def test_every_module_has_a_layer() -> None:
    """A new module must be given a place in the tuple."""
    for path in sorted((ROOT / "pgqmodel").rglob("*.py")):
        if module := module_of(path, ROOT):
            assert layer_of(module) >= 0, path
