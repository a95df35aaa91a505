"""Programs: the command line and the live page."""
