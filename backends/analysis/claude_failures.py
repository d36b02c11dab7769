"""Every way a question to the model can fail, in one plain line each; and when to stop asking for a while."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from backends.clock import Clock
from backends.redact import redact
from backends.text import clean

#: Ends every line: the local analyst needs no model.
FALLBACK = "Showing the local analysis."

#: Kinds of failure that another attempt can cure, as long as no text was shown.
RETRYABLE = frozenset({"rate-limited", "busy", "no-network", "timeout"})
#: Kinds that say the service or the way to it is ill; three in a row open the breaker.
BREAKING = RETRYABLE | {"partial", "unreadable"}


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure, classified."""

    kind: str
    statement: str  # without a full stop
    retry_after_s: float | None = None
    request_id: str | None = None

    @property
    def line(self) -> str:
        return f"{self.statement}. {FALLBACK}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the words of a failure need to know of the question."""

    model: str
    key_variable: str
    smaller_budget: int
    read_timeout_s: float


def no_key(asked: Asked) -> Failure:
    return Failure("no-key", f"No key found (looked in: env {asked.key_variable}, profile)")


def refusal(category: str | None) -> Failure:
    return Failure("refused", f"Model declined ({clean(category or 'no category', 60)})")


def too_large(asked: Asked) -> Failure:
    return Failure("too-large", f"Snapshot too big; budget lowered to {asked.smaller_budget}")


def partial() -> Failure:
    return Failure("partial", "The answer ended before it was complete")


def resting(seconds: int) -> Failure:
    return Failure("resting", f"Not asked: three failures in a row, next try in {seconds} s")


def classify(error: Exception, asked: Asked) -> Failure:
    """The failure behind an exception of the SDK, of its transport, or of anything it lets through."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return _of_status(error, status, asked)
    names = {kind.__name__ for kind in type(error).__mro__}
    if "CredentialsError" in names or (isinstance(error, TypeError) and "authentication" in str(error)):
        return no_key(asked)
    if names & {"APITimeoutError", "TimeoutException"}:
        return Failure("timeout", f"No answer within {asked.read_timeout_s:g} s")
    if "RemoteProtocolError" in names:
        return Failure("no-network", "No network: the connection broke")
    if names & {"APIConnectionError", "HTTPError"} or isinstance(error, OSError):
        return Failure("no-network", f"No network{_cause(error)}")
    if names & {"APIResponseValidationError", "ValidationError"} or isinstance(error, ValueError):
        return Failure("unreadable", "The service's reply could not be read; check analysis.base_url")
    return Failure("error", f"Asking failed: {type(error).__name__}: {_plain(str(error))}")


def _of_status(error: Any, status: int, asked: Asked) -> Failure:
    """By the body's error type first: an error in mid-stream comes with status 200."""
    kind = getattr(error, "type", None) or ""
    code = getattr(error, "error_code", None) or ""
    message = _plain(getattr(error, "api_message", None) or "")
    request_id = getattr(error, "request_id", None)
    found = _known(kind, code, status, message, asked, error)
    return replace(found, request_id=clean(request_id, 80) if request_id else None)


def _known(kind: str, code: str, status: int, message: str, asked: Asked, error: Any) -> Failure:
    if status == 402 or kind == "billing_error" or code.endswith("_spend_limit_reached"):
        return Failure("billing", "Billing stops this")
    if status == 401 or kind == "authentication_error":
        return Failure("key-rejected", f"Key rejected ({status}). Check {asked.key_variable}")
    if status == 403 or kind == "permission_error":
        return Failure("not-permitted", f"Key may not use {clean(asked.model, 80)}")
    if status == 404 or kind == "not_found_error":
        return Failure(
            "unknown-model",
            f"Model {clean(asked.model, 80)} unknown or retired; choose one in analysis.model",
        )
    if status == 413 or kind == "request_too_large" or "too long" in message or "context window" in message:
        return too_large(asked)
    if status == 429 or kind == "rate_limit_error":
        wait_s = _retry_after(error)
        when = "" if wait_s is None else f", retry in {wait_s:.0f} s"
        return Failure("rate-limited", f"Rate limited{when}", wait_s)
    if status in (408, 504) or kind == "timeout_error":
        return Failure("timeout", "The service took too long")
    if status >= 500 or status == 409 or kind in ("overloaded_error", "api_error"):
        return Failure("busy", "Service busy", _retry_after(error))
    return Failure("rejected", f"The request was rejected ({status}){': ' + message if message else ''}")


def _retry_after(error: Any) -> float | None:
    value = error.response.headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        return None


def _cause(error: BaseException) -> str:
    """The innermost reason, such as ``Connection refused``."""
    inner: BaseException = error
    for _ in range(8):
        deeper = inner.__cause__ or inner.__context__
        if deeper is None:
            break
        inner = deeper
    text = (inner.strerror if isinstance(inner, OSError) else None) or ""
    return f": {_plain(text)}" if text else ""


def _plain(text: str) -> str:
    return redact(clean(text, 200))[0].rstrip(". ")


class Breaker:
    """Stops asking after failures in a row; after a pause one question may try again."""

    def __init__(self, clock: Clock, failures: int = 3, pause_ms: int = 60_000) -> None:
        self._clock = clock
        self._failures = failures
        self._pause_ms = pause_ms
        self._in_a_row = 0
        self._opened_at: int | None = None  # monotonic
        self._trying = False

    def admit(self) -> int:
        """0: ask. Otherwise the seconds until asking makes sense; an admitted question must report back."""
        if self._opened_at is None:
            return 0
        left_ms = self._opened_at + self._pause_ms - self._clock.monotonic_ms()
        if left_ms > 0 or self._trying:
            return max(1, -(-left_ms // 1000))
        self._trying = True
        return 0

    def succeeded(self) -> None:
        self._in_a_row = 0
        self._opened_at = None
        self._trying = False

    def failed(self) -> None:
        self._in_a_row += 1
        if self._trying or self._in_a_row >= self._failures:
            self._opened_at = self._clock.monotonic_ms()
        self._trying = False

    def abandoned(self) -> None:
        """The question was stopped, or failed for a reason that says nothing about the service."""
        self._trying = False
