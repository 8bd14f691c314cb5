"""The program on a monitored host."""

__version__ = "0.1.0"
