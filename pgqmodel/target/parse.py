"""Reading a target file: strict, table-driven, and with errors that name file, key, and what was expected."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

from attrs import define

from pgqmodel.catalogue import Catalogue
from pgqmodel.errors import TargetError
from pgqmodel.horizon import HORIZON_SECONDS
from pgqmodel.operations import ABSENT, OPERATIONS, REQUIRED, Operation, State, adding, maintenance
from pgqmodel.phrases import shown
from pgqmodel.promises import PROMISES, BadValueError
from pgqmodel.target.program import Statements, compile_statement
from pgqmodel.target.target import Observation, Script, Target

__all__ = ["read_file"]

_LEVELS = ("read committed", "repeatable read", "serializable")
_QUERIES = ("jobs", "runs", "environments", "logs")
_KEYS = ("name", "setup", "setup_sql", "settings", "promises", "observe", "operations", "maintenance")
_SETTINGS_MAX = {"heartbeat_timeout_seconds": HORIZON_SECONDS, "max_attempts": 1_000_000}
"""The settings there are, and the most that each may say."""
_NAME = re.compile(r"[\w-]{1,60}")
_MOVE = 'two states, such as "waiting -> pending"'
_STATES: dict[str, State | None] = {**{state.value: state for state in State}, "absent": ABSENT}
"""The words of a move; absent is a job that has no row."""


def read_file(path: Path) -> Target:
    """The target in a file; TargetError for everything that is wrong with it. Nothing is run."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        _refuse(str(path), "there is no such file", "a target file (.toml)", "run `pgqmodel init DIR` to get one")
    except (OSError, ValueError) as error:
        _refuse(str(path), f"it cannot be read ({error})", "a target file in UTF-8", "mend it")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _refuse(str(path), f"it is not TOML: {error}", "a target file as in docs/target-format.md", "mend that place")
    except (ValueError, RecursionError) as error:  # a number of too many digits, or tables nested too deep
        _refuse(str(path), f"it cannot be read as TOML ({error})", "a target file of plain values", "mend that place")
    return _Reader(path).read(document)


