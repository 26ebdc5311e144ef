"""Exploring: strategies choose steps, runs are judged, findings are shrunk and replayed, processes share the work.

A strategy (`strategy`) chooses the steps of a story: Hypothesis' machines are one (`pgqmodel.machine`), a schedule that
was recorded (`recorded_schedule`) is another, and every story has a `fair_ending`. `judged` runs one story. `batches`
and `fleet` run many, `shrinking` and `replaying` run one again and again, and `tracing` makes the stored trace.
"""
