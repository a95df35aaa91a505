"""A live page for exploring one model: type a target and a text, see what the text is worth, and watch a search."""
