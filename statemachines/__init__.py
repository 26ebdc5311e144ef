"""The catalogue of state machines: one file, one machine, declared against public names. No machinery here."""
