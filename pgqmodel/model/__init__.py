"""An in-memory model of a correct queue, and the judge that holds a history against it. Pure: no I/O, time or chance.

    judge = Judge(promises=target.promises, settings=target.settings)
    for event in history:
        broken = judge.examine(event)

A whole history that was recorded elsewhere: `examine_all(history)`, every promise with its verdict.

`transitions` is the table of a job's life, `step` says what an observed difference means, `promises` has one judgement
a promise, `witness` counts how often each was put to the test.
"""

from __future__ import annotations

from pgqmodel.model.change import Claim
from pgqmodel.model.judge import Judge
from pgqmodel.model.rule import Broken
from pgqmodel.model.state import ModelState
from pgqmodel.model.verdicts import Outcome, Verdict, Verdicts, examine_all

__all__ = ["Broken", "Claim", "Judge", "ModelState", "Outcome", "Verdict", "Verdicts", "examine_all"]
