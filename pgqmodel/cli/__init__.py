"""The command line: a public contract (commands, options, exit codes, JSON).

Exit codes: 0 nothing found, 1 an anomaly found or reproduced, 2 the call or the target is wrong, 3 no verdict. Standard
output carries results; progress and prose go to standard error.
"""

from __future__ import annotations

from pgqmodel.cli.main import main

__all__ = ["main"]
