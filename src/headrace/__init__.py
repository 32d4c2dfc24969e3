"""Headrace: a change in, a live URL out. This file stays empty so that small processes start fast."""

__version__ = "0.1.0"
