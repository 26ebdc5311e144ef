"""Reads a target file: strict, driven by tables, with errors that name file, key and expectation."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define

from pgqmodel.horizon import HORIZON_SECONDS
from pgqmodel.operations import CLAIM, HEARTBEAT, OPERATIONS, Delivery, State
from pgqmodel.phrases import shown
from pgqmodel.promises import PROMISES, BadValueError
from pgqmodel.target.commands import Command
from pgqmodel.target.described import FileProgram, Place
from pgqmodel.target.file_commands import FileCommands
from pgqmodel.target.file_operations import FileOperations, around, kinds
from pgqmodel.target.file_values import refuse
from pgqmodel.target.function import Function
from pgqmodel.target.leases import leases_of
from pgqmodel.target.target import Habits, Observation, Script, Target

__all__ = ["read_file"]

_QUERIES = ("jobs", "runs", "environments", "logs")
_KEYS = (
    "name",
    "setup",
    "setup_sql",
    "settings",
    "promises",
    "observe",
    "lease",
    "worker",
    "operations",
    "maintenance",
)
_SETTINGS_MAX = {
    "heartbeat_timeout_seconds": HORIZON_SECONDS,
    "max_attempts": 1_000_000,
    "clock_skew_seconds": HORIZON_SECONDS,
}
"""The settings that are numbers, with the largest value of each."""
_NONE_AT_ALL = frozenset({"clock_skew_seconds"})
"""The settings that may be 0."""


def read_file(path: Path) -> Target:
    """The target in a file; TargetError for any fault in it. Nothing is run."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        refuse(str(path), "there is no such file", "a target file (.toml)", "run `pgqmodel init DIR` to get one")
    except (OSError, ValueError) as error:
        refuse(str(path), f"it cannot be read ({error})", "a target file in UTF-8", "mend it")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        refuse(str(path), f"it is not TOML: {error}", "a target file as in docs/target-format.md", "mend that place")
    except (ValueError, RecursionError) as error:  # a number with too many digits, or tables nested too deep
        refuse(str(path), f"it cannot be read as TOML ({error})", "a target file of plain values", "mend that place")
    return _Reader(path).read(document)


@define
class _Reader(FileOperations, FileCommands):
    """Reads one file's document."""

    def read(self, document: Mapping[str, Any]) -> Target:
        self._known("", document, _KEYS)
        name = self._typed("name", document.get("name"), str, "the queue's name, a string")
        settings = self._settings(document.get("settings", {}))
        once = settings.get("delivery") == Delivery.AT_MOST_ONCE
        command = self._command(document.get("worker", {}))
        operations = self._operations(document.get("operations"), settles=not once, works=command is None)
        operations |= self._maintenance(document.get("maintenance", {}))
        observe = self._observe(document.get("observe"))
        setup = self._setup(document)
        seen: Mapping[str, object] = operations if command is None else {**OPERATIONS, **operations}
        promises = self._promises(document.get("promises"), seen, observe)
        holds = any(program.place is Place.OPENS for program in operations.values())
        leases = self._leases(document.get("lease", {}), holds=holds) or leases_of(
            operations[CLAIM.name].texts if CLAIM.name in operations else (),
            [script.sql for script in setup],
            observe.jobs,
            beats=HEARTBEAT.name in operations,
        )
        if command is not None:
            self._check_command(operations, promises, leases)
        return Target(
            name=name,
            source=str(self.path),
            promises=promises,
            settings=settings,
            setup=setup,
            observe=observe,
            operations=around(operations) if holds else operations,
            leases=leases,
            habits=self._habits(document.get("worker", {}), operations) if command is None else Habits(),
            command=command,
            kinds=kinds(operations, settings.get("delivery")),
            assumed=_assumed(document.get("settings", {}), operations),
            fingerprint=_fingerprint(document, setup, operations, command),
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
        self._known("settings", table, (*_SETTINGS_MAX, "delivery"))
        for key, most in _SETTINGS_MAX.items():
            value = table.get(key, most)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            none = number and value == 0 and key in _NONE_AT_ALL
            if not number or not (0 < value <= most or none):  # NaN is in no range
                least = "0 or a positive number" if key in _NONE_AT_ALL else "a positive number"
                self._bad(f"settings.{key}", shown(value), f"{least}, at most {most:.15g}", "correct it")
        self._one_of("settings.delivery", table.get("delivery"), tuple(Delivery))
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
        if "run_states" in table and "runs" not in table:
            self._bad("observe.run_states", "the words of runs", "`runs`, the query that shows them", "add it")
        own = self._words("observe.run_states", table["run_states"]) if "run_states" in table else None
        return Observation(states={word: states[0] for word, states in words.items()}, run_states=own, **queries)

    def _words(self, where: str, states: Any) -> dict[str, tuple[State, ...]]:
        """The queue's own words, each with its states."""
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

    def _promises(self, promises: Any, operations: Mapping[str, object], observe: Observation) -> dict[str, Any]:
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
        """The value of a promise in the file, as the promise's kind of value reads it."""
        try:
            return PROMISES[name].value.parse(value)
        except BadValueError as error:
            key = f"promises.{name}.{error.key}" if error.key else f"promises.{name}"
            self._bad(key, error.found, error.expected, error.remedy)


def _assumed(given: Mapping[str, Any], operations: Mapping[str, FileProgram]) -> frozenset[str]:
    """The settings that the file neither gives nor uses: what they are says nothing about the queue."""
    used = {name for program in operations.values() for name in program.parameters}
    return frozenset(_SETTINGS_MAX) - _NONE_AT_ALL - given.keys() - used


def _fingerprint(
    document: Mapping[str, Any],
    setup: tuple[Script, ...],
    operations: Mapping[str, FileProgram],
    command: Command | None,
) -> str:
    """A digest of all parts of the file that decide the queue's behaviour, with its functions and its program."""
    sources = {name: each.source.digest for name, each in operations.items() if isinstance(each, Function)}
    parts = [document, [script.sql for script in setup], *([sources] if sources else [])]
    parts += [command.digest] if command is not None else []
    text = json.dumps(parts, sort_keys=True, default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
