"""A catalogue: the things of one kind by name, in an order that means something, and the tables derived from them.

Promises, operations and report formats are each kept in one. A program may add its own entry; every derived table is
made again then, so nothing that the entry touches has to be listed a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Catalogue", "Named"]


class Named(Protocol):
    """Anything that a catalogue can keep."""

    @property
    def name(self) -> str:
        """What the entry is called; public, and the same everywhere."""


_T = TypeVar("_T", bound=Named)
_V = TypeVar("_V")


class Catalogue(Mapping[str, _T], Generic[_T]):
    """Entries by name, in the order in which they were given; a program may add entries of its own."""

    def __init__(self, entries: Iterable[_T]) -> None:
        self._entries: dict[str, _T] = {}
        self._tables: dict[Callable[[Any], Any], Any] = {}
        for entry in entries:
            self.add(entry)

    def __reduce__(self) -> tuple[type[Catalogue[_T]], tuple[tuple[_T, ...]]]:
        """Another process gets the entries, and derives its own tables from them."""
        return type(self), (tuple(self._entries.values()),)

    def __getitem__(self, name: str) -> _T:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: _T) -> None:
        """Add an entry at the end; ValueError if the name is taken by another one."""
        if self._entries.get(entry.name, entry) is not entry:
            message = f"there is a {entry.name!r} already; expected a name that is free. Call yours otherwise"
            raise ValueError(message)
        self._entries[entry.name] = entry
        self._tables.clear()

    def remove(self, name: str) -> None:
        """Take an entry out again; KeyError if there is none of that name."""
        del self._entries[name]
        self._tables.clear()

    def table(self, derive: Callable[[Catalogue[_T]], _V]) -> _V:
        """What `derive` makes of the entries; made once, and again after an entry was added."""
        if derive not in self._tables:
            self._tables[derive] = derive(self)
        made: _V = self._tables[derive]
        return made

    def those(self, test: Callable[[_T], bool]) -> AbstractSet[str]:
        """The names of the entries that pass a test, now and whenever it is asked."""
        return _Those(self, test)


class _Those(AbstractSet[str]):
    """A set of names that follows its catalogue."""

    def __init__(self, catalogue: Catalogue[Any], test: Callable[[Any], bool]) -> None:
        self._catalogue, self._test = catalogue, test

    def __contains__(self, name: object) -> bool:
        entry = self._catalogue.get(name) if isinstance(name, str) else None
        return entry is not None and self._test(entry)

    def __iter__(self) -> Iterator[str]:
        return (name for name, entry in self._catalogue.items() if self._test(entry))

    def __len__(self) -> int:
        return sum(1 for _ in self)
