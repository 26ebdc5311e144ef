"""Operations that are functions of an application: how they are found, and what is refused before anything is run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pgqmodel.errors import TargetError
from pgqmodel.operations import Lease
from pgqmodel.server import Cluster
from pgqmodel.target import Function, Target, load
from pgqmodel.world import World
from target.applications import MODULE, application
from world.stories import begin, in_world, take


def function(target: Target, name: str) -> Function:
    """The function of an operation."""
    program = target.operations[name]
    assert isinstance(program, Function)
    return program


def test_a_function_is_found_beside_the_file(tmp_path: Path) -> None:
    """Its parameters are those behind the connection, and nothing is left on the path of imports."""
    before = list(sys.path)
    target = load(str(application(tmp_path)))

    assert function(target, "complete").parameters == {"job", "tries"}
    assert function(target, "claim").source.name == "app:claim"
    assert sys.path == before


def test_a_function_of_a_package_is_found(tmp_path: Path) -> None:
    """`package.module:Class.method` is a name too, and the sources are those of the application alone."""
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "words.py").write_text('TAKE = "SELECT pg_try_advisory_lock(id) FROM j"\n')
    (package / "store.py").write_text(
        "import json\nfrom mine import words\n\nclass Store:\n"
        "    @staticmethod\n    def claim(connection):\n        return connection.execute(words.TAKE)\n"
    )
    target = load(str(application(tmp_path, claim='python = "mine.store:Store.claim"')))

    source = function(target, "claim").source
    assert sorted(source.sources) == ["mine/store.py", "mine/words.py"]
    assert source.texts == ("SELECT pg_try_advisory_lock(id) FROM j",)
    assert Lease.SESSION in target.leases, "the lock in the text of a claim is a lease, as it is in a statement"


def test_a_name_of_pythons_own_is_the_applications(tmp_path: Path) -> None:
    """An application may call its module `queue`; Python's own is there again afterwards."""
    own = sys.modules["queue"]
    target = load(str(application(tmp_path, name="queue")))

    assert function(target, "claim").source.sources.keys() == {"queue.py"}
    assert sys.modules["queue"] is own


def test_two_applications_may_have_the_same_names(tmp_path: Path) -> None:
    """Which folder the file lies in decides, not which one was loaded first."""
    one = load(str(application(tmp_path / "one")))
    other = load(str(application(tmp_path / "other", MODULE.replace("min(id)", "max(id)"))))

    assert "min(id)" in function(one, "claim").source.sources["app.py"]
    assert "max(id)" in function(other, "claim").source.sources["app.py"]
    assert one.fingerprint != other.fingerprint


def test_packages_without_an_init_are_told_apart_too(tmp_path: Path) -> None:
    """A folder is a package as well."""
    names = {}
    for folder in ("one", "other"):
        (tmp_path / folder / "mine").mkdir(parents=True)
        (tmp_path / folder / "mine" / "store.py").write_text(f"def claim(connection):\n    return {folder!r}\n")
        path = application(tmp_path / folder, claim='python = "mine.store:claim"')
        names[folder] = function(load(str(path)), "claim").source.function(None)
    assert names == {"one": "one", "other": "other"}


