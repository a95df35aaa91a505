"""`python -m optigram` is `optigram`."""

from optigram.cli import main

main()
