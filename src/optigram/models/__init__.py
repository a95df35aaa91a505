"""Models: one face for every network whose neurons may be asked about."""
