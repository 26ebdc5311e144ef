"""`pgqmodel sim`: run a simulation, or all of them, and write their results to files."""

from __future__ import annotations

import json
import secrets
import shlex
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
from attrs import evolve

from pgqmodel.cli import completion
from pgqmodel.cli.live import Live, simulating
from pgqmodel.cli.ranges import Range
from pgqmodel.cli.simulated import INDEX, NEW, PAGE, failed, opened, publish, said_plainly, write_index
from pgqmodel.cli.terminal import painted
from pgqmodel.errors import PgqmodelError, UsageError
from pgqmodel.phrases import meant
from pgqmodel.simulation.growth import growth
from pgqmodel.simulation.installed import simulations
from pgqmodel.simulation.result import Overall, Result
from pgqmodel.simulation.running import RunOptions, run_simulation
from pgqmodel.simulation.simulation import Simulation
from pgqmodel.simulation.summary import render_all, render_summary
from pgqmodel.target import Target, load

__all__ = ["sim"]

_WORST = (Overall.BROKEN, Overall.MISSED, Overall.UNKNOWN, Overall.HELD)


class _Size(click.ParamType[tuple[str, int]]):
    """A size by name, such as `webhooks=500`."""

    name = "name=number"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """The name and the number; a usage error for anything else."""
        if isinstance(value, tuple):
            return value
        name, equals, digits = value.partition("=")
        if not name or not equals or not digits.isascii() or not digits.isdigit() or not 0 < int(digits) <= SIZE_MAX:
            self.fail(f"{value!r}; expected a name and a whole number from 1 to {SIZE_MAX}: webhooks=500", param, ctx)
        return name, int(digits)


SIZE_MAX = 10_000_000


@click.command()
@click.argument("name", required=False, default="", shell_complete=completion.simulations)
@click.option(
    "--target",
    default="reference",
    show_default=True,
    shell_complete=completion.targets,
    help="The queue: a name, a file or an object.",
)
@click.option("--jobs", type=click.IntRange(1, SIZE_MAX), help="How many jobs.  [the plan's]")
@click.option("--workers", type=click.IntRange(1, 200), help="How many workers.  [the plan's]")
@click.option(
    "--seconds", type=click.IntRange(1, 3600), help="How long, where a simulation goes by time.  [the plan's]"
)
@click.option("--size", "others", type=_Size(), multiple=True, help="Any other size, such as webhooks=500.")
@click.option("--scale", type=Range(0.001, 1000), default=1.0, help="All sizes not given, times so much.")
@click.option("--seed", type=click.IntRange(min=0), help="Of what is left to chance: faults, priorities.  [random]")
@click.option("--pg", "postgres", default="18", show_default=True, help="18, 16, or the URL of a server.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where the pages are written.")
@click.option("--list", "listing", is_flag=True, help="List the simulations and their sizes, and run none.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def sim(
    name: str,
    target: str,
    jobs: int | None,
    workers: int | None,
    seconds: int | None,
    others: tuple[tuple[str, int], ...],
    scale: float,
    seed: int | None,
    postgres: str,
    out: Path | None,
    listing: bool,
    as_json: bool,
) -> int:
    """Run the simulation NAME, or `all`, at full speed: real processes, real faults, judged by the promises.

    `--list` says which there are.
    """
    asked: dict[str, int] = {
        key: value
        for key, value in {"jobs": jobs, "workers": workers, "seconds": seconds, **dict(others)}.items()
        if value
    }
    if listing:
        return _list(as_json=as_json)
    chosen = _chosen(name, asked)
    queue = load(target)
    if name != "all":
        chosen[0].suits(queue)
    folder = out or Path("pgqmodel-sims")
    number = secrets.randbelow(2**31) if seed is None else seed
    results: list[Result] = []
    with simulating() as live:
        for simulation in chosen:
            lacking = _lacking(simulation, queue, postgres) if name == "all" else ""
            if lacking:
                click.echo(f"note: {simulation.name} {lacking}: left out", err=True)
                continue
            sizes = {key: value for key, value in asked.items() if key in simulation.sizes}
            with opened(folder, simulation, queue) as place:
                options = RunOptions(
                    history=place / NEW,
                    sizes=sizes,
                    scale=scale,
                    postgres=postgres,
                    seed=number,
                    command=_command(simulation, target, asked, scale, number, postgres),
                )
                results.append(
                    _attempt(simulation, queue, options, live, place, alone=name != "all", first=not results)
                )
            if name == "all":
                write_index(folder, queue, results)
            if not as_json:
                _show(results[-1], place)
    _say(name, results, folder, as_json=as_json)
    worst = min((result.verdict for result in results), key=_WORST.index)
    return next(result.exit_code for result in results if result.verdict is worst)


