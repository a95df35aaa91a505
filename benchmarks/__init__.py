"""Benchmarks of optigram: one registry of cases, one file of results, and the tables and plots that the documentation shows."""
