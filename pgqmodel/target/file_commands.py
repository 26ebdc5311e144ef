"""Reads the part of a target file that says how a worker program is started."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from attrs import define

from pgqmodel.operations import OPERATIONS, Lease, Role
from pgqmodel.phrases import shown
from pgqmodel.promises import PROMISES
from pgqmodel.target.commands import Command, is_node
from pgqmodel.target.file_values import FileValues

__all__ = ["FileCommands"]

_KEYS = ("command", "count", "environment", "ready", "max_connections", "preload")
_COUNT_MAX = 8
_CONNECTIONS_MAX = 64


@define
class FileCommands(FileValues):
    """Reads the worker program of one file."""

    def _command(self, worker: Any) -> Command | None:
        """The program; None if the file's worker is none."""
        table = self._typed("worker", worker, dict, "a table of what a worker does")
        if "command" not in table:
            return None
        self._known("worker", table, _KEYS)
        self._one_of("worker.ready", table.get("ready"), ("first-unit",))
        given = self._typed("worker.environment", table.get("environment", {}), dict, "a table of variables")
        for name, value in given.items():
            self._typed(f"worker.environment.{name}", value, str, "a text")
        words = self._program(table["command"])
        return Command(
            words=words,
            preload=self._preload(words, table.get("preload", [])),
            directory=str(self.path.parent.resolve()),
            count=self._whole("worker.count", table.get("count", 2), _COUNT_MAX),
            environment=given,
            most=self._whole("worker.max_connections", table.get("max_connections", 8), _CONNECTIONS_MAX),
        )

    def _program(self, command: Any) -> tuple[str, ...]:
        wanted = 'a program and its arguments, such as ["node", "worker.js"]'
        words = self._typed("worker.command", command, list, wanted)
        for index, word in enumerate(words):
            self._typed(f"worker.command[{index}]", word, str, "a text")
        if not words:
            self._bad("worker.command", "an empty list", wanted, "name the program")
        beside = self.path.parent / words[0]
        if shutil.which(words[0]) is None and not ("/" in words[0] and beside.is_file()):
            expected = "a program that is installed, or a path relative to this file"
            self._bad("worker.command[0]", shown(words[0]), expected, "install it, or correct the name")
        return tuple(words)

    def _preload(self, words: tuple[str, ...], preload: Any) -> tuple[str, ...]:
        modules = self._typed("worker.preload", preload, list, 'a list of modules, such as ["psycopg"]')
        for index, module in enumerate(modules):
            self._typed(f"worker.preload[{index}]", module, str, "the name of a module")
        is_script = len(words) > 1 and (words[1] == "-m" or not words[1].startswith("-"))
        if modules and not is_node(words) and not (PurePath(words[0]).name.startswith("python") and is_script):
            expected = 'a command of Node or Python, such as ["node", "worker.js"] or ["python3", "-m", "worker"]'
            self._bad("worker.preload", f"the command {shown(' '.join(words))}", expected, "take `preload` out")
        return tuple(modules)

    def _whole(self, key: str, value: Any, most: int) -> int:
        number: int = self._typed(key, value, int, "a whole number")
        if isinstance(value, bool) or not 1 <= number <= most:
            self._bad(key, shown(value), f"a number of 1 to {most}", "correct it")
        return number

    def _check_command(
        self, operations: Mapping[str, Any], promises: Mapping[str, Any], leases: tuple[Lease, ...]
    ) -> None:
        """Refuse what a file cannot say beside a program: a worker's operations, and promises about its answers."""
        for name in operations:
            if name in OPERATIONS and OPERATIONS[name].role is Role.WORKER:
                key = f"operations.{name}"
                self._bad(
                    key, "an operation of a worker", "none beside worker.command", "take it out: the program acts"
                )
        for name in promises:
            if not PROMISES[name].inferred:
                known = ", ".join(each for each in PROMISES if PROMISES[each].inferred)
                expected = f"one that can be judged by what a program commits: {known}"
                self._bad(f"promises.{name}", "a promise about answers or locks", expected, "take it out")
        if set(leases) - {Lease.HEARTBEAT, Lease.UNTIL}:
            expected = "'heartbeat' or 'until' beside worker.command"
            self._bad("lease.kind", shown(str(leases[0])), expected, "show lease_until in observe.jobs")
        for name in promises:
            if PROMISES[name].needs_ends and Lease.UNTIL not in leases:
                self._bad(
                    f"promises.{name}",
                    "no column lease_until in observe.jobs",
                    "the end of each lease, because a program's heartbeats are seen by what they change",
                    "add it to the query, such as heartbeat_at + interval '30 seconds' AS lease_until",
                )
