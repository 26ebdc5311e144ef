"""The judge: compares a history with an in-memory model of a correct queue. Pure: no I/O, time or chance.

    judge = Judge(promises=target.promises, settings=target.settings)
    for event in history:
        broken = judge.examine(event)

`examine_all(history)` judges a whole history from elsewhere, and gives the verdict on every promise.
"""

from __future__ import annotations

from pgqmodel.judge.judge import Judge
from pgqmodel.judge.verdicts import Outcome, Verdict, Verdicts, examine_all

__all__ = ["Judge", "Outcome", "Verdict", "Verdicts", "examine_all"]
