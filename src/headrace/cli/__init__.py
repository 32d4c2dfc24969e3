"""The command line: one command, one file. Stays empty so that `headrace --help` starts fast."""
