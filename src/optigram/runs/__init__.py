"""Runs: one `find`, `score` or `explain`, from its options to its records."""
