"""`pgqmodel check`: explore a target, and write down what was found."""

from __future__ import annotations

import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

import click

from pgqmodel.cli.completion import targets
from pgqmodel.cli.progress import exploring
from pgqmodel.cli.terminal import painted, terminal_width
from pgqmodel.cli.written import Written, write_finding
from pgqmodel.errors import UsageError
from pgqmodel.machine import FAULTS
from pgqmodel.machine.fleet import Exploration, Fleet, WorldSpec
from pgqmodel.phrases import counted, often
from pgqmodel.report import render_text
from pgqmodel.target import Target, load

__all__ = ["check"]

SECONDS = 30.0
_EXIT_CODES = {"held": 0, "broken": 1, "unknown": 3}


class _Faults(click.ParamType[frozenset[str]]):
    """A comma-separated choice of faults, or `none`."""

    name = "faults"

    def convert(
        self, value: str | frozenset[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[str]:
        """The set of names; a usage error for an unknown one."""
        if isinstance(value, frozenset):
            return value
        names = frozenset(name.strip() for name in value.split(",") if name.strip())
        unknown = sorted(names - {*FAULTS, "none"})
        if unknown or not names or ("none" in names and len(names) > 1):
            self.fail(f"{value!r}; expected a list of {', '.join(FAULTS)}, or none", param, ctx)
        return names - {"none"}


@click.command()
@click.argument("target", shell_complete=targets)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help=f"Explore for so long [{SECONDS:g}].")
@click.option("--examples", type=click.IntRange(min=1), help="Explore so many schedules instead.")
@click.option("--seed", type=click.IntRange(min=0), help="The same seed explores the same schedules [random].")
@click.option("--workers", type=click.IntRange(1, 8), default=3, show_default=True, help="Workers of the queue.")
@click.option("--faults", type=_Faults(), default=",".join(FAULTS), show_default=True, help="Or none.")
@click.option("--pg", "postgres", default="18", show_default=True, help="18, 16, or the URL of a server.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where a finding is written.")
@click.option("--processes", type=click.IntRange(1, 64), help="Worlds explored side by side [one a core].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def check(
    target: str,
    seconds: float | None,
    examples: int | None,
    seed: int | None,
    workers: int,
    faults: frozenset[str],
    postgres: str,
    out: Path | None,
    processes: int | None,
    as_json: bool,
) -> int:
    """Explore the interleavings of TARGET: a name, a .toml file, or package.module:object."""
    if seconds is not None and examples is not None:
        message = "both --seconds and --examples were given; expected one of them. Leave one out"
        raise UsageError(message)
    if seconds is None and examples is None:
        seconds = SECONDS
    queue = load(target)
    chosen = secrets.randbelow(2**31) if seed is None else seed
    spec = WorldSpec(target=target, postgres=postgres, workers=workers, faults=faults)
    started = time.monotonic()
    with Fleet(spec=spec, processes=processes or len(os.sched_getaffinity(0))) as fleet:
        with exploring(queue.name, seconds, examples) as progress:
            exploration = fleet.explore(seed=chosen, examples=examples, seconds=seconds, progress=progress)
        written = None
        if exploration.finding is not None:
            click.echo(f"found {exploration.finding.broken.anomaly}; looking for its shortest story ...", err=True)
            trace = fleet.shrink(exploration.finding, chosen)
            written = write_finding(trace, out or Path("pgqmodel-findings") / f"{queue.name}-{trace.anomaly}")
        if fleet.limits:
            click.echo(f"note: {fleet.limits}", err=True)
        result = _result(queue, chosen, exploration, written, fleet.postgres, time.monotonic() - started)
    _say(result, written, as_json=as_json)
    return _EXIT_CODES[result["verdict"]]


def _result(
    queue: Target, seed: int, exploration: Exploration, written: Written | None, postgres: str, seconds: float
) -> dict[str, Any]:
    """The object that `--json` prints."""
    verdict = "broken" if written else "held" if exploration.schedules else "unknown"
    witnessed = {name: exploration.witnessed.get(name, 0) for name in queue.promises}
    return {
        "target": queue.name,
        "verdict": verdict,
        "anomaly": written.trace.anomaly if written else None,
        "promise": written.trace.promise if written else None,
        "seed": seed,
        "schedules": exploration.schedules,
        "steps": exploration.steps,
        "seconds": round(seconds, 1),
        "shrunk_steps": written.trace.shrunk_steps if written else None,
        "trace": str(written.path) if written else None,
        "witnessed": {name: count for name, count in witnessed.items() if count},
        "not_exercised": [name for name, count in witnessed.items() if not count],
        "postgres": postgres,
    }


def _say(result: dict[str, Any], written: Written | None, *, as_json: bool) -> None:
    """The result, for a program or for a person."""
    if as_json:
        click.echo(json.dumps(result))
        return
    schedules, steps = counted(result["schedules"], "schedule"), counted(result["steps"], "step")
    explored = f"{schedules}, {steps}, {result['seconds']} s"
    said = f"{result['target']}: {result['verdict']} on Postgres {result['postgres']}, seed {result['seed']}"
    click.echo(painted(said))
    click.echo(f"  explored   {explored}")
    for name, count in result["witnessed"].items():
        word = "broken" if name == result["promise"] else "put to the test"
        click.echo(painted(f"  {word:<15} {name:<18} {often(count):>13}"))
    for name in result["not_exercised"]:
        click.echo(painted(f"  not exercised   {name}"))
    if written:
        click.echo()
        click.echo(painted(render_text(written.trace, terminal_width())), nl=False)
        click.echo(f"\nreport  {written.report}\nreplay  pgqmodel replay {written.path}")
