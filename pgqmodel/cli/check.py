"""`pgqmodel check`: explore a target, and write down what was found."""

from __future__ import annotations

import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

import click

from pgqmodel.cast import MAINTENANCE, PRODUCERS, WORKERS
from pgqmodel.cli.completion import targets
from pgqmodel.cli.keeping import INTERRUPTED, keep_shrinking
from pgqmodel.cli.progress import exploring
from pgqmodel.cli.terminal import painted, terminal_width
from pgqmodel.cli.written import Written, place_for
from pgqmodel.errors import UsageError
from pgqmodel.explore.fleet import Exploration, Fleet, WorldSpec
from pgqmodel.explore.shrinking import Ending
from pgqmodel.phrases import counted, often
from pgqmodel.report import render_text
from pgqmodel.server import named
from pgqmodel.steps import fault_words
from pgqmodel.target import Target, load

__all__ = ["check"]

SECONDS = 30.0
SHRINK_SECONDS = 30.0
_SHRINK_HELP = f"Shorten a finding for at most so long [{SHRINK_SECONDS:g} or --seconds, no limit with --examples]."
_FEW = click.IntRange(1, 4)
_EXIT_CODES = {"held": 0, "broken": 1, "unknown": 3}


_FAULTS_HELP = (
    "What may go wrong: cut (a connection breaks, before or after the answer), crash (a worker dies and is started "
    "again), stall (time moves while somebody holds a job), twin (a second worker starts under a name that still "
    "runs), restart (the server is killed and recovers; an embedded one only). Or none."
)


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
        unknown = sorted(names - {*fault_words(), "none"})
        if unknown or not names or ("none" in names and len(names) > 1):
            self.fail(f"{value!r}; expected a list of {', '.join(fault_words())}, or none", param, ctx)
        return names - {"none"}


@click.command()
@click.argument("target", shell_complete=targets)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help=f"Explore for so long [{SECONDS:g}].")
@click.option("--examples", type=click.IntRange(min=1), help="Explore so many schedules instead.")
@click.option("--shrink-seconds", type=click.FloatRange(min=0), help=_SHRINK_HELP)
@click.option("--seed", type=click.IntRange(min=0), help="The same seed explores the same schedules [random].")
@click.option("--workers", type=click.IntRange(1, 8), default=WORKERS, show_default=True, help="Workers of the queue.")
@click.option("--producers", type=_FEW, default=PRODUCERS, show_default=True, help="Clients that enqueue and cancel.")
@click.option("--maintenance", type=_FEW, default=MAINTENANCE, show_default=True, help="Clients that reclaim.")
@click.option("--faults", type=_Faults(), default=",".join(fault_words()), show_default=True, help=_FAULTS_HELP)
@click.option("--pg", "postgres", default="18", show_default=True, help="18, 16, or the URL of a server.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where a finding is written.")
@click.option("--processes", type=click.IntRange(1, 64), help="Worlds explored side by side [one a core].")
@click.option("--require-exercised", is_flag=True, help="No verdict (3) while a promise was not put to the test.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def check(
    target: str,
    seconds: float | None,
    examples: int | None,
    shrink_seconds: float | None,
    seed: int | None,
    workers: int,
    producers: int,
    maintenance: int,
    faults: frozenset[str],
    postgres: str,
    out: Path | None,
    processes: int | None,
    require_exercised: bool,
    as_json: bool,
) -> int:
    """Explore the interleavings of TARGET: a name, a .toml file, or package.module:object."""
    started = time.monotonic()
    if seconds is not None and examples is not None:
        message = "both --seconds and --examples were given; expected one of them. Leave one out"
        raise UsageError(message)
    if seconds is None and examples is None:
        seconds = SECONDS
    if shrink_seconds is None and seconds is not None:
        shrink_seconds = min(SHRINK_SECONDS, seconds)
    queue = load(target)
    chosen = secrets.randbelow(2**31) if seed is None else seed
    spec = WorldSpec(
        target=target,
        postgres=postgres,
        workers=workers,
        producers=producers,
        maintenance=maintenance,
        faults=faults,
    )
    with Fleet(spec=spec, processes=processes or len(os.sched_getaffinity(0))) as fleet:
        with exploring(queue.name, seconds, examples) as progress:
            deadline = None if seconds is None else started + seconds
            exploration = fleet.explore(seed=chosen, examples=examples, deadline=deadline, progress=progress)
        written = ending = None
        if exploration.finding is not None:
            place = out or place_for(queue.name, exploration.finding.broken.anomaly)
            written = Written(place, named(postgres))
            deadline = None if shrink_seconds is None else time.monotonic() + shrink_seconds
            ending = keep_shrinking(fleet, exploration.finding, chosen, deadline, written)
        _note(fleet, exploration)
        result = _result(queue, chosen, exploration, fleet.postgres)
    result |= _told(written, ending) | {"seconds": round(time.monotonic() - started, 1)}
    if require_exercised and result["not_exercised"] and written is None:
        result["verdict"] = "unknown"
    _say(result, written, ending, as_json=as_json)
    return _EXIT_CODES[result["verdict"]]


