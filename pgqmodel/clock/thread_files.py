"""What /proc says of one thread, and of the threads of a process tree. Files are kept open: a look is one read each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ThreadFiles", "ThreadTree"]

_GONE = (FileNotFoundError, ProcessLookupError)
_BYTES = 4096


class ThreadFiles:
    """One thread's files. Reading what is gone gives nothing, as bytes."""

    def __init__(self, process: int, thread: int) -> None:
        self.process = process
        self.thread = thread
        self._path = f"/proc/{process}/task/{thread}"
        self._files: dict[str, int] = {}
        self.gone = False

    def read(self, name: str) -> bytes:
        """The present text of a file. PermissionError while the program is being executed, or if it is not ours."""
        try:
            file = self._files.get(name)
            if file is None:
                file = self._files[name] = os.open(f"{self._path}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            return os.pread(file, _BYTES, 0)
        except _GONE:
            self.gone = True
            return b""
        except PermissionError:
            if name != "stat" and self.state() in {"Z", "X"}:  # the files of the dead belong to root
                return b""
            raise

    def state(self) -> str:
        """The kernel's letter for the thread: R, S, D, T, t, Z, X; nothing if it is gone."""
        return self.read("stat").rpartition(b") ")[2][:1].decode()

    def children(self) -> list[int]:
        """The real ids of the processes that this thread made."""
        text = self.read("children")
        if len(text) == _BYTES:
            text = Path(f"{self._path}/children").read_bytes()
        return [int(word) for word in text.split()]

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()


class ThreadTree:
    """The threads of a process and of all processes below it, as they were at the last look."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._threads: dict[tuple[int, int], ThreadFiles] = {}

    def __iter__(self) -> Iterator[ThreadFiles]:
        return iter(tuple(self._threads.values()))

    def update(self) -> bool:
        """Look which threads there are; True if they are the same as before."""
        found: dict[tuple[int, int], ThreadFiles] = {}
        processes = [self.pid]
        for process in processes:
            for thread in _threads(process):
                key = (process, thread)
                files = self._threads.get(key)
                if files is None or files.gone:  # an id may be used again, even for a thread of the same process
                    files = ThreadFiles(process, thread)
                found[key] = files
                processes += files.children()
        same = found == self._threads
        for key, files in self._threads.items():
            if found.get(key) is not files:
                files.close()
        self._threads = found
        return same

    def close(self) -> None:
        """Close all files."""
        for files in self._threads.values():
            files.close()
        self._threads.clear()


def _threads(process: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{process}/task")]  # noqa: PTH208 - half of the time of a Path
    except _GONE:
        return []
