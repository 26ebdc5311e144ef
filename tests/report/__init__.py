"""Tests of the reports; the traces they are shown are in `examples`."""
