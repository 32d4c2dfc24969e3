"""One conversation with a git repository: the commands that reach it, and those that only read what is here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrace.errors import StepFailed
from headrace.model.diagnostic import FailureReason
from headrace.settings import Settings
from headrace.source._address import resolve_option
from headrace.source._command import Bounds, GitCommand, git_command
from headrace.source._confine import Confined
from headrace.source._failures import source_failed, too_large
from headrace.source._process import GitFailed, NoAnswer, TooMuchOutput, run_git
from headrace.source._refs import Advertised, parse_advertised
from headrace.source._remote import Credential, Remote
from headrace.source._said import failure_of
from headrace.source._stop import Stop

_MIB = 1 << 20
#: A host that has not listed its branches by then is not there, whatever the step's limit is.
_FIRST_ANSWER_SECONDS = 15.0
_REFS_BYTES = 64 * _MIB
_FETCH = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
    "--force",
)


@dataclass(frozen=True)
class Session:
    settings: Settings
    remote: Remote
    credential: Credential | None
    #: The addresses of the host that were found fit. Empty for a directory of this machine.
    addresses: Sequence[str]
    stop: Stop
    confined: Confined = field(default_factory=Confined)

    def here(self, repository: Path | None, *arguments: str) -> GitCommand:
        """A command that reaches nothing and knows no secret."""
        return git_command(arguments, bounds=self._bounds, repository=repository, within=self.confined.within)

    def there(self, repository: Path | None, *arguments: str) -> GitCommand:
        """A command that may reach this host, at the addresses that were checked, and no other."""
        return git_command(
            arguments,
            bounds=self._bounds,
            repository=repository,
            protocol="https" if self.remote.host else "file",
            config=self._connection(),
            credential=self.credential,
            ca_file=self.settings.ca_file,
            within=self.confined.within,
        )

    def advertised(self) -> Advertised:
        """The branches and tags that the repository has now."""
        command = self.there(None, "ls-remote", "--quiet", "--symref", "--end-of-options", self.remote.url)
        try:
            return parse_advertised(run_git(command, self.stop, most=_REFS_BYTES, seconds=_FIRST_ANSWER_SECONDS))
        except GitFailed as exc:
            raise self.failure(exc) from exc
        except TooMuchOutput:
            raise too_large("the repository has too many branches and tags") from None
        except NoAnswer:
            raise source_failed(
                FailureReason.SOURCE_TIMEOUT,
                f"the git host did not answer within {_FIRST_ANSWER_SECONDS:g} s",
                hint="check the address, or try again later",
            ) from None

    def fetch(self, repository: Path, how: str, *refspecs: str) -> None:
        """Fetch into a repository that is here. Raises GitFailed."""
        run_git(self.there(repository, *_FETCH, how, "--end-of-options", self.remote.url, *refspecs), self.stop)

    def make_repository(self, path: Path) -> None:
        run_git(self.here(None, "init", "--quiet", "--bare", "--template=", "--end-of-options", str(path)), self.stop)

    @property
    def most_file_bytes(self) -> int:
        """Size at which git is stopped from writing more into one file, which is the pack it receives."""
        return self.settings.upload_bytes + 16 * _MIB

    def failure(self, exc: GitFailed) -> StepFailed:
        return failure_of(exc.text, self.credential)

    def _connection(self) -> list[str]:
        """How the host is reached: by the proxy of an isolated network, else at the addresses that were checked."""
        if self.confined.proxy:
            return [f"http.proxy={self.confined.proxy}"]
        return [f"http.curloptResolve={resolve_option(self.remote, self.addresses)}"] if self.addresses else []

    @property
    def _bounds(self) -> Bounds:
        # git maps packs into memory, so the address space must hold a few of them.
        return Bounds(memory_bytes=2048 * _MIB + 2 * self.most_file_bytes, file_bytes=self.most_file_bytes)
