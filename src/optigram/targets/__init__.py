"""Targets: addresses, and the numbers of a model that they name."""
