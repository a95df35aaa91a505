"""Text: vocabularies, templates, allowed words, and readers of corpora."""