@define
class _Reader:
    """Reads one file's document."""

    path: Path

    def read(self, document: Mapping[str, Any]) -> Target:
        self._known("", document, _KEYS)
        name = self._typed("name", document.get("name"), str, "the queue's name, a string")
        operations = self._operations(document.get("operations")) | self._maintenance(document.get("maintenance", {}))
        observe = self._observe(document.get("observe"))
        setup = self._setup(document)
        settings = self._settings(document.get("settings", {}))
        promises = self._promises(document.get("promises"), operations, observe)
        return Target(
            name=name,
            source=str(self.path),
            promises=promises,
            settings=settings,
            setup=setup,
            observe=observe,
            operations=operations,
            kinds=_kinds(operations),
            fingerprint=_fingerprint(document, setup),
        )

    # -- parts -----------------------------------------------------------------------------------------------------

    def _setup(self, document: Mapping[str, Any]) -> tuple[Script, ...]:
        files = self._typed("setup", document.get("setup", []), list, 'a list of files such as ["schema.sql"]')
        scripts = [self._script(f"setup[{index}]", file) for index, file in enumerate(files)]
        if "setup_sql" in document:
            sql = self._typed("setup_sql", document["setup_sql"], str, "SQL, a string")
            scripts.append(Script(label=f"{self.path}: setup_sql", sql=sql))
        return tuple(scripts)

    def _script(self, key: str, file: Any) -> Script:
        name = self._typed(key, file, str, "the name of a file, relative to this one")
        path = self.path.parent / name
        try:
            return Script(label=str(path), sql=path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            self._bad(
                key, f"{name!r} cannot be read ({reason})", "a file of SQL beside the target file", "mend the name"
            )

    def _settings(self, settings: Any) -> dict[str, Any]:
        table = self._typed("settings", settings, dict, "a table")
        self._known("settings", table, tuple(_SETTINGS_MAX))
        for key, value in table.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 < value <= _SETTINGS_MAX[key]:  # NaN is in no range
                expected = f"a positive number, at most {_SETTINGS_MAX[key]:.15g}"
                self._bad(f"settings.{key}", shown(value), expected, "correct it")
        maximum = table.get("max_attempts")
        if maximum is not None and int(maximum) != maximum:
            self._bad("settings.max_attempts", repr(maximum), "a whole number", "correct it")
        return {"heartbeat_timeout_seconds": 30, "max_attempts": None, **table}

    def _observe(self, observe: Any) -> Observation:
        table = self._typed("observe", observe, dict, "a table with `jobs` and `states`")
        self._known("observe", table, (*_QUERIES, "states", "run_states"))
        for key in ("jobs", "states"):
            if key not in table:
                self._bad("observe", f"no {key!r}", "a query `jobs` and a table `states`", "add it")
        queries = {key: self._sql(f"observe.{key}", table[key]) for key in _QUERIES if key in table}
        words = self._words("observe.states", table["states"])
        for word, (state, *others) in words.items():
            if others:
                key = f"observe.states.{others[0]}"
                self._bad(key, f"{word!r} a second time", f"each word once ({state} has it)", "take one out")
        own = self._words("observe.run_states", table["run_states"]) if "run_states" in table else None
        return Observation(states={word: states[0] for word, states in words.items()}, run_states=own, **queries)

    def _words(self, where: str, states: Any) -> dict[str, tuple[State, ...]]:
        """The queue's own words, each with the states that it stands for."""
        table = self._typed(where, states, dict, "a table of the six states")
        self._known(where, table, tuple(State))
        words: dict[str, tuple[State, ...]] = {}
        for state, listed in table.items():
            key = f"{where}.{state}"
            for word in self._typed(key, listed, list, "a list of the queue's own words"):
                self._typed(key, word, str, "words, as strings")
                words[word] = (*words.get(word, ()), State(state))
        if not words:
            self._bad(where, "no word at all", "the queue's words for each state", "add them")
        return words

    def _operations(self, operations: Any) -> dict[str, Statements]:
        table = self._typed("operations", operations, dict, "a table of operations")
        self._known("operations", table, tuple(OPERATIONS))
        for needed in REQUIRED:
            if not needed & set(table):
                self._bad(
                    "operations",
                    f"none of {' or '.join(sorted(needed))}",
                    "enqueue, claim, and complete or fail",
                    "add it",
                )
        return {
            name: self._operation(f"operations.{name}", name, table[name], "adds")
            for name in OPERATIONS
            if name in table
        }

    def _maintenance(self, operations: Any) -> dict[str, Statements]:
        table = self._typed("maintenance", operations, dict, "a table of maintenance operations")
        for name in table:
            key = f"maintenance.{name}"
            if name in OPERATIONS:
                self._bad(key, "an operation that there is", "a name of its own", f"write operations.{name}")
            if not _NAME.fullmatch(name):
                self._bad(key, shown(name), "a name of letters, digits, - and _", "rename it")
        return {
            name: self._operation(f"maintenance.{name}", name, operation, "moves") for name, operation in table.items()
        }

    def _operation(self, key: str, name: str, operation: Any, further: str) -> Statements:
        table = self._typed(key, operation, dict, "a table with `statements`")
        self._known(key, table, ("statements", "transaction", "isolation", further))
        listed = self._typed(f"{key}.statements", table.get("statements"), list, "a list of SQL statements")
        if not listed:
            self._bad(f"{key}.statements", "an empty list", "at least one SQL statement", "add it")
        isolation = table.get("isolation")
        if isolation is not None and isolation not in _LEVELS:
            self._bad(f"{key}.isolation", shown(isolation), " or ".join(map(repr, _LEVELS)), "choose one")
        return Statements(
            name=name,
            statements=tuple(
                compile_statement(
                    f"{self.path}: {key}.statements[{index}]", self._sql(f"{key}.statements[{index}]", sql)
                )
                for index, sql in enumerate(listed)
            ),
            transaction=self._typed(f"{key}.transaction", table.get("transaction", False), bool, "true or false"),
            isolation=isolation,
            kind=self._kind(key, name, table),
        )

    def _kind(self, key: str, name: str, table: Mapping[str, Any]) -> Operation | None:
        """What the file says of an operation beyond the common ones."""
        if name not in OPERATIONS:
            wanted = 'a list of what it may do to a job, such as ["waiting -> pending"]'
            listed = self._typed(f"{key}.moves", table.get("moves"), list, wanted)
            return maintenance(name, [self._move(f"{key}.moves[{index}]", move) for index, move in enumerate(listed)])
        adds = self._typed(f"{key}.adds", table.get("adds", {}), dict, "a table with `jobs`")
        self._known(f"{key}.adds", adds, ("jobs",))
        jobs = self._typed(f"{key}.adds.jobs", adds.get("jobs", False), bool, "true or false")
        return adding(OPERATIONS[name]) if jobs else None

    def _move(self, key: str, move: Any) -> tuple[State | None, State | None]:
        """A move in the words of the states: where from, and where to."""
        words = [word.strip() for word in self._typed(key, move, str, _MOVE).split("->")]
        if len(words) != 2 or words[0] == words[1] or not set(words) <= _STATES.keys():
            self._bad(key, shown(move), f"{_MOVE}; the states are {', '.join(_STATES)}", "correct it")
        return _STATES[words[0]], _STATES[words[1]]

    def _promises(self, promises: Any, operations: Mapping[str, Statements], observe: Observation) -> dict[str, Any]:
        table = self._typed("promises", promises, dict, "a table of what the queue promises")
        self._known("promises", table, tuple(PROMISES))
        declared = {}
        for name in PROMISES:
            if table.get(name, False) is False:
                continue
            declared[name] = self._value(name, table[name])
            for needed in PROMISES[name].operations:
                if needed not in operations:
                    self._bad(
                        f"promises.{name}",
                        f"no operation {needed!r}",
                        f"operations.{needed}, which it is about",
                        "add it, or drop the promise",
                    )
            for query in {column.split(".")[0] for column in PROMISES[name].columns}:
                if query not in observe.queries:
                    self._bad(
                        f"promises.{name}",
                        f"no query observe.{query}",
                        f"one with {', '.join(PROMISES[name].columns)}",
                        "add it, or drop the promise",
                    )
        if not declared:
            self._bad("promises", "none that is true", "at least one promise; see docs/promises.md", "declare one")
        return declared

    def _value(self, name: str, value: Any) -> Any:
        """What a file says of a promise, as its kind of value reads it."""
        try:
            return PROMISES[name].value.parse(value)
        except BadValueError as error:
            key = f"promises.{name}.{error.key}" if error.key else f"promises.{name}"
            self._bad(key, error.found, error.expected, error.remedy)

    # -- values ----------------------------------------------------------------------------------------------------

    def _sql(self, key: str, value: Any) -> str:
        sql: str = self._typed(key, value, str, "one SQL statement, a string")
        if not sql.strip().rstrip(";").strip():
            self._bad(key, "an empty string", "one SQL statement", "write it")
        return sql.strip().rstrip(";")

    def _typed(self, key: str, value: Any, kind: type, expected: str) -> Any:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self._bad(key, "nothing" if value is None else shown(value), expected, "correct it")
        if isinstance(value, str) and "\0" in value:
            self._bad(key, f"a NUL character in {shown(value)}", f"{expected}, without one", "take it out")
        return value

    def _known(self, key: str, table: Mapping[str, Any], known: Collection[str]) -> None:
        for name in table:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {close[0]!r}?" if close else "take it out"
                self._bad(f"{key}.{name}" if key else name, "an unknown key", f"one of {', '.join(known)}", hint)

    def _bad(self, key: str, found: str, expected: str, remedy: str) -> NoReturn:
        _refuse(f"{self.path}: {key}", f"found {found}", expected, remedy)


def _refuse(where: str, found: str, expected: str, remedy: str) -> NoReturn:
    message = f"{where}: {found}; expected {expected}. To go on: {remedy}"
    raise TargetError(message)


def _kinds(operations: Mapping[str, Statements]) -> Catalogue[Operation]:
    """What each operation is: the common ones, as the file has them, and the file's own, which no other target has."""
    own = {name: program.kind for name, program in operations.items() if program.kind is not None}
    return Catalogue({**OPERATIONS, **own}.values()) if own else OPERATIONS


def _fingerprint(document: Mapping[str, Any], setup: tuple[Script, ...]) -> str:
    """A digest of everything that decides what the queue does."""
    text = json.dumps([document, [script.sql for script in setup]], sort_keys=True, default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
