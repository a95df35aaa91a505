"""Export: scan results in the formats of other tools."""
