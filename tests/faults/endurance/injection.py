"""Faults as plugins: a function that injects one into a rig, under the number that docs/endurance.md explains."""

import importlib
import pkgutil
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from endurance import faults
from endurance.invariants import check_all
from endurance.power import Disk
from endurance.rig import Rig, new_rig


@dataclass(frozen=True)
class Fault:
    number: str
    #: What happens, in words.
    name: str
    inject: Callable[[Rig], None]
    #: Executors with which it means something.
    executors: tuple[str, ...] = ("oci", "process")
    #: How often it is picked beside the others.
    weight: int = 1
    #: Needs a rig of its own, which the fault makes: a small disk, two servers, another clock.
    own_rig: bool = False
    #: The disk of the rig's data directory; with it, the rig is the fault's own.
    disk: Disk | None = None
    #: Takes more of the machine than a short run may.
    long: bool = False


FAULTS: list[Fault] = []


def fault(number: str, name: str, **options: object) -> Callable[[Callable[[Rig], None]], Callable[[Rig], None]]:
    """Make a function a fault."""

    def register(inject: Callable[[Rig], None]) -> Callable[[Rig], None]:
        FAULTS.append(Fault(number, name, inject, **options))  # type: ignore[arg-type]
        return inject

    return register


def load() -> list[Fault]:
    for module in pkgutil.iter_modules(faults.__path__):
        importlib.import_module(f"{faults.__name__}.{module.name}")
    return FAULTS


class Outcome(NamedTuple):
    injected: int
    #: What went wrong, in words.
    failed: list[str]


class Campaign:
    """
    Injections 0, 1, 2, … of a seed. What an injection does follows from the seed and its number alone, so that one that
    failed can be done again by itself.
    """

    def __init__(self, seed: str, *, only: Collection[str] = (), long: bool = False) -> None:
        self.seed = seed
        self._faults = [one for one in load() if (one.number in only) or (not only and (long or not one.long))]
        self._long = long
        self._rigs: dict[str, Rig] = {}
        self._open = ExitStack()

    def choice(self, number: int) -> tuple[Fault, str, random.Random]:
        chance = random.Random(f"{self.seed}:{number}")
        chosen = chance.choices(self._faults, [one.weight for one in self._faults])[0]
        return chosen, chance.choice(chosen.executors), chance

    def inject(self, number: int) -> None:
        """Do one injection and check what must hold. Raises AssertionError with the invariant."""
        chosen, executor, chance = self.choice(number)
        with self._rig(chosen, executor, chance) as rig:
            rig.random, rig.promised = chance, []
            chosen.inject(rig)
            check_all(rig)

    @contextmanager
    def _rig(self, chosen: Fault, executor: str, chance: random.Random) -> Iterator[Rig]:
        """Most share a rig, as faults of one machine would; a rig in which something failed is not used again."""
        if chosen.own_rig or chosen.disk:
            with new_rig(chance, executor, long=self._long, disk=chosen.disk) as rig:
                yield rig
            return
        if executor not in self._rigs:
            self._rigs[executor] = self._open.enter_context(new_rig(chance, executor, long=self._long))
        try:
            yield self._rigs[executor]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._rigs.clear()
        self._open.close()


def run(campaign: Campaign, numbers: Iterable[int], say: Callable[[str], None], *, until: float) -> Outcome:
    """Inject until the numbers or the time (of `time.monotonic`) are over."""
    injected, failed = 0, list[str]()
    for number in numbers:
        if time.monotonic() > until:
            break
        began = time.monotonic()
        chosen, executor, _ = campaign.choice(number)
        name = f"{number}: {chosen.number} {chosen.name} ({executor})"
        injected += 1
        try:
            campaign.inject(number)
        except Exception as exc:
            again = f"again: scripts/soak faults --seed {campaign.seed} --from {number} --count 1"
            failed.append(f"{name}: {type(exc).__name__}: {exc}\n  {again}")
            say(f"✗ {failed[-1]}")
        else:
            say(f"✓ {name} {time.monotonic() - began:.1f} s")
    return Outcome(injected, failed)
