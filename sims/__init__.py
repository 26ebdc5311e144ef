"""The catalogue of simulations: one file, one simulation, declared against public names, no machinery."""
