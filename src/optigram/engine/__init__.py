"""Engines: where tasks run. A task leaves one whole file behind, so whatever is killed goes on where it was."""
