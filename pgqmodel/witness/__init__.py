"""The witness: it reads the commits in their order from the write-ahead log and joins them with the clients' histories.

Only the pure half is exported here, so that it can be used without Postgres' driver; `pgqmodel.witness.slot` has the
`Witness`, `pgqmodel.witness.translate` the `Translator`.
"""

from __future__ import annotations

from pgqmodel.witness.merge import Commit, merge

__all__ = ["Commit", "merge"]
