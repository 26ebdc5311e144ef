"""How long `pgqmodel verify` takes, and how much memory, by the length of the history; violations in a long one.

python tests/bench/verifying.py [--events 10000 100000 1000000]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.histories import history
from judge.planting import PLANTS, plant
from pgqmodel.checks.paths import examine
from pgqmodel.history import to_line

PROGRAM = Path(sysconfig.get_path("scripts")) / "pgqmodel"
SIZES = (10_000, 100_000, 1_000_000)


def bench_verify(size: int) -> None:
    """One process judges a right history: seconds by the clock and of CPU, and its memory at the most."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "history.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(map(to_line, history(size)))
        started = time.perf_counter()
        with subprocess.Popen([PROGRAM, "verify", path, "--json"], stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            told = json.loads(program.stdout.read())
            _, _, used = os.wait4(program.pid, 0)
            program.returncode = 0
        seconds, cpu = time.perf_counter() - started, used.ru_utime + used.ru_stime
    each = cpu / told["events"] * 1e6
    print(
        f"verify {told['events']:>9,} events: {told['verdict']}, {seconds:.1f} s ({cpu:.1f} s of CPU, {each:.1f} us an "
        f"event), {used.ru_maxrss / 1024:,.0f} MB, {len(told['not_exercised'])} promises not exercised",
        flush=True,
    )


def bench_planted(size: int) -> None:
    """Every planted violation is found in a history of this length."""
    right = list(history(size))
    for violation in PLANTS:
        verdicts = examine(plant(right, violation))
        found = {verdict.first.anomaly for verdict in verdicts.broken if verdict.first is not None}
        assert violation.anomaly in found, violation.anomaly
        assert found <= {violation.anomaly, *violation.follows}, found
        print(f"found {violation.anomaly} in {verdicts.events:,} events", flush=True)


def main() -> None:
    """Every size; the violations are planted in the longest."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, nargs="+", default=SIZES)
    sizes = parser.parse_args().events
    for size in sizes:
        bench_verify(size)
    bench_planted(max(sizes))


if __name__ == "__main__":
    main()
