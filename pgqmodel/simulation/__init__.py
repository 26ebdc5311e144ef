"""Simulations at full speed: real processes, real faults, measurements with thresholds, verdicts by the promises."""
