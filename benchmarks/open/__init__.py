"""The open benchmark: a directory of small models and targets that any tool can search, and the scores of what it found."""
