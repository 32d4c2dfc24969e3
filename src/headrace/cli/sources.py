"""What the argument SOURCE of a command means: a directory here, or a git repository somewhere."""

import re
from pathlib import Path

from headrace.errors import InvalidInput
from headrace.model.version import DirectorySource, GitSource

#: `user@host:path`, the short form of an ssh address.
_SCP_FORM = re.compile(r"[\w.-]+@[\w.-]+:(?!//).+")


def source_of(text: str, ref: str | None = None) -> DirectorySource | GitSource:
    """The source that `text` names. Raises InvalidInput for a directory that isn't there, and for a ref of a directory."""
    if "://" in text or _SCP_FORM.fullmatch(text):
        return GitSource(url=text, ref=ref)
    path = Path(text).expanduser()
    if not path.is_dir():
        what = "is not a directory" if path.exists() else "does not exist"
        raise InvalidInput(f"{text} {what}", hint="give a directory, or the URL of a git repository")
    if ref is not None:
        raise InvalidInput("--ref goes with the URL of a git repository; a directory is built as it is")
    return DirectorySource(path=str(path.resolve()))
