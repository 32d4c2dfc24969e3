"""Frameworks that are known by a package or a file, in the order in which they are asked: the most special first."""

from headrace.plan.detectors.row import ByRow, Row
from headrace.plan.detectors.table.apps import APPS, BUNDLERS
from headrace.plan.detectors.table.meta import META
from headrace.plan.detectors.table.servers import SERVERS
from headrace.plan.detectors.table.sites import SITES, WORKSHOPS


def _asked(rows: tuple[Row, ...], *, alone: bool = False) -> tuple[ByRow, ...]:
    return tuple(ByRow(row, alone=alone) for row in rows)


#: SvelteKit is also Vite, and projects of Next may have Vite for their tests: these are asked before Vite.
BEFORE_VITE = (*_asked(META), *_asked(SITES, alone=True), *_asked(APPS))

#: What Vite goes before: bundlers of the same pages, and servers that have a page of Vite beside them.
BEHIND_VITE = _asked((*BUNDLERS, *SERVERS))

#: What stands beside nearly everything, and is what there is to show where nothing else is built.
SHOWN_LAST = _asked(WORKSHOPS, alone=True)

ROWS: tuple[Row, ...] = (*META, *SITES, *APPS, *BUNDLERS, *SERVERS, *WORKSHOPS)
