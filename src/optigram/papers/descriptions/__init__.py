"""The study "does it help?": descriptions from a corpus, from optimized texts and from both, tested on held-out texts."""
