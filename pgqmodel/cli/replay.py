"""`pgqmodel replay`: take the steps of a stored trace again, and say whether the anomaly comes back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click

from pgqmodel.cli.completion import traces
from pgqmodel.cli.report import read_trace
from pgqmodel.explore.fleet import Fleet, WorldSpec
from pgqmodel.explore.replaying import Replayed, ReplayVerdict
from pgqmodel.report.story import tell
from pgqmodel.target import load
from pgqmodel.trace import Trace

__all__ = ["replay"]

_EXIT_CODES = {ReplayVerdict.REPRODUCED: 1, ReplayVerdict.GONE: 0, ReplayVerdict.LEFT: 3}
_WORST_FIRST = (ReplayVerdict.LEFT, ReplayVerdict.REPRODUCED, ReplayVerdict.GONE)
_SAYS = {
    ReplayVerdict.REPRODUCED: "{anomaly} came back{count_of_times}",
    ReplayVerdict.GONE: "{anomaly} is gone: the recorded steps were taken and broke nothing",
    ReplayVerdict.LEFT: "the record could not be followed: {reason}",
}


@click.command()
@click.argument("trace", type=click.Path(path_type=Path), shell_complete=traces)
@click.option("--times", type=click.IntRange(1, 100_000), default=1, show_default=True, help="Replay so often.")
@click.option("--pg", "postgres", help="18, 16, or the URL of a server [the major version recorded].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def replay(trace: Path, times: int, postgres: str | None, as_json: bool) -> int:
    """Take the steps of TRACE (a trace.json) again, on its target as it is now."""
    record = read_trace(trace)
    source = _source(record, trace)
    target = load(source)
    spec = WorldSpec(
        target=source,
        postgres=postgres or record.postgres.split(".")[0],
        workers=len(record.workers),
        producers=record.producers,
        maintenance=record.maintenance,
    )
    with Fleet(spec=spec, processes=1) as fleet:
        replays = [fleet.replay(record) for _ in range(times)]
        version = fleet.postgres
    counts = Counter(replayed.verdict for replayed in replays)
    verdict = next(verdict for verdict in _WORST_FIRST if counts[verdict])
    shown = next(replayed for replayed in replays if replayed.verdict is verdict)
    changed = target.fingerprint != record.fingerprint
    if as_json:
        click.echo(json.dumps(_result(record, verdict, counts, shown, version, changed)))
    else:
        _say(record, verdict, counts, shown, changed)
    return _EXIT_CODES[verdict]


def _source(record: Trace, trace: Path) -> str:
    """The target that a trace names: as it was given then; a file is looked for beside the trace, too."""
    path = Path(record.target)
    if path.suffix == ".toml" and not path.exists():
        beside = [parent / path for parent in trace.resolve().parents if (parent / path).exists()]
        return str(beside[0]) if beside else record.target
    return record.target


def _result(
    record: Trace, verdict: ReplayVerdict, counts: Counter[ReplayVerdict], shown: Replayed, version: str, changed: bool
) -> dict[str, Any]:
    return {
        "target": record.name,
        "verdict": verdict.value,
        "anomaly": record.anomaly,
        "times": counts.total(),
        "reproduced": counts[ReplayVerdict.REPRODUCED],
        "target_changed": changed,
        "differs_at_step": shown.step,
        "recorded": shown.recorded,
        "now": shown.now,
        "reason": shown.reason,
        "names": dict(shown.names),
        "postgres": version,
    }


def _say(record: Trace, verdict: ReplayVerdict, counts: Counter[ReplayVerdict], shown: Replayed, changed: bool) -> None:
    says = _SAYS[verdict].format(
        anomaly=record.anomaly,
        count_of_times=f" {counts[ReplayVerdict.REPRODUCED]} of {counts.total():,} times" if counts.total() > 1 else "",
        reason=shown.reason,
    )
    click.echo(f"{record.name}: {says}")
    if changed:
        click.echo("the target has changed since the trace was recorded")
    for name, value in tell(record, brief=True).names(record, shown.names).items():
        click.echo(f"  {name} was {value} this time")
    if shown.step is not None:
        click.echo(f"at step {shown.step} the history differs from the record:")
        click.echo(f"  recorded  {shown.recorded or 'nothing more'}")
        click.echo(f"  now       {shown.now or 'nothing more'}")
