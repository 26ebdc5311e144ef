"""pgqmodel finds, shrinks and replays concurrency bugs in job queues that live in Postgres.

The layers, from the bottom: words (``errors``, ``operations``, ``steps``, ``promises``), pure logic (``model``,
``history``, ``schedule``, ``wire``), effects and checks (``server``, ``clock``, ``target``, ``reference``, ``client``,
``checks``), the ``world``, the ``report`` and the ``service``, the ``machine``, and on top the command line. Imports
go downward only.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
