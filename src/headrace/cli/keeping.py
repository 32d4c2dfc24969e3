"""The loop of `headrace preview`: something is saved, it is sent, and how it came out is said."""

import contextlib
import time
from collections.abc import Callable
from typing import NoReturn

from headrace.cli.client import Client
from headrace.cli.exit_status import OUR_FAULT
from headrace.cli.local_files import LocalFiles
from headrace.cli.output import note
from headrace.cli.preview_events import Follower
from headrace.cli.preview_words import Words
from headrace.cli.sender import MOST_WAIT_SECONDS, Sender, settled
from headrace.cli.watcher import Watcher
from headrace.errors import (
    Conflict,
    HeadraceError,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    ServerUnreachable,
)

#: What a first build may take: the dependencies of a large project are installed in it.
_FIRST_SECONDS = 900
_RECONNECT_PAUSE = 0.3
#: After an error that may pass.
_PAUSE = 2.0

#: Trying again can't help: these end the command.
_FATAL = (NotFound, NotAuthenticated, NotAllowed)


class Keeper:
    """Keeps a project in step with a directory, until Ctrl-C."""

    def __init__(
        self,
        *,
        local: LocalFiles,
        watcher: Watcher,
        sender: Sender,
        words: Words,
        find_server: Callable[[], Client | None],
        project: str,
    ) -> None:
        self._local = local
        self._watcher = watcher
        self._sender = sender
        self._follower = Follower(project, words, self.others)
        self._words = words
        self._find_server = find_server
        self._project = project
        self._met = False
        self._shown = False
        self._polls = False
        #: What was said last of an error; it is said once, however often it is tried again.
        self._trouble = ""

    def run(self, *, on_saved: Callable[[], None], on_first: Callable[[], None]) -> NoReturn:
        """`on_saved` is called before each burst is sent, `on_first` when the first state was shown."""
        touched: set[str] | None = None
        self._follower.follow(self._sender.client)
        while True:
            try:
                if not self._look(touched):
                    touched = None
                    continue
                on_saved()
                self._in_step()
                self._trouble = ""
                if not self._shown:
                    self._shown = True
                    on_first()
                touched = self._watcher.wait()
            except ServerUnreachable as exc:
                self._reconnect(exc)
                touched = None
            except _FATAL:
                raise
            except HeadraceError as exc:
                touched = self._after(exc)

    def _look(self, touched: set[str] | None) -> bool:
        """False when it has to be looked at everything once more: what happened before the watch stood is not known."""
        began = time.monotonic()
        try:
            if touched is None:
                self._local.scan()
            else:
                self._local.look(touched)
        except OSError as exc:
            if not self._local.root.is_dir():
                raise NotFound(
                    f"{self._local.root} is gone", hint="start `headrace preview` again where it is now"
                ) from exc
            raise InvalidInput(f"{exc.filename or self._local.root} can't be read: {exc.strerror}") from exc
        anew = self._watcher.watch(self._local.directories)
        if self._watcher.polls:
            # Looking shall not take more than a tenth of a processor.
            self._watcher.poll_seconds = max(0.3, 10 * (time.monotonic() - began))
            if not self._polls:
                self._polls = True
                note(f"! Nobody tells of changes here ({self._watcher.polls}): looking again and again instead")
        return not anew

    def _in_step(self) -> None:
        if not self._met:
            self._sender.meet()
            self._met = True
        self._follower.sending()
        try:
            if self._sender.send(seconds=MOST_WAIT_SECONDS) or self._shown:
                return
            began = time.monotonic()
            if self._sender.version is None:
                self._words.remark("there is no file yet; the first one that is saved makes the page")
                return
            state = settled(self._sender.client, self._project, self._sender.version, _FIRST_SECONDS)
            self._sender.made.add(self._sender.version)
            self._words.state(state, time.monotonic() - began)
        finally:
            self._follower.sent(self._sender.made)

    def others(self) -> None:
        """Somebody else made a version. May be called from any thread."""
        self._met = False
        self._watcher.wake()

    def _after(self, exc: HeadraceError) -> set[str] | None:
        """Say what went wrong; None to try everything again, otherwise what was saved next."""
        if exc.exact_code == "version.unknown":
            # The server was put back to an earlier state.
            self._sender.forget()
            self._met = False
            return None
        text = f"{exc.message} [{exc.exact_code}]" + (f"\n  → {exc.hint}" if exc.hint else "")
        if text != self._trouble:
            self._trouble = text
            self._words.remark(text, code=exc.exact_code)
        if exc.retryable or isinstance(exc, Conflict) or exc.exit_status == OUR_FAULT:
            time.sleep(_PAUSE)
            return None
        return self._watcher.wait()

    def _reconnect(self, exc: ServerUnreachable) -> None:
        """Wait for a server as long as it takes; a restart is no reason to stop."""
        self._words.remark(f"{exc.message}; waiting for it", code=exc.exact_code)
        while True:
            time.sleep(_RECONNECT_PAUSE)
            with contextlib.suppress(ServerUnreachable, NotAuthenticated):
                client = self._find_server()
                if client is not None and client.ready():
                    break
        self._sender.client = client
        self._follower.follow(client)
        self._met = False
        self._words.remark("the server is back")