def test_what_a_function_imports_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    """A trace is of a target as it was: a change anywhere in the application's own sources shows."""
    module = f"import beside\n{MODULE}"
    for folder, text in (("one", "A = 1"), ("same", "A = 1"), ("other", "A = 2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "beside.py").write_text(f"{text}\n")
    one, same, other = (
        load(str(application(tmp_path / folder, module))).fingerprint for folder in ("one", "same", "other")
    )
    assert one == same
    assert one != other


REFUSED = {
    "neither": ("retries = 1", "operations.claim.statements: found nothing, and no `python`"),
    "both": (
        'python = "app:claim"\nstatements = ["SELECT 1"]',
        "operations.claim.python: found it beside `statements`",
    ),
    "a number": ("python = 1", "operations.claim.python"),
    "no function in the name": ('python = "app"', "package.module:function"),
    "a path": ('python = "./app.py:claim"', "package.module:function"),
    "a module that is not there": ('python = "nowhere.app:claim"', "No module named 'nowhere'"),
    "a module that fails": ('python = "fails:claim"', "ZeroDivisionError"),
    "a module that is no Python": ('python = "wrong:claim"', "SyntaxError"),
    "a name that is not there": ('python = "app:claims"', "nothing for 'claims'"),
    "no function": ('python = "app:TAKE"', "a str for 'TAKE'"),
    "a generator": ('python = "more:stream"', "a generator"),
    "no connection": ('python = "more:bare"', "without a first parameter"),
    "a connection by name": ('python = "more:named"', "without a first parameter"),
    "any parameters": ('python = "more:anything"', "**how"),
    "a transaction beside it": ('python = "app:claim"\ntransaction = true', "operations.claim.transaction"),
    "an isolation level beside it": (
        'python = "app:claim"\nisolation = "serializable"',
        "operations.claim.isolation",
    ),
    "expectations beside it": ('python = "app:claim"\nexpects = "row"', "operations.claim.expects"),
}
MORE = """
def stream(connection):
    yield 1

def bare():
    pass

def named(*, connection):
    pass

def anything(connection, **how):
    pass
"""


@pytest.mark.parametrize(("lines", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_function_is_refused(lines: str, told: str, tmp_path: Path) -> None:
    """One sentence names the file, the key, what was found, what was expected and what to do."""
    (tmp_path / "more.py").write_text(MORE)
    (tmp_path / "fails.py").write_text("1 / 0\n")
    (tmp_path / "wrong.py").write_text("def claim(\n")
    with pytest.raises(TargetError) as caught:
        load(str(application(tmp_path, claim=lines)))
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'jobs.toml'}: operations.claim")
    assert told in said
    assert "; expected " in said
    assert "To go on: " in said


def opened(server: Cluster, path: Path) -> None:
    """Set a target up, and do nothing."""

    async def nothing(world: World) -> None:
        pass

    in_world(server, load(str(path)), nothing)


def test_a_parameter_that_nothing_provides_is_refused(server: Cluster, tmp_path: Path) -> None:
    """A name is known or refused; a holder's operation may have any column of a claim that is a function, too."""
    path = application(tmp_path, MODULE.replace("def claim(connection, worker)", "def claim(connection, wroker)"))
    with pytest.raises(TargetError, match=r"operations\.claim\.python: found the parameter 'wroker' of app:claim"):
        opened(server, path)
    claim = "statements = [\"UPDATE j SET st = 'r' WHERE id = 1 RETURNING id::text AS job, tries AS attempt\"]"
    with pytest.raises(TargetError, match=r"'tries' of app:complete.*expected `connection`, and then any of attempt"):
        opened(server, application(tmp_path / "mixed", claim=claim))


def test_a_column_that_the_claim_did_not_return_is_refused(server: Cluster, tmp_path: Path) -> None:
    """What a function returns is known when it has run; a statement and a function that need more say so then."""

    async def settle(world: World) -> None:
        await take(world, [begin("P", "enqueue"), begin("A", "claim"), begin("A", "complete")])

    statement = "statements = [\"UPDATE j SET st = 'd' WHERE id = %(job)s::integer AND tries = %(fence)s\"]"
    with pytest.raises(
        TargetError, match=r"complete\.statements\[0\]: found the parameter %\(fence\)s, which the claim"
    ):
        in_world(server, load(str(application(tmp_path / "one", complete=statement))), settle)
    fenced = MODULE.replace("complete(connection, job, tries)", "complete(connection, job, fence, tries)")
    with pytest.raises(TargetError, match=r"complete\.python: found the parameter 'fence', which the claim"):
        in_world(server, load(str(application(tmp_path / "other", fenced))), settle)
