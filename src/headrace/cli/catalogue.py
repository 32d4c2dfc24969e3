"""Every command with its line in the overview. Nothing is imported for it: the overview must appear at once."""

#: Groups of the overview, in its order. A command's module has its name.
CATALOGUE: dict[str, dict[str, str]] = {
    "Build": {
        "up": "Build a directory or repository and serve it here; Ctrl-C stops.",
        "build": "Run the whole pipeline in this process, without a server.",
        "preview": "Watch a directory: save, and it is on the page. Also ls, stop, wake, open, link.",
        "plan": "Show what would be run, and why; runs nothing.",
    },
    "Look": {
        "projects": "List projects.",
        "builds": "List builds.",
        "logs": "Print, follow or verify the log of a build.",
    },
    "Act": {
        "sync": "Send changed files and wait until they are served, or have failed.",
        "cancel": "End a build.",
        "secrets": "Set, name and take away a project's secrets.",
        "cache": "List, explain and clean what builds reuse.",
    },
    "Machine": {
        "serve": "Run the server: API, event streams, sites, an embedded worker.",
        "doctor": "Say what this machine has and lacks, with the command that mends it.",
        "version": "Print the version.",
    },
}

NAMES = tuple(name for group in CATALOGUE.values() for name in group)

_HEAD = """\
Headrace: a change in, a live URL out, on your own machine.

Usage: headrace COMMAND [ARGUMENTS]   `headrace COMMAND --help` explains one.
"""

_FOOT = """
Start with:  headrace up examples/react-vite

stdout carries the result, stderr what people read; --json prints data only.
Exit status: 0 ok, 1 the build or change failed, 2 usage, 3 not authenticated, 4 needs input, 5 not found,
6 server unreachable, 70 our fault, 78 a setting is wrong, 124 timed out, 130 interrupted or cancelled,
141 nobody read on.
"""


def overview() -> str:
    """What `headrace --help` prints."""
    lines = [_HEAD]
    for title, commands in CATALOGUE.items():
        lines.append(f"{title}:")
        lines += [f"  {name:<10} {about}" for name, about in commands.items()]
    return "\n".join(lines) + "\n" + _FOOT
