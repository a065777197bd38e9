"""curette finds the few medical images worth annotating."""

__version__ = "0.1.0"
