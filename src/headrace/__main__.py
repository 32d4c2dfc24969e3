"""`python -m headrace`, and what the launcher and the installed program run."""

from headrace.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
