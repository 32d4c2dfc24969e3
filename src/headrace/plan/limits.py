"""What the planner is told about limits."""

from headrace.model.limits import Limits, NetworkPhase
from headrace.model.value import Value

_DEFAULT = Limits()


class PlanLimits(Value):
    """The most that a plan's commands may use: the operator's maximum, already lowered to the project's own settings."""

    install_seconds: float = 1800
    build_seconds: float = 3600
    cpus: float = _DEFAULT.cpus
    memory_bytes: int = _DEFAULT.memory_bytes
    disk_bytes: int = _DEFAULT.disk_bytes
    disk_files: int = _DEFAULT.disk_files
    log_bytes: int = _DEFAULT.log_bytes
    #: The widest network that `headrace.toml` may ask for.
    build_network: NetworkPhase = NetworkPhase.INTERNET

    def of_install(self) -> Limits:
        return self._limits(self.install_seconds)

    def of_build(self) -> Limits:
        return self._limits(self.build_seconds)

    def _limits(self, seconds: float) -> Limits:
        return Limits(
            cpus=self.cpus,
            memory_bytes=self.memory_bytes,
            disk_bytes=self.disk_bytes,
            disk_files=self.disk_files,
            log_bytes=self.log_bytes,
            seconds=seconds,
        )
