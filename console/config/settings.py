"""What can be configured, with every default. The commented form of this is the packaged ``config.toml``.

Keys in TOML are the field names here without ``_ms``: durations are written ``"15m"`` and held in
milliseconds. Reading files, layers and errors are :mod:`console.config.layers`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from backends.agents.declared import DeclaredAgent, DiscoverPattern
from backends.agents.limits import Limits as AgentLimits
from backends.agents.limits import Stall
from console.config.durations import Duration


def _key(field_name: str) -> str:
    return field_name.removesuffix("_ms")


class Section(Struct, frozen=True, rename=_key):
    """A table of the configuration."""


def _ms(**units: int) -> Duration:
    sizes = {"ms": 1, "seconds": 1000, "minutes": 60_000}
    return Duration(sum(count * sizes[unit] for unit, count in units.items()))


def _at_least(section: Section, least: int, *fields: str) -> None:
    for name in fields:
        if getattr(section, name) < least:
            unit = " ms" if name.endswith("_ms") else ""
            raise ValueError(f"{_key(name)} must be at least {least}{unit}")


class Intervals(Section, frozen=True):
    """How often each source of a host is read."""

    host_ms: Duration = _ms(seconds=1)
    processes_ms: Duration = _ms(seconds=1)
    gpu_ms: Duration = _ms(seconds=1)
    agents_ms: Duration = _ms(seconds=1)
    drift_ms: Duration = _ms(seconds=30)

    def __post_init__(self) -> None:
        _at_least(self, 100, "host_ms", "processes_ms", "gpu_ms", "agents_ms", "drift_ms")


class Watch(Section, frozen=True):
    """The watch process."""

    state_dir: str = ""  # "": see console.paths.state_dir
    socket: str = ""  # "": see console.paths.socket_path
    idle_factor: int = 5  # intervals are this much longer while no console is looking
    intervals: Intervals = Intervals()

    def __post_init__(self) -> None:
        _at_least(self, 1, "idle_factor")


class Console(Section, frozen=True):
    """The terminal console."""

    theme: Literal["dark", "light", "ansi", "colour-blind"] = "dark"
    ascii: Literal["auto"] | bool = "auto"  # auto: when the locale is not UTF-8
    mouse: Literal["auto"] | bool = "auto"  # auto: off over SSH
    read_only: bool = False
    tick_ms: Duration = _ms(ms=250)
    startup_pane: Literal["agents", "queue", "gpu", "drift", "analysis"] = "agents"
    sort: dict[str, str] = {}  # table -> field it was last sorted by; "-field" is descending

    def __post_init__(self) -> None:
        _at_least(self, 100, "tick_ms")


class Queue(Section, frozen=True):
    """Defaults of new work items."""

    lease_ms: Duration = _ms(seconds=60)
    max_attempts: int = 5
    backoff_base_ms: Duration = _ms(seconds=2)
    backoff_cap_ms: Duration = _ms(minutes=10)
    aging_ms: Duration = _ms(minutes=1)  # waiting this long is worth one step of priority

    def __post_init__(self) -> None:
        _at_least(self, 1000, "lease_ms")
        _at_least(self, 1, "max_attempts", "aging_ms")
        if self.backoff_cap_ms < self.backoff_base_ms:
            raise ValueError("backoff_cap must not be below backoff_base")


class Agents(Section, frozen=True):
    """When an agent counts as stalled, and agents that do not register themselves."""

    stalled_warn_ms: Duration = _ms(minutes=15)
    stalled_critical_ms: Duration = _ms(minutes=30)
    ttl_ms: Duration = _ms(seconds=15)  # without a heartbeat for this long an agent is stale
    recognise: bool = True  # show the known kinds of agent programs found in the process table
    declared: tuple[DeclaredAgent, ...] = ()
    discover: tuple[DiscoverPattern, ...] = ()

    def __post_init__(self) -> None:
        _at_least(self, 1000, "stalled_warn_ms", "ttl_ms")
        if self.stalled_critical_ms < self.stalled_warn_ms:
            raise ValueError("stalled_critical must not be below stalled_warn")

    def limits(self) -> AgentLimits:
        """These thresholds as the agents room takes them."""
        return AgentLimits(
            stall=Stall(warn_s=self.stalled_warn_ms / 1000, critical_s=self.stalled_critical_ms / 1000)
        )


class Drift(Section, frozen=True):
    """Where git working trees are looked for."""

    roots: tuple[str, ...] = ("~",)
    max_depth: int = 4
    ignore: tuple[str, ...] = ("node_modules", ".venv", "venv", ".cache", "__pycache__", "target", "dist")

    def __post_init__(self) -> None:
        _at_least(self, 0, "max_depth")


class Gpu(Section, frozen=True):
    """NVIDIA GPUs."""

    enabled: bool = True
    library: str = ""  # "": the system's libnvidia-ml.so.1


class Analysis(Section, frozen=True):
    """Questions to a model. The local analyst needs none of this."""

    enabled: bool = True
    model: str = "claude-opus-5-5"
    base_url: str = ""  # "": the vendor's
    api_key_env: str = "ANTHROPIC_API_KEY"
    budget: int = 32_000  # tokens of the Picture sent with a question

    def __post_init__(self) -> None:
        _at_least(self, 4000, "budget")


class Limits(Section, frozen=True):
    """Percentages from which a value is drawn and reported as a warning, and as critical."""

    warn: float
    critical: float

    def __post_init__(self) -> None:
        if not 0 < self.warn <= self.critical <= 100:
            raise ValueError("0 < warn <= critical <= 100 must hold")


class Thresholds(Section, frozen=True):
    """Of hosts and GPUs."""

    cpu: Limits = Limits(80, 95)
    memory: Limits = Limits(80, 95)
    disk: Limits = Limits(85, 95)
    vram: Limits = Limits(90, 97)


class Config(Section, frozen=True):
    """Everything."""

    watch: Watch = Watch()
    console: Console = Console()
    keys: dict[str, str | tuple[str, ...]] = {}  # command id -> keys; "" unbinds
    queue: Queue = Queue()
    agents: Agents = Agents()
    drift: Drift = Drift()
    gpu: Gpu = Gpu()
    analysis: Analysis = Analysis()
    thresholds: Thresholds = Thresholds()
