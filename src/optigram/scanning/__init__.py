"""Scanning: one pass over a corpus that keeps the best places of very many targets at once."""
