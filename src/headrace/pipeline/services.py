"""The wired parts that flows and entry points work with. `bootstrap` makes it; nothing else names an implementation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from headrace.errors import InvalidInput
from headrace.events.base import EventLog
from headrace.executor.base import Executor
from headrace.journal import Journal
from headrace.layers.layers import Layers
from headrace.pipeline.values import Planned
from headrace.queue.base import Queue
from headrace.records.database import Database
from headrace.reserve import Reserve
from headrace.sealing import Sealer
from headrace.settings import Settings, server_secret
from headrace.source.base import SourceFetcher
from headrace.store.base import Store


@dataclass
class PublicAddress:
    """How the outside reaches sites. The one mutable value: the port is known when the server listens."""

    domain: str = "localhost"
    port: int | None = None
    scheme: str = "http"

    def site(self, label: str) -> str | None:
        """URL of a site by its host label; None when nothing serves."""
        if self.port is None:
            return None
        default = {"http": 80, "https": 443}[self.scheme]
        suffix = "" if self.port == default else f":{self.port}"
        return f"{self.scheme}://{label}.{self.domain}{suffix}/"


@dataclass(frozen=True, kw_only=True)
class Services:
    settings: Settings
    reserve: Reserve
    db: Database
    journal: Journal
    events: EventLog
    store: Store
    #: Installed dependencies, materialised source trees and tool chains: all are layers, each kind with its own root.
    layers: Layers
    trees: Layers
    tools: Layers
    queue: Queue
    sources: Mapping[str, SourceFetcher]
    #: Opens an executor by its name, once.
    executor: Callable[[str], Executor]
    #: Name of this process in leases. Its lock file is held as long as it lives.
    worker: str
    #: Where sites are reached, once a server listens: port behind the domain.
    public: PublicAddress = field(default_factory=PublicAddress)
    #: Plans of trees that were planned lately: planning is pure, so they hold as long as they are remembered.
    planned: dict[tuple[str, ...], Planned] = field(default_factory=dict)
    #: Called in this process with a host label that points elsewhere from now on.
    switched: list[Callable[[str], None]] = field(default_factory=list)
    #: Called when this process begins to stop.
    stopping: list[Callable[[], None]] = field(default_factory=list)

    @cached_property
    def sealer(self) -> Sealer:
        """Seals what nobody may read in the database."""
        return Sealer(server_secret(self.settings))

    @property
    def base_system(self) -> str:
        """What cache keys say of the system in which commands of previews run."""
        return self.executor(self.settings.executor).base_system

    def executor_for(self, asked: str | None) -> Executor:
        """
        The executor of a build. Raises InvalidInput for one that the operator did not choose, unless it isolates as well.
        """
        name = asked or self.settings.executor
        executor = self.executor(name)
        if name != self.settings.executor and not executor.isolated:
            raise InvalidInput(
                f"the executor {name!r} gives no isolation and is not the one this server is set to",
                hint=f"set HEADRACE_EXECUTOR={name} for code that you trust",
                field="/options/executor",
            )
        return executor
