"""`python -m pgqmodel`: the command `pgqmodel`, where its script is not on the path."""

from __future__ import annotations

from pgqmodel.cli import main

if __name__ == "__main__":
    main()
