"""A worker that is a program: its command, its surroundings, and the SQL functions that it calls.

How the body of a job ends stands in a sequence: what a sequence says is seen at once, also in a transaction whose
snapshot is older. See `pgqmodel.body`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from attrs import field, frozen

__all__ = ["SCHEMA", "Command", "is_node"]

SCHEMA = """
CREATE SCHEMA pgqmodel;
CREATE SEQUENCE pgqmodel.fate;
CREATE FUNCTION pgqmodel.work(job text, saw text DEFAULT NULL) RETURNS text LANGUAGE sql VOLATILE AS
$$ SELECT CASE last_value WHEN 2 THEN 'fail' ELSE 'done' END FROM pgqmodel.fate $$;
CREATE FUNCTION pgqmodel.work(job bigint, saw text DEFAULT NULL) RETURNS text LANGUAGE sql VOLATILE AS
$$ SELECT pgqmodel.work(job::text, saw) $$;
CREATE FUNCTION pgqmodel.work(job uuid, saw text DEFAULT NULL) RETURNS text LANGUAGE sql VOLATILE AS
$$ SELECT pgqmodel.work(job::text, saw) $$;
GRANT USAGE ON SCHEMA pgqmodel TO PUBLIC;
GRANT SELECT ON pgqmodel.fate TO PUBLIC;
"""


def is_node(words: Sequence[str]) -> bool:
    """Whether these words start Node."""
    return PurePath(words[0]).name in {"node", "nodejs"}


@frozen(kw_only=True)
class Command:
    """How to start a worker program: `words` run in `directory`, with `environment` beside what we give it.

    `count` is the number of workers, `most` how many connections each may have open at once. `preload` are the modules
    of a Python program that are imported once, for all starts, or the packages that Node loads before its life begins.
    """

    words: tuple[str, ...]
    directory: str
    count: int = 2
    environment: Mapping[str, str] = field(factory=dict)
    most: int = 8
    preload: tuple[str, ...] = ()

    @property
    def is_node(self) -> bool:
        """Whether Node runs a script of its own: only then can it be started ahead."""
        return is_node(self.words)

    @property
    def digest(self) -> str:
        """A digest of the command and of those of its words that are files."""
        digest = hashlib.sha256(repr((self.words, sorted(self.environment.items()))).encode())
        for word in self.words:
            file = Path(self.directory) / word
            if file.is_file() and not Path(word).is_absolute():
                digest.update(file.read_bytes())
        return digest.hexdigest()