def _attempt(
    simulation: Simulation, queue: Target, options: RunOptions, live: Live, place: Path, *, alone: bool, first: bool
) -> Result:
    """Run one simulation. Among several, a failure becomes a result, unless the call itself is wrong."""
    began = time.time()
    try:
        return _run(simulation, queue, options, live, place)
    except PgqmodelError as error:
        if alone or (first and isinstance(error, UsageError)):
            raise
        click.echo(f"pgqmodel: {simulation.name}: {error}", err=True)
        return failed(simulation, options, queue, began, error)


def _chosen(name: str, asked: Mapping[str, int]) -> list[Simulation]:
    """The simulations with this name; a usage error if none of them knows a size that was asked for."""
    known = simulations()
    if not name:
        message = f"sim was given no name; expected all, or one of {', '.join(known)}. Name one, or see sim --list"
        raise UsageError(message)
    if name != "all" and name not in known:
        message = (
            f"there is no simulation {name!r}; expected all, or one of {', '.join(known)}. {meant(name, known)}"
            "Check the spelling"
        )
        raise UsageError(message)
    chosen = list(known.values()) if name == "all" else [known[name]]
    sizes = {size: None for simulation in chosen for size in simulation.sizes}
    unknown = [size for size in asked if size not in sizes]
    if unknown:
        message = f"{name} has no size {', '.join(unknown)}; expected some of {', '.join(sizes)}. Leave it out"
        raise UsageError(message)
    return chosen


def _lacking(simulation: Simulation, target: Target, postgres: str) -> str:
    """Why a simulation cannot run on this target and server, when all are run; empty if it can."""
    if not simulation.needs <= target.operations.keys():
        return f"needs operations that {target.name} has not"
    if simulation.frozen and not postgres.isdecimal():
        return "moves the server's clock, and --pg names a server that others run"
    return ""


def _run(simulation: Simulation, target: Target, options: RunOptions, live: Live, place: Path) -> Result:
    """Run one, and write its files."""
    expected = options.sizes.get("jobs", simulation.sizes.get("jobs"))
    show = live.start(simulation.name, expected)
    run = partial(run_simulation, simulation, target, phase=partial(live.phase, simulation.name), count=show)
    with said_plainly(simulation, place):
        if options.scale > 1:
            small = run(evolve(options, scale=1.0, history=None))
        result = run(options)
        if options.scale > 1:
            result = evolve(result, notes=tuple(growth(small, result)))
    publish(place, result)
    live.end(simulation.name, result.verdict.value)
    return result


def _list(*, as_json: bool) -> int:
    """List the simulations."""
    found = simulations().values()
    if as_json:
        records = [{"name": each.name, "says": each.says, "sizes": dict(each.sizes)} for each in found]
        click.echo(json.dumps({"simulations": records}))
        return 0
    for each in found:
        click.echo(f"{each.name}\n    {each.says}\n    {', '.join(f'{name} {n:,}' for name, n in each.sizes.items())}")
    return 0


def _show(result: Result, place: Path) -> None:
    """Show the summary and the path of the page."""
    click.echo(render_summary(result), nl=False)
    if not result.failed and (place / PAGE).exists():
        click.echo(f"page    {place / PAGE}")
    click.echo()


def _command(
    simulation: Simulation, target: str, asked: Mapping[str, int], scale: float, seed: int, postgres: str
) -> str:
    """The command that repeats a run."""
    words = ["pgqmodel", "sim", simulation.name, "--target", target, "--seed", str(seed)]
    for size, value in asked.items():
        if size in simulation.sizes:
            words += (
                [f"--{size}", str(value)] if size in {"jobs", "workers", "seconds"} else ["--size", f"{size}={value}"]
            )
    words += ["--scale", f"{scale:g}"] if scale != 1 else []
    words += ["--pg", "URL" if "://" in postgres or "=" in postgres else postgres] if postgres != "18" else []
    return shlex.join(words)


def _say(name: str, results: list[Result], folder: Path, *, as_json: bool) -> None:
    """Show the results, to a program or to a person."""
    if not results:
        message = f"nothing of {name} suits this target; expected one with the operations that a simulation needs"
        raise UsageError(message)
    records: list[dict[str, Any]] = [result.to_json() for result in results]
    if as_json:
        click.echo(json.dumps(records[0] if name != "all" else {"simulations": records}))
    elif name == "all":
        click.echo(painted(f"{render_all(results)}\nindex   {folder / INDEX}"))
