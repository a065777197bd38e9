"""``python -m curette`` is the command ``curette``."""

from curette.cli import main

main()
