"""pgqmodel finds, shrinks and replays concurrency bugs in job queues that live in Postgres.

The layers, from the bottom: words (``errors``, ``operations``, ``steps``, ``promises``), pure logic (``model``,
``history``, ``schedule``, ``wire``, ``clock``), effects and checks (``server``, ``target``, ``queue``, ``checks``),
the ``world`` and the ``report``, the ``machine``, and on top the command line. Imports go downward only.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
