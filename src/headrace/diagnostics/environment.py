"""Sentences of programs that miss an environment variable, whoever says them."""

import re

_NAME = r"['\"`]?(?P<{0}>[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])['\"`]?"
_SAYS = re.compile(
    r"(?:[Mm]issing|[Rr]equired|[Uu]ndefined|[Uu]nset|[Ii]nvalid)(?: required)? (?:env(?:ironment)?(?: ?variables?| vars?)?|env vars?)(?: named)?:? "
    + _NAME.format("a")
    + r"|[Ee]nv(?:ironment)? var(?:iable)?s? "
    + _NAME.format("b")
    + r" (?:is|was|must|should|has|not|could|does)\b"
    + r"|[Ee]nv(?:ironment)? variables? not (?:found|set|defined): "
    + _NAME.format("c")
    + r"|(?:[Mm]issing|[Uu]ndefined) (?:process\.env\.|import\.meta\.env\.)?"
    + _NAME.format("d")
    + r"|(?:process\.env\.|import\.meta\.env\.|\$)?"
    + _NAME.format("e")
    + r" (?:env(?:ironment)? var(?:iable)? )?(?:(?:is|was) (?:not (?:set|defined|provided|found|configured)|missing|required|undefined|unset|empty)|must be (?:set|defined|provided)|not (?:set|defined|provided|found))"
    + r"|The "
    + _NAME.format("f")
    + r" environment variable is "
)
#: Validators say once that the environment is wrong, then list names.
_LISTS = re.compile(
    r"Invalid environment variables|Environment validation failed|Invalid env\b|EnvInvalidVariables", re.I
)
_LISTED = re.compile(
    r"^\W*(?P<name>[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])['\"]?: |path: \[ ?['\"](?P<path>[A-Z][A-Z0-9_]+)['\"]",
    re.MULTILINE,
)


#: What gives an install the token of a registry.
REGISTRY_ACCESS = (
    "put the token into .npmrc as ${NPM_TOKEN}, set it with `headrace secrets set`, and name it in install_secrets below [build] "
    "in headrace.toml"
)


def missing_variables(text: str) -> list[str]:
    """The names of the variables that `text` says are not set. Empty when it says nothing like it."""
    said = [next(name for name in match.groups() if name) for match in _SAYS.finditer(text)]
    if not said and _LISTS.search(text):
        said = [match["name"] or match["path"] for match in _LISTED.finditer(text)]
    return list(dict.fromkeys(said))[:5]


def variable_hint(names: list[str]) -> str:
    lines = ", ".join(f'{name} = "…"' for name in names)
    return f"set {lines} below [env] in headrace.toml, or in the project's settings"
