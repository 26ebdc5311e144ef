"""`pgqmodel check`: explore a target, and write its findings to files."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pgqmodel.cast import MAINTENANCE, PRODUCERS, WORKERS
from pgqmodel.cli.completion import targets
from pgqmodel.cli.keeping import INTERRUPTED, keep_shrinking, write_down
from pgqmodel.cli.progress import exploring
from pgqmodel.cli.terminal import painted, terminal_width
from pgqmodel.cli.written import Written, place_for
from pgqmodel.errors import UsageError
from pgqmodel.explore.exploration import Exploration
from pgqmodel.explore.fleet import Fleet, WorldSpec
from pgqmodel.explore.judged import WouldBreak
from pgqmodel.phrases import counted, often
from pgqmodel.report import advise, explain, render_text, understanding_json
from pgqmodel.server import named
from pgqmodel.steps import fault_words
from pgqmodel.target import Target, load

__all__ = ["check"]

SECONDS = 30.0
SHRINK_SECONDS = 30.0
_SHRINK_HELP = f"Shorten findings for at most so long [{SHRINK_SECONDS:g} or --seconds, no limit with --examples]."
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
        """The set of names; a usage error for an unknown name."""
        if isinstance(value, frozenset):
            return value
        names = frozenset(name.strip() for name in value.split(",") if name.strip())
        unknown = sorted(names - {*fault_words(), "none"})
        if unknown or not names or ("none" in names and len(names) > 1):
            self.fail(f"{value!r}; expected a list of {', '.join(fault_words())}, or none", param, ctx)
        return names - {"none"}


_WORKERS_HELP = f"Workers of the queue [{WORKERS}, or what the target says of its programs]."


@click.command()
@click.argument("target", shell_complete=targets)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help=f"Explore for so long [{SECONDS:g}].")
@click.option("--examples", type=click.IntRange(min=1), help="Explore so many schedules instead.")
@click.option("--shrink-seconds", type=click.FloatRange(min=0), help=_SHRINK_HELP)
@click.option("--seed", type=click.IntRange(min=0), help="The same seed explores the same schedules [random].")
@click.option("--workers", type=click.IntRange(1, 8), help=_WORKERS_HELP)
@click.option("--producers", type=_FEW, default=PRODUCERS, show_default=True, help="Clients that enqueue and cancel.")
@click.option("--maintenance", type=_FEW, default=MAINTENANCE, show_default=True, help="Clients that reclaim.")
@click.option("--faults", type=_Faults(), default=",".join(fault_words()), show_default=True, help=_FAULTS_HELP)
@click.option("--pg", "postgres", default="18", show_default=True, help="18, 16, or the URL of a server.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where a finding is written.")
@click.option("--processes", type=click.IntRange(1, 64), help="Worlds explored side by side [one a core].")
@click.option("--first", is_flag=True, help="Stop at the first finding, instead of going on until the time is over.")
@click.option("--require-exercised", is_flag=True, help="No verdict (3) while a promise was not put to the test.")
@click.option("--dry-run", is_flag=True, help="Run each operation once, alone, and say what was understood.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def check(
    begun: float,
    target: str,
    seconds: float | None,
    examples: int | None,
    shrink_seconds: float | None,
    seed: int | None,
    workers: int | None,
    producers: int,
    maintenance: int,
    faults: frozenset[str],
    postgres: str,
    out: Path | None,
    processes: int | None,
    first: bool,
    require_exercised: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Explore the interleavings of TARGET: a name, a .toml file, or package.module:object."""
    if seconds is not None and examples is not None:
        message = "both --seconds and --examples were given; expected one of them. Leave one out"
        raise UsageError(message)
    if seconds is None and examples is None:
        seconds = SECONDS
    if shrink_seconds is None and seconds is not None:
        shrink_seconds = min(SHRINK_SECONDS, seconds)
    queue = load(target)
    target = queue.source  # of a library's newest version, which may soon be another one
    if dry_run:
        return _try_out(WorldSpec(target=target, postgres=postgres), queue, as_json=as_json)
    chosen = secrets.randbelow(2**31) if seed is None else seed
    spec = WorldSpec(
        target=target,
        postgres=postgres,
        workers=workers or queue.workers,
        producers=producers,
        maintenance=maintenance,
        faults=faults,
    )
    with Fleet(spec=spec, processes=processes or len(os.sched_getaffinity(0))) as fleet:
        deadline = None if seconds is None else begun + seconds
        with exploring(queue.name, seconds, examples) as progress:
            exploration, is_whole = _explored(
                fleet, seed=chosen, examples=examples, deadline=deadline, first=first, progress=progress
            )
        server = named(postgres)
        found, place = exploration.found, lambda anomaly: Written(out or place_for(queue.name, anomaly), server)
        kept = keep_shrinking(fleet, found, chosen, shrink_seconds, place) if is_whole else write_down(found, place)
        _note(fleet, exploration)
        result = _result(queue, chosen, exploration, fleet)
    result |= _told(kept) | {"seconds": round(time.monotonic() - begun, 1), "findings": [_finding(w) for w in kept]}
    if require_exercised and result["not_exercised"] and not kept:
        result["verdict"] = "unknown"
    if as_json:
        click.echo(json.dumps(result))
    else:
        _say(result, kept, exploration.broken)
    return _EXIT_CODES[result["verdict"]]


