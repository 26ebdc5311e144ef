"""Starting the processes of programs, and seeing their end."""

from __future__ import annotations

import os
import subprocess

from pgqmodel.world.launching import has_ended


def test_an_end_is_seen_before_anybody_has_waited_for_it() -> None:
    """A process that is dead counts as ended, and one that lives does not, whatever its parent knows."""
    process = subprocess.Popen(["sleep", "60"])
    assert not has_ended(process)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert has_ended(process)
    assert process.returncode == -9
