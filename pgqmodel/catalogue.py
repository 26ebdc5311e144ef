"""A catalogue: entries of one kind by name, in a meaningful order, and the tables derived from them.

Promises, operations and report formats each have one. A program may add an entry. Then every derived table is made
again, so the entry is listed in one place only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Catalogue", "Named"]


class Named(Protocol):
    """The form of an entry."""

    @property
    def name(self) -> str:
        """The public name of the entry."""


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
        """Pickle the entries alone; another process derives its own tables."""
        return type(self), (tuple(self._entries.values()),)

    def __getitem__(self, name: str) -> _T:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: _T) -> None:
        """Add an entry at the end; ValueError if another entry has the name."""
        if self._entries.get(entry.name, entry) is not entry:
            message = f"there is a {entry.name!r} already; expected a name that is free. Call yours otherwise"
            raise ValueError(message)
        self._entries[entry.name] = entry
        self._tables.clear()

    def remove(self, name: str) -> None:
        """Remove an entry; KeyError if there is none with that name."""
        del self._entries[name]
        self._tables.clear()

    def table(self, derive: Callable[[Catalogue[_T]], _V]) -> _V:
        """The table that `derive` makes of the entries; made once, and again after a change of the entries."""
        if derive not in self._tables:
            self._tables[derive] = derive(self)
        made: _V = self._tables[derive]
        return made

    def those(self, test: Callable[[_T], bool]) -> AbstractSet[str]:
        """The set of names whose entries pass a test; it follows later changes of the entries."""
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
