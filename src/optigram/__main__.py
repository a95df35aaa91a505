"""`python -m optigram` is `optigram`."""

from optigram.apps.cli import main

main()