def _note(fleet: Fleet, exploration: Exploration) -> None:
    """Say on standard error what the verdict does not cover."""
    if fleet.limits:
        click.echo(f"note: {fleet.limits}", err=True)
    if exploration.ended:
        worlds = counted(exploration.ended, "world")
        click.echo(
            f"note: {worlds} did not end a step when the time was over, and what its last schedules came to is not "
            "known; expected statements that take milliseconds. Look for one that takes seconds, or never ends",
            err=True,
        )


def _result(queue: Target, seed: int, exploration: Exploration, postgres: str) -> dict[str, Any]:
    """The object that `--json` prints, but for what `_told` adds."""
    verdict = "broken" if exploration.finding else "held" if exploration.schedules else "unknown"
    witnessed = {name: exploration.witnessed.get(name, 0) for name in queue.promises}
    return {
        "target": queue.name,
        "verdict": verdict,
        "anomaly": None,
        "promise": None,
        "seed": seed,
        "schedules": exploration.schedules,
        "steps": exploration.steps,
        "seconds": 0.0,
        "shrunk_steps": None,
        "trace": None,
        "witnessed": {name: count for name, count in witnessed.items() if count},
        "not_exercised": [name for name, count in witnessed.items() if not count],
        "postgres": postgres,
        "shrinking": None,
        "replayed": None,
    }


def _told(written: Written | None, ending: Ending | None) -> dict[str, Any]:
    """What the result says of a finding, nothing without one."""
    if written is None or written.trace is None or ending is None:
        return {}
    early = "interrupted" if ending is INTERRUPTED else "stopped early"
    return {
        "anomaly": written.trace.anomaly,
        "promise": written.trace.promise,
        "shrunk_steps": written.trace.shrunk_steps,
        "trace": str(written.path),
        "shrinking": early if ending.early else "complete",
        "replayed": ending.replayed or None,
    }


def _say(result: dict[str, Any], written: Written | None, ending: Ending | None, *, as_json: bool) -> None:
    """The result, for a program or for a person."""
    if as_json:
        click.echo(json.dumps(result))
        return
    left = len(result["not_exercised"])
    schedules, steps = counted(result["schedules"], "schedule"), counted(result["steps"], "step")
    verdict = result["verdict"]
    if written is None and left and result["schedules"]:
        verdict = f"held, but {counted(left, 'promise')} {'was' if left == 1 else 'were'} not exercised"
    click.echo(painted(f"{result['target']}: {verdict} on Postgres {result['postgres']}, seed {result['seed']}"))
    click.echo(f"  explored         {schedules}, {steps}, {result['seconds']} s")
    for name, count in result["witnessed"].items():
        once = ", broken once" if name == result["promise"] else ""
        click.echo(painted(f"  put to the test  {name:<18} {often(count)}{once}"))
    for name in result["not_exercised"]:
        click.echo(painted(f"  not exercised    {name:<18} {'before the finding' if written else ''}".rstrip()))
    if written is not None and written.trace is not None and ending is not None:
        click.echo()
        click.echo(painted(render_text(written.trace, terminal_width())), nl=False)
        if ending.early:
            click.echo(f"\nThis is not the shortest story: shrinking stopped early, because {ending.early}.")
        click.echo(f"\nreport  {click.format_filename(written.report)}\nreplay  {written.replay}")
