"""The one way out of an isolated network: what may be reached, by whom it was asked for, and what it came to."""
