"""What every probe takes, fills and answers: a check, the trace of its run, and the outcome that is made of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import msgspec

from wedsync_agent.checks import CheckConfig, ExpectedResponse
from wedsync_agent.guard import Network
from wedsync_agent.probes.redaction import Vault

Status = Literal["success", "failure", "timeout", "error"]
# What went wrong, for programs.
Problem = Literal[
    "configuration",  # the check itself cannot be run as it is written
    "forbidden",  # the guard does not let it out
    "impossible",  # this machine cannot do it
    "resolve",  # the name has no address
    "connect",  # no connection, or it was cut
    "timeout",  # the answer was not whole in time
    "tls",  # the certificate or the handshake is not acceptable
    "protocol",  # what came is not the protocol, or only the beginning of an answer
    "expectation",  # the answer is not the expected one
    "slow",  # as expected, but later than expected
    "expiring",  # as expected, but a certificate ends soon
]
# `failure`: the target answered, and not as it should. `error`: no answer could be had.
STATUSES: Mapping[Problem, Status] = {
    "configuration": "error",
    "forbidden": "error",
    "impossible": "error",
    "resolve": "error",
    "connect": "error",
    "timeout": "timeout",
    "tls": "failure",
    "protocol": "failure",
    "expectation": "failure",
    "slow": "failure",
    "expiring": "failure",
}
# These say nothing about the target.
OURS: frozenset[Problem] = frozenset({"configuration", "forbidden", "impossible"})

# The fields of Timing.
Phase = Literal["dns_lookup_ms", "connection_ms", "tls_handshake_ms", "first_byte_ms", "download_ms"]
Resolve = Callable[[str], Awaitable[Sequence[str]]]


class Trouble(Exception):
    """Ends a probe: the problem, and a sentence that says what it is."""

    def __init__(self, problem: Problem, sentence: str):
        super().__init__(sentence)
        self.problem, self.sentence = problem, sentence


@dataclass(frozen=True, slots=True)
class Check:
    """What is to be probed: `kind` is a key of PROBES, `config` and `expected` are the table's JSON columns."""

    kind: str
    url: str = ""
    host: str = ""
    port: int | None = None
    config: CheckConfig = field(default_factory=CheckConfig)
    expected: ExpectedResponse = field(default_factory=ExpectedResponse)
    timeout_seconds: float = 10.0
    # Whatever the caller knows it by. Sign-ins are used again by checks of the same key.
    key: str = ""

    @classmethod
    def read(cls, config: Mapping[str, Any], expected: Mapping[str, Any] | None = None, **columns: Any) -> Check:
        """A check from its stored JSON. Raises ValueError that names the field which does not fit."""
        said = msgspec.convert(config, CheckConfig), msgspec.convert(expected or {}, ExpectedResponse)
        return cls(config=said[0], expected=said[1], **columns)


