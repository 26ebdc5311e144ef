"""The files that `pgqmodel init` writes."""
