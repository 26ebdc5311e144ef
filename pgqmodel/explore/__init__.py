"""Finding a broken promise, making it short, keeping it: strategies choose, runs are judged, processes share the work.

A strategy (`strategy`) chooses the steps of a story: Hypothesis' machines are one (`pgqmodel.machine`), a schedule that
was recorded (`recorded_schedule`) is another, and every story has a `fair_ending`. `judged` runs one; `batches`,
`fleet`, `shrinking`, `replaying` and `tracing` do so for a purpose.
"""
