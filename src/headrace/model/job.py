"""Who works on what: a lease over a row. A queue only wakes workers."""

from headrace.model.value import Value


class Lease(Value):
    """A worker's right to write to a build, until `fence` rises."""

    build_id: str
    worker: str
    fence: int
