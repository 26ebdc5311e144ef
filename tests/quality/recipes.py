"""Reads the recipes of the cookbook: the file of a section, the change that spoils it, what is said about that."""

from __future__ import annotations

import re
from pathlib import Path

from attrs import frozen

__all__ = ["ROOT", "Recipe", "recipes"]

ROOT = Path(__file__).parent.parent.parent
_DOCS = ROOT / "docs"
_INCLUDED = re.compile(r"```\{literalinclude\} (\S+)")
_BLOCK = r"```{language}\n(.*?)```"


@frozen(kw_only=True)
class Recipe:
    """One section: the target file that it shows, the mistake that is made there, and the report of its finding."""

    file: Path
    before: str
    after: str
    report: str

    @property
    def anomaly(self) -> str:
        """The anomaly that the report is about."""
        return self.report.partition(" in ")[0]

    def spoilt(self) -> str:
        """The file with its mistake; the place of the change is found once."""
        text = self.file.read_text(encoding="utf-8")
        assert text.count(self.before) == 1, self.before
        return text.replace(self.before, self.after)


def recipes() -> list[Recipe]:
    """Every section of the cookbook that shows a file."""
    sections = (_DOCS / "cookbook.md").read_text(encoding="utf-8").split("\n## ")
    return [_recipe(section) for section in sections if _INCLUDED.search(section)]


def _recipe(section: str) -> Recipe:
    (file,) = _INCLUDED.findall(section)
    (diff,) = _blocks(section, "diff")
    (report,) = _blocks(section, "text")
    lines = diff.splitlines(keepends=True)
    return Recipe(
        file=(_DOCS / file).resolve(),
        before="".join(line[1:] for line in lines if line[0] in " -"),
        after="".join(line[1:] for line in lines if line[0] in " +"),
        report=report,
    )


def _blocks(section: str, language: str) -> list[str]:
    return re.findall(_BLOCK.format(language=language), section, re.DOTALL)
