"""Numbers for Prometheus. Facts come from the journal; what is queued and running is asked of the database."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from headrace.model.build import BuildStatus
from headrace.model.event import BuildCompleted, CacheDecision, CommandCompleted, Event, StepCompleted

_STEP_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600)
_REQUEST_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)


class Metrics:
    """One registry for each app, so that two of them in a process don't count for each other."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self._builds = Counter("headrace_builds", "Builds that ended.", ["status", "cached"], registry=r)
        self._failures = Counter("headrace_build_failures", "Failed builds by reason.", ["reason"], registry=r)
        self._build_seconds = Histogram(
            "headrace_build_seconds", "Time of builds.", ["status"], buckets=_STEP_BUCKETS, registry=r
        )
        self._step_seconds = Histogram(
            "headrace_step_seconds", "Time of steps.", ["step", "status", "cached"], buckets=_STEP_BUCKETS, registry=r
        )
        self._decisions = Counter("headrace_cache_decisions", "What the caches answered.", ["cache", "hit"], registry=r)
        self._saved = Counter("headrace_cache_saved_seconds", "Seconds that hits saved.", ["cache"], registry=r)
        self._log_lines = Counter("headrace_log_lines", "Lines that commands printed.", registry=r)
        self._log_bytes = Counter("headrace_log_bytes", "Bytes that commands printed.", registry=r)
        self._queued = Gauge("headrace_builds_queued", "Builds that wait for a worker.", registry=r)
        self._running = Gauge("headrace_builds_running", "Builds that a worker has.", registry=r)
        self._requests = Histogram(
            "headrace_http_request_seconds",
            "API requests; streams count until they end.",
            ["method", "route", "status"],
            buckets=_REQUEST_BUCKETS,
            registry=r,
        )
        ProcessCollector(registry=r)

    def heard(self, event: Event) -> None:
        """A listener of the journal."""
        match event:
            case BuildCompleted():
                self._builds.labels(event.status.value, _word(event.cached)).inc()
                self._build_seconds.labels(event.status.value).observe(event.seconds)
                if event.failure is not None:
                    self._failures.labels(event.failure.reason.value).inc()
            case StepCompleted():
                labels = (event.step.value, event.status.value, _word(event.cached))
                self._step_seconds.labels(*labels).observe(event.seconds)
            case CacheDecision():
                self._decisions.labels(event.cache, _word(event.hit)).inc()
                self._saved.labels(event.cache).inc(event.seconds_saved or 0 if event.hit else 0)
            case CommandCompleted():
                self._log_lines.inc(event.lines)
                self._log_bytes.inc(event.bytes)
            case _:
                pass

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        known = method if method in {"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"} else "other"
        self._requests.labels(known, route, str(status)).observe(seconds)

    def text(self, unfinished: Mapping[BuildStatus, int]) -> bytes:
        self._queued.set(unfinished.get(BuildStatus.QUEUED, 0))
        self._running.set(unfinished.get(BuildStatus.BUILDING, 0))
        return generate_latest(self.registry)


def _word(value: bool) -> str:
    return "true" if value else "false"
