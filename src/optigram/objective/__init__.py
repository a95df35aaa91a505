"""The objective: what texts are worth to targets, and what it costs to find out."""
