"""The witness: what was committed, in commit order, read from the write-ahead log and joined with what clients saw."""
