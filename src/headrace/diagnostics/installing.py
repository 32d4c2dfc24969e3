"""The commands of the project's own package manager, for hints that can be run as they stand."""

import re

from headrace.diagnostics.manifest_lines import project_file
from headrace.diagnostics.places import Places

_LOCKS = (
    ("pnpm-lock.yaml", "pnpm"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    ("yarn.lock", "yarn"),
    ("package-lock.json", "npm"),
)
_MANAGERS = frozenset({"npm", "pnpm", "yarn", "bun", "bunx", "npx"})
_PACKAGE = re.compile(r"(@[\w.-]+/[\w.-]+|[\w-][\w.-]*)(/.*)?")

#: Packages whose name is not the one that is imported or called.
_PROVIDERS = {
    "tsc": "typescript",
    "ng": "@angular/cli",
    "vue-cli-service": "@vue/cli-service",
    "webpack": "webpack webpack-cli",
    "remix": "@remix-run/dev",
    "react-router": "@react-router/dev",
    "tailwindcss": "@tailwindcss/cli",
    "docusaurus": "@docusaurus/core",
    "postcss": "postcss-cli",
    "svelte-kit": "@sveltejs/kit",
    "eleventy": "@11ty/eleventy",
    "run-p": "npm-run-all",
    "run-s": "npm-run-all",
    "sb": "storybook",
    "nx": "nx",
}


def manager(places: Places) -> str:
    """The package manager that the project's lock file says; npm without one."""
    return next((name for lock, name in _LOCKS if project_file(places, lock)), "npm")


def add_command(package: str, places: Places, *, development: bool = False) -> str:
    """`pnpm add -D dayjs`, or what it is with the project's manager."""
    name = manager(places)
    flag = " -D" if development else ""
    return f"{name} {'install' if name == 'npm' else 'add'}{flag} {package}"


def package_of(module: str) -> str:
    """The package of an import: `@scope/name/deep` is of `@scope/name`."""
    match = _PACKAGE.fullmatch(module)
    return (match[1] if match else module)[:100]


def provider(program: str) -> str:
    """The package that brings a program."""
    return _PROVIDERS.get(program, program)


def missing_program_hint(name: str, places: Places) -> str:
    """What to do when a script calls a program that is not there."""
    if name in _MANAGERS:
        return (
            f"the script calls {name}, which this build does not have: name it in packageManager, or call the programs"
        )
    command = add_command(provider(name), places, development=True)
    return f"add its package and commit the lock file: `{command}`; or correct the name of the program in the script"
