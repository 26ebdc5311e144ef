"""Writes a client's history while it runs: one line for each event, written before the statement is sent.

Every line is one `write` to a file opened for appending. So a process that is killed leaves whole lines, and at most
one incomplete line at the end. The notation is that of `pgqmodel.history`, written here by hand because every call of a
worker pays for it. `pgqmodel.witness.merge` joins the files of several clients.
"""

from __future__ import annotations

import json
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Self

from attrs import define, field

from pgqmodel.errors import UsageError
from pgqmodel.history import Event, from_json
from pgqmodel.operations import Status

__all__ = ["Recorder", "open_history", "read_client_history", "server_clock"]

INCARNATIONS_MAX = 100_000
# ASCII: so Python's splitlines finds exactly our line ends, and halves of surrogate pairs can be written.
_encode = json.JSONEncoder(default=str).encode
_NOTHING: Mapping[str, Any] = {}


@define
class _File:
    """The file that the clients of one process share: its numbers are unique among them."""

    descriptor: int
    clock: Callable[[], float]
    lock: threading.Lock
    step: int = 0
    calls: Iterator[int] = field(factory=lambda: count(1))

    def write(self, kind: str, fields: dict[str, Any]) -> None:
        """Write one event with the present time; the lock keeps times and steps in the order of the lines."""
        with self.lock:
            self.step += 1
            record = {"event": kind, "step": self.step, "at": self.clock(), **fields}
            os.write(self.descriptor, _encode(record).encode() + b"\n")


class Recorder:
    """Writes the history of one client; `beside` gives the recorder of another client of the same process."""

    def __init__(self, out: Path | str | int, client: str, worker: str, clock: Callable[[], float] = time.time) -> None:
        """Append to a file, or write to a descriptor; UsageError if the file cannot be opened."""
        self.client = client
        self.worker = worker
        self._file = _File(out if isinstance(out, int) else _open(Path(out)), clock, threading.Lock())

    def beside(self, client: str) -> Self:
        """The recorder of another client of this process, with the same name in the queue."""
        other = object.__new__(type(self))
        other.client, other.worker, other._file = client, self.worker, self._file
        return other

    def invoked(
        self,
        operation: str,
        *,
        job: str | None = None,
        claim: int | None = None,
        arguments: Mapping[str, Any] = _NOTHING,
    ) -> int:
        """Record that a call begins. Return its number."""
        call = next(self._file.calls)
        fields: dict[str, Any] = {"client": self.client, "worker": self.worker, "call": call, "operation": operation}
        if job is not None:
            fields["job"] = job
        if claim is not None:
            fields["claim"] = claim
        if arguments:
            fields["arguments"] = dict(arguments)
        self._file.write("invoked", fields)
        return call

    def returned(
        self,
        call: int,
        status: Status,
        *,
        job: str | None = None,
        row: Mapping[str, Any] = _NOTHING,
        error: str | None = None,
        transaction: int | None = None,
    ) -> None:
        """Record that a call is over."""
        fields: dict[str, Any] = {"client": self.client, "call": call, "status": status}
        if job is not None:
            fields["job"] = job
        if row:
            fields["row"] = dict(row)
        if error is not None:
            fields["error"] = error
        if transaction is not None:
            fields["transaction"] = transaction
        self._file.write("returned", fields)

    def connected(self) -> None:
        """Record that the client has a new session."""
        self._file.write("connected", {"client": self.client, "worker": self.worker})

    def ended(self) -> None:
        """Record that the client's session has ended, as far as the client can see."""
        self._file.write("ended", {"client": self.client})

    def close(self) -> None:
        """Close the file, for every client that writes to it."""
        os.close(self._file.descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        message = f"{path} cannot be written to: {error.strerror}; expected a file for a history. Name another"
        raise UsageError(message) from error


def open_history(place: Path, worker: str, clock: Callable[[], float] = time.time) -> Recorder:
    """The recorder of a new process. In a directory it makes a new file, whose name is the client's name."""
    if not place.is_dir():
        return Recorder(place, f"{worker}.{os.getpid()}", worker, clock)
    for number in range(1, INCARNATIONS_MAX):
        path = place / f"{worker}.{number}.jsonl"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            continue
        except OSError as error:
            message = f"{path} cannot be written to: {error.strerror}; expected a place for histories. Name another"
            raise UsageError(message) from error
        return Recorder(descriptor, f"{worker}.{number}", worker, clock)
    message = f"{place} holds {INCARNATIONS_MAX} histories of {worker}; expected room for one more. Name another"
    raise UsageError(message)


def read_client_history(path: Path | str) -> Iterator[Event]:
    """The events in a client's file, in order; UsageError with the number of the first line that is no event.

    A last line without a line end is left out: its writer was killed in the middle of it.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield _read(line, path, number)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}; expected a client's history. Check the name"
        raise UsageError(message) from error


def _read(line: bytes, path: Path, number: int) -> Event:
    try:
        return from_json(json.loads(line))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = (
            f"line {number} of {path} is not an event: {error!r}; expected one JSON object with `event` a line. "
            "Only the last line of a killed client may be torn: take this one out, or record again"
        )
        raise UsageError(message) from error


def server_clock(file: Path | str) -> Callable[[], float]:
    """A clock that reads a server's virtual time from the file of its shim."""
    try:
        with Path(file).open("rb") as opened:
            word = memoryview(mmap.mmap(opened.fileno(), 8, prot=mmap.PROT_READ)).cast("q")
    except (OSError, ValueError) as error:
        message = f"{file} is not a clock: {error}; expected the file of a server's clock, 8 bytes. Check the name"
        raise UsageError(message) from error
    return lambda: word[0] / 1e6
