"""The witness: what was committed, in commit order, read from the write-ahead log and joined with what clients saw.

Only the pure half is exported here, so that it can be used without Postgres' driver; `pgqmodel.witness.slot` has the
`Witness`, `pgqmodel.witness.translate` the `Translator`.
"""

from __future__ import annotations

from pgqmodel.witness.merge import Commit, merge

__all__ = ["Commit", "merge"]
