"""Studies: targets x methods x seeds, their records, statistics and evidence."""