def _try_out(spec: WorldSpec, queue: Target, *, as_json: bool) -> int:
    """Run each operation once, and say what was understood; nothing is explored."""
    if queue.command is not None:
        message = (
            f"{spec.target}: found a worker that is a program, and --dry-run; expected operations of SQL, which can be "
            "run one by one. Run `pgqmodel check` without --dry-run"
        )
        raise UsageError(message)
    with Fleet(spec=spec, processes=1) as fleet:
        understood, postgres, could = fleet.dry_run(), fleet.postgres, fleet.could_declare
        if fleet.limits:
            click.echo(f"note: {fleet.limits}", err=True)
    if as_json:
        told = understanding_json(understood)
        record = {"target": queue.name, "postgres": postgres, "could_declare": could, "dry_run": told}
        click.echo(json.dumps(record))
        return 0
    click.echo(painted(f"{queue.name}: each operation was run once, alone, on Postgres {postgres}\n"))
    for line in (*explain(understood), *(f"  {line}" for line in advise(could, ()))):
        click.echo(painted(line))
    return 0


def _explored(fleet: Fleet, **bounds: Any) -> tuple[Exploration, bool]:
    """The exploration, and whether it was not interrupted; an interrupt without a finding ends the run."""
    try:
        return fleet.explore(**bounds), True
    except (KeyboardInterrupt, SystemExit):
        exploration = fleet.explored(first=bounds["first"])
        if not exploration.found:
            raise
        return exploration, False


def _note(fleet: Fleet, exploration: Exploration) -> None:
    """Tell on standard error the limits of the verdict."""
    if fleet.limits:
        click.echo(f"note: {fleet.limits}", err=True)
    if exploration.ended:
        worlds = counted(exploration.ended, "world")
        click.echo(
            f"note: {worlds} did not end a step when the time was over, and what its last schedules came to is not "
            "known; expected statements that take milliseconds. Look for one that takes seconds, or never ends",
            err=True,
        )


def _result(queue: Target, seed: int, exploration: Exploration, fleet: Fleet) -> dict[str, Any]:
    """The object that `--json` prints, without the part of `_told`."""
    verdict = "broken" if exploration.found else "held" if exploration.schedules else "unknown"
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
        "postgres": fleet.postgres,
        "shrinking": None,
        "findings": [],
        "could_declare": list(fleet.could_declare),
        "undeclared_would_break": list(map(_would_break, exploration.would_break)),
    }


def _told(kept: Sequence[Written]) -> dict[str, Any]:
    """The part of the result about the first finding and about the shrinking of all; empty without a finding."""
    if not kept:
        return {}
    endings = [written.ending for written in kept]
    stopped = "interrupted" if INTERRUPTED in endings else "stopped early"
    early = any(ending is None or ending.early for ending in endings)
    first = _finding(kept[0])
    return {key: first[key] for key in ("anomaly", "promise", "shrunk_steps", "trace")} | {
        "shrinking": stopped if early else "complete"
    }


def _finding(written: Written) -> dict[str, Any]:
    """The object for one finding in `--json`; without an operation if the promise broke because nothing happened."""
    return {
        "promise": written.found.promise,
        "anomaly": written.found.anomaly,
        "operation": ", ".join(written.found.operations) or None,
        "shrunk_steps": written.found.shrunk_steps,
        "trace": str(written.path),
        "replayed": written.replayed,
    }


def _would_break(found: WouldBreak) -> dict[str, Any]:
    """What `--json` says of a promise that is not declared and was seen broken."""
    operation = ", ".join(found.operations) or None
    return {"promise": found.promise, "anomaly": found.anomaly, "operation": operation, "steps": found.steps}


def _say(result: dict[str, Any], kept: Sequence[Written], broken: Mapping[str, int]) -> None:
    """The result for a person: the exploration, the story of the first finding, and the paths of the others."""
    left = len(result["not_exercised"])
    schedules, steps = counted(result["schedules"], "schedule"), counted(result["steps"], "step")
    verdict = result["verdict"]
    if not kept and left and result["schedules"]:
        verdict = f"held, but {counted(left, 'promise')} {'was' if left == 1 else 'were'} not exercised"
    click.echo(painted(f"{result['target']}: {verdict} on Postgres {result['postgres']}, seed {result['seed']}"))
    click.echo(f"  explored         {schedules}, {steps}, {result['seconds']} s")
    for name, count in result["witnessed"].items():
        times = f", broken {often(broken[name])}" if broken.get(name) else ""
        click.echo(painted(f"  put to the test  {name:<18} {often(count)}{times}"))
    for name in result["not_exercised"]:
        click.echo(painted(f"  not exercised    {name:<18} {'before the finding' if kept else ''}".rstrip()))
    for written in kept[:1]:
        click.echo()
        click.echo(painted(render_text(written.found, terminal_width())), nl=False)
        if written.ending is not None and written.ending.early:
            click.echo(f"\nThis is not the shortest story: shrinking stopped early, because {written.ending.early}.")
        click.echo(f"\nreport  {click.format_filename(written.report)}\nreplay  {written.replay}")
    if len(kept) > 1:
        click.echo("\nalso broken, each with a report of its own:")
    for written in kept[1:]:
        by = f" by {' and '.join(written.found.operations)}" if written.found.operations else ""
        size = counted(written.found.shrunk_steps, "step")
        click.echo(painted(f"  {written.found.anomaly}{by}, {size}: {click.format_filename(written.report)}"))
    lines = list(advise(result["could_declare"], result["undeclared_would_break"]))
    for line in ["", *lines] if lines else []:
        click.echo(painted(line))