@dataclass(frozen=True, slots=True)
class Timing:
    """The phases of a run, which add up to its total. Over several connections each is the sum."""

    dns_lookup_ms: float = 0.0
    connection_ms: float = 0.0
    tls_handshake_ms: float = 0.0
    first_byte_ms: float = 0.0
    download_ms: float = 0.0

    @property
    def total_ms(self) -> float:
        return self.dns_lookup_ms + self.connection_ms + self.tls_handshake_ms + self.first_byte_ms + self.download_ms


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run saw. Secrets are hidden, and no text holds what PostgreSQL refuses."""

    status: Status
    at: datetime
    timing: Timing
    problem: Problem | None = None
    error_message: str | None = None
    status_code: int | None = None
    response_size_bytes: int | None = None
    response_headers: Mapping[str, str] | None = None
    response_body_sample: str | None = None
    certificate_info: Mapping[str, Any] | None = None
    dns_info: Mapping[str, Any] | None = None
    network_info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def says_nothing_about_the_target(self) -> bool:
        return self.problem in OURS

    @property
    def response_time_ms(self) -> int:
        return round(self.timing.total_ms)

    @property
    def network_timing(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in asdict(self.timing).items()}

    def columns(self) -> dict[str, Any]:
        """The columns of synthetic_check_results that a probe knows. `network_info` has the timing and the problem."""
        return {
            "check_timestamp": self.at,
            "status": self.status,
            "response_time_ms": self.response_time_ms,
            "status_code": self.status_code,
            "response_size_bytes": self.response_size_bytes,
            "error_message": self.error_message,
            "response_headers": self.response_headers,
            "response_body_sample": self.response_body_sample,
            "certificate_info": self.certificate_info,
            "dns_info": self.dns_info,
            "network_info": {**self.network_timing, "problem": self.problem, **self.network_info},
        }


class Stopwatch:
    """Gives every moment of a run to exactly one phase."""

    __slots__ = ("_clock", "_since", "phase", "spent")

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self.spent: dict[Phase, float] = {}
        self.phase: Phase = "dns_lookup_ms"
        self._since: float | None = clock()

    def enter(self, phase: Phase) -> None:
        now = self._clock()
        if self._since is not None:
            self.spent[self.phase] = self.spent.get(self.phase, 0.0) + (now - self._since) * 1000
        self.phase, self._since = phase, now

    def pause(self) -> None:
        """The target is not waited for any more; what is done with its answer is nobody's phase."""
        self.enter(self.phase)
        self._since = None

    def settle(self, phase: Phase, milliseconds: float) -> None:
        """Say how long the phase took, and pause: for what is measured otherwise than from beginning to end."""
        self.spent[phase] = milliseconds
        self._since = None

    def so_far(self) -> Timing:
        if self._since is not None:
            self.enter(self.phase)
        return Timing(**self.spent)


@dataclass
class Session:
    """What a sign-in gave: variables, cookies by host, and what is hidden of it; usable until `ends` on the clock."""

    variables: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)
    hidden: Sequence[str] = ()
    ends: float = 0.0


@dataclass(frozen=True)
class Surroundings:
    """What a run is given from outside.

    secrets: by the name that checks refer to. allowed_networks: private ranges that the operator opened.
    resolve: a name's addresses, awaited; the system's resolver where None. sessions: where sign-ins are kept between
    runs; share one mapping between runs that may use each other's. clock: seconds that never go back.
    """

    secrets: Mapping[str, str] = field(default_factory=dict)
    allowed_networks: Sequence[Network] = ()
    resolve: Resolve | None = None
    sessions: MutableMapping[str, Session] = field(default_factory=dict)
    clock: Callable[[], float] = time.perf_counter
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Trace:
    """What a run has seen so far: probes fill it while they work, so that whatever ends them loses nothing."""

    __slots__ = (
        "at", "body_sample", "certificate", "dns", "headers", "network", "size_bytes", "status_code", "vault", "watch",
        "where",
    )  # fmt: skip

    def __init__(self, around: Surroundings):
        self.at = around.now()
        self.watch = Stopwatch(around.clock)
        self.vault = Vault(around.secrets)
        self.where = ""  # said before what went wrong: the step that it was in
        self.status_code: int | None = None
        self.size_bytes: int | None = None
        self.headers: dict[str, str] | None = None
        self.body_sample: str | None = None
        self.certificate: dict[str, Any] | None = None
        self.dns: dict[str, Any] | None = None
        self.network: dict[str, Any] = {}

    def outcome(self, trouble: Trouble | None) -> Outcome:
        """The run as it ended; success where nothing was wrong."""
        clean = self.vault.clean
        return Outcome(
            STATUSES[trouble.problem] if trouble else "success",
            self.at,
            self.watch.so_far(),
            trouble.problem if trouble else None,
            clean(f"{self.where}{trouble.sentence}")[:2000] if trouble else None,
            self.status_code,
            self.size_bytes,
            self.headers and {clean(name): clean(value) for name, value in self.headers.items()},
            clean(self.body_sample),
            clean(self.certificate),
            clean(self.dns),
            clean(self.network),
        )


class Probe(Protocol):
    """Probes `check`, filling `trace`. Raises Trouble, or what the network raises; `run` makes an outcome of both."""

    async def __call__(self, check: Check, trace: Trace, around: Surroundings) -> None: ...
