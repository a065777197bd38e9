"""The command line. `app` holds the commands; the other files are what they print and where they get it."""

from curette.cli.app import app, main

__all__ = ["app", "main"]
