"""Reading a target file: strict, table-driven, and with errors that name file, key, and what was expected."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from attrs import define, evolve

from pgqmodel.errors import TargetError
from pgqmodel.horizon import HORIZON_SECONDS
from pgqmodel.operations import CLAIM, FAIL, HEARTBEAT, OPERATIONS, REQUIRED, SETTLEMENTS, Lease, State
from pgqmodel.phrases import shown
from pgqmodel.promises import PROMISES, BadValueError
from pgqmodel.target.leases import leases_of
from pgqmodel.target.program import Place, Statements, compile_statement
from pgqmodel.target.target import AfterLost, Observation, Script, Target, Unlocks, Worker

__all__ = ["read_file"]

_LEVELS = ("read committed", "repeatable read", "serializable")
_QUERIES = ("jobs", "runs", "environments", "logs")
_KEYS = ("name", "setup", "setup_sql", "settings", "promises", "observe", "lease", "worker", "operations")
_OPERATION_KEYS = ("statements", "transaction", "isolation", "expects", "refused_by", "retried_on", "retries")
_RETRIES = 3
"""How often a program is run again where the file names errors to do so for, and no number."""
_RETRIES_MAX = 100
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")
_SETTINGS_MAX = {"heartbeat_timeout_seconds": HORIZON_SECONDS, "max_attempts": 1_000_000}
"""The settings there are, and the most that each may say."""


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
        operations = self._operations(document.get("operations"))
        observe = self._observe(document.get("observe"))
        setup = self._setup(document)
        settings = self._settings(document.get("settings", {}))
        promises = self._promises(document.get("promises"), operations, observe)
        holds = any(program.place is Place.OPENS for program in operations.values())
        return Target(
            name=name,
            source=str(self.path),
            promises=promises,
            settings=settings,
            setup=setup,
            observe=observe,
            operations=_around(operations) if holds else operations,
            leases=self._leases(document.get("lease", {}), holds=holds)
            or leases_of(
                [statement.sql for statement in operations[CLAIM.name].statements],
                [script.sql for script in setup],
                beats=HEARTBEAT.name in operations,
            ),
            worker=self._worker(document.get("worker", {}), operations),
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
        self._known("observe", table, (*_QUERIES, "states"))
        for key in ("jobs", "states"):
            if key not in table:
                self._bad("observe", f"no {key!r}", "a query `jobs` and a table `states`", "add it")
        queries = {key: self._sql(f"observe.{key}", table[key]) for key in _QUERIES if key in table}
        return Observation(states=self._states(table["states"]), **queries)

    def _states(self, states: Any) -> dict[str, State]:
        table = self._typed("observe.states", states, dict, "a table of the five states")
        self._known("observe.states", table, tuple(State))
        words: dict[str, State] = {}
        for state, listed in table.items():
            for word in self._typed(f"observe.states.{state}", listed, list, "a list of the queue's own words"):
                key = f"observe.states.{state}"
                self._typed(key, word, str, "words, as strings")
                if word in words:
                    self._bad(key, f"{word!r} a second time", f"each word once ({words[word]} has it)", "take one out")
                words[word] = State(state)
        if not words:
            self._bad("observe.states", "no word at all", "the queue's words for each state", "add them")
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
        return {name: self._operation(name, table[name]) for name in OPERATIONS if name in table}

    def _operation(self, name: str, operation: Any) -> Statements:
        key = f"operations.{name}"
        table = self._typed(key, operation, dict, "a table with `statements`")
        self._known(key, table, (*_OPERATION_KEYS, *(("holds_transaction",) if name == CLAIM.name else ())))
        listed = self._typed(f"{key}.statements", table.get("statements"), list, "a list of SQL statements")
        if not listed:
            self._bad(f"{key}.statements", "an empty list", "at least one SQL statement", "add it")
        retried_on = self._errors(f"{key}.retried_on", table.get("retried_on", []))
        retries = self._typed(f"{key}.retries", table.get("retries", _RETRIES if retried_on else 0), int, "a number")
        if not 0 <= retries <= _RETRIES_MAX:
            self._bad(f"{key}.retries", shown(retries), f"a number of 0 to {_RETRIES_MAX}", "correct it")
        holds = self._flag(f"{key}.holds_transaction", table.get("holds_transaction", False))
        return Statements(
            name=name,
            statements=tuple(
                compile_statement(
                    f"{self.path}: {key}.statements[{index}]", self._sql(f"{key}.statements[{index}]", sql)
                )
                for index, sql in enumerate(listed)
            ),
            transaction=self._flag(f"{key}.transaction", table.get("transaction", False)) and not holds,
            isolation=self._one_of(f"{key}.isolation", table.get("isolation"), _LEVELS),
            place=Place.OPENS if holds else Place.APART,
            expects_row=self._one_of(f"{key}.expects", table.get("expects"), ("row",)) is not None,
            refused_by=self._errors(f"{key}.refused_by", table.get("refused_by", [])),
            retried_on=retried_on,
            retries=retries,
        )

    def _errors(self, key: str, errors: Any) -> frozenset[str]:
        """SQLSTATEs: five digits and capitals each."""
        listed = self._typed(key, errors, list, 'a list of SQLSTATEs such as ["P0001"]')
        for code in listed:
            if not isinstance(code, str) or not _SQLSTATE.fullmatch(code):
                self._bad(key, shown(code), 'SQLSTATEs, five digits and capitals, such as "40001"', "correct it")
        return frozenset(listed)

    def _flag(self, key: str, value: Any) -> bool:
        flag: bool = self._typed(key, value, bool, "true or false")
        return flag

    def _one_of(self, key: str, value: Any, words: Sequence[str]) -> Any:
        """One of some words, or None where the file does not say."""
        if value is not None and value not in words:
            self._bad(key, shown(value), " or ".join(map(repr, words)), "choose one")
        return value

    # -- what the statements do not say ----------------------------------------------------------------------------

    def _leases(self, lease: Any, *, holds: bool) -> tuple[Lease, ...]:
        """What the file says of leases; nothing if it says nothing."""
        table = self._typed("lease", lease, dict, "a table with `kind`")
        self._known("lease", table, ("kind",))
        kind = self._one_of("lease.kind", table.get("kind"), tuple(Lease))
        if kind is None:
            return (Lease.TRANSACTION,) if holds else ()
        if holds and kind != Lease.TRANSACTION:
            self._bad("lease.kind", shown(kind), "'transaction', as the claim holds its transaction", "correct it")
        if kind == Lease.TRANSACTION and not holds:
            self._bad("lease.kind", shown(kind), "`holds_transaction = true` beside the claim's statements", "add it")
        return (Lease(kind),)

    def _worker(self, worker: Any, operations: Mapping[str, Statements]) -> Worker:
        table = self._typed("worker", worker, dict, "a table of what a worker does")
        self._known("worker", table, ("names", "after_lost_settlement", "unlock", "settles"))
        found = {
            key: self._one_of(f"worker.{key}", table.get(key), words) or words[0] for key, words in _WORKER.items()
        }
        if found["after_lost_settlement"] == AfterLost.FAIL and FAIL.name not in operations:
            self._bad("worker.after_lost_settlement", repr("fail"), "operations.fail, which it runs", "add it")
        at_once = any("jobs" in operations[name].parameters for name in SETTLEMENTS if name in operations)
        if "settles" in table and (found["settles"] == "all") is not at_once:
            expected = "%(jobs)s, an array, in the settlements" if not at_once else "%(job)s, and not %(jobs)s"
            self._bad("worker.settles", shown(found["settles"]), expected, "write what the worker does")
        return Worker(
            keeps_name=found["names"] == "kept",
            after_lost=AfterLost(found["after_lost_settlement"]),
            unlocks=Unlocks(found["unlock"]),
        )

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


_WORKER: dict[str, tuple[str, ...]] = {
    "names": ("kept", "new"),
    "after_lost_settlement": tuple(AfterLost),
    "unlock": tuple(Unlocks),
    "settles": ("each", "all"),
}
"""What a file may say of a worker; the first is what holds if it says nothing."""


def _around(operations: Mapping[str, Statements]) -> dict[str, Statements]:
    """The operations of a queue whose claim leaves its transaction open: a settlement ends it, others run inside."""
    places = {
        name: Place.ENDS if known.settles else Place.INSIDE for name, known in OPERATIONS.items() if known.holders
    }
    return {name: evolve(program, place=places.get(name, program.place)) for name, program in operations.items()}


def _refuse(where: str, found: str, expected: str, remedy: str) -> NoReturn:
    message = f"{where}: {found}; expected {expected}. To go on: {remedy}"
    raise TargetError(message)


def _fingerprint(document: Mapping[str, Any], setup: tuple[Script, ...]) -> str:
    """A digest of everything that decides what the queue does."""
    text = json.dumps([document, [script.sql for script in setup]], sort_keys=True, default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
