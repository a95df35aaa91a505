"""Studies: targets x methods x seeds, and the records they leave."""
