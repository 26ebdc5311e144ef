"""The witness: what was committed, in commit order, read from the write-ahead log and joined with what clients saw."""

from __future__ import annotations

from pgqmodel.witness.merge import Commit, merge
from pgqmodel.witness.slot import Witness
from pgqmodel.witness.transactions import Change, Transaction
from pgqmodel.witness.translate import Translator

__all__ = ["Change", "Commit", "Transaction", "Translator", "Witness", "merge"]
