"""The values in a target file: of the right type, of known words, and refused with file, key and what was expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from attrs import define

from pgqmodel.errors import TargetError
from pgqmodel.phrases import shown

__all__ = ["FileValues", "refuse"]

_SQLSTATE = re.compile(r"[0-9A-Z]{5}")


@define
class FileValues:
    """Reads the values of one file."""

    path: Path

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
        refuse(f"{self.path}: {key}", f"found {found}", expected, remedy)

    def _flag(self, key: str, value: Any) -> bool:
        flag: bool = self._typed(key, value, bool, "true or false")
        return flag

    def _one_of(self, key: str, value: Any, words: Sequence[str]) -> Any:
        """One of some words, or None where the file does not say."""
        if value is not None and value not in words:
            self._bad(key, shown(value), " or ".join(repr(str(word)) for word in words), "choose one")
        return value

    def _errors(self, key: str, errors: Any) -> frozenset[str]:
        """SQLSTATEs: five digits and capitals each."""
        listed = self._typed(key, errors, list, 'a list of SQLSTATEs such as ["P0001"]')
        for code in listed:
            if not isinstance(code, str) or not _SQLSTATE.fullmatch(code):
                self._bad(key, shown(code), 'SQLSTATEs, five digits and capitals, such as "40001"', "correct it")
        return frozenset(listed)


def refuse(where: str, found: str, expected: str, remedy: str) -> NoReturn:
    """Raise TargetError."""
    message = f"{where}: {found}; expected {expected}. To go on: {remedy}"
    raise TargetError(message)
