"""One GPU and its driver calls: what it cannot answer is learned once, what ends it is told apart."""

from __future__ import annotations

import time
from typing import Any

_NOT_SUPPORTED, _FUNCTION_NOT_FOUND, _VERSION_MISMATCH, _DEPRECATED = 3, 13, 25, 26
_UNKNOWN = 999
_GPU_IS_LOST, _RESET_REQUIRED, _OPERATING_SYSTEM, _GPU_NOT_FOUND = 15, 16, 17, 28

#: This GPU or driver does not know the call. It may after a driver change, so it is asked again, seldom.
_CANNOT = frozenset({_NOT_SUPPORTED, _FUNCTION_NOT_FOUND, _VERSION_MISMATCH, _DEPRECATED})

#: No call on this GPU will work until something is done about it.
_GONE = frozenset({_GPU_IS_LOST, _RESET_REQUIRED, _OPERATING_SYSTEM, _GPU_NOT_FOUND})

ASK_AGAIN_S = 600.0


class GpuGone(Exception):
    """The driver no longer answers for this GPU. ``code`` is the NVML return code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Device:
    """Calls on one open GPU handle. :attr:`spent_s` adds up the time inside the driver."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self.nvml = nvml
        self.handle = handle
        self.spent_s = 0.0
        self._cannot: dict[str, tuple[int, float]] = {}  # call -> why, ask again at
        self.last_error = 0

    def ask(self, call: str, *arguments: Any, on: Any = None) -> Any:
        """What the driver answers to ``call(handle, *arguments)``; ``None`` when it has no answer.

        :attr:`last_error` then holds the NVML return code. ``on`` asks another handle, a MIG instance of this
        GPU. Raises :class:`GpuGone` when the GPU itself is gone.
        """
        key = f"{call}{arguments}" if call in _PER_ARGUMENT else call
        now = time.monotonic()
        known = self._cannot.get(key) if on is None else None
        if known is not None and now < known[1]:
            self.last_error = known[0]
            return None
        self.last_error = 0
        try:
            return getattr(self.nvml, call)(self.handle if on is None else on, *arguments)
        except self.nvml.NVMLError as error:
            code = self.last_error = int(error.value)
        except AttributeError:  # the binding is older than the call
            code = self.last_error = _FUNCTION_NOT_FOUND
        except UnicodeDecodeError:  # the binding decodes names strictly
            code = self.last_error = _UNKNOWN
        finally:
            self.spent_s += time.monotonic() - now
        if code in _GONE:
            raise GpuGone(code)
        if code in _CANNOT and on is None:
            self._cannot[key] = (code, now + ASK_AGAIN_S)
        return None

    def field(self, field_id: int) -> int | None:
        """One value of ``nvmlDeviceGetFieldValues``."""
        key = f"field {field_id}"
        if time.monotonic() < self._cannot.get(key, (0, 0.0))[1]:
            return None
        values = self.ask("nvmlDeviceGetFieldValues", [field_id])
        if values is None:
            return None
        value = values[0]
        if value.nvmlReturn == 0:
            return _field_number(value)
        if value.nvmlReturn in _GONE:
            raise GpuGone(int(value.nvmlReturn))
        self._cannot[key] = (int(value.nvmlReturn), time.monotonic() + ASK_AGAIN_S)
        return None

    @property
    def not_supported(self) -> bool:
        """The last :meth:`ask` failed because this GPU has no such thing (not for lack of permission)."""
        return self.last_error == _NOT_SUPPORTED

    def forget_what_it_cannot(self) -> None:
        """Ask everything anew: the GPU changed its mode."""
        self._cannot.clear()


#: Calls whose support depends on the arguments too.
_PER_ARGUMENT = frozenset(
    {
        "nvmlDeviceGetClockInfo",
        "nvmlDeviceGetMaxClockInfo",
        "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetFieldValues",
    }
)


def _field_number(value: Any) -> int | None:
    """The member of the union that ``valueType`` names (nvmlValueType_t); floats are not asked for here."""
    member = {1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal"}.get(int(value.valueType))
    return None if member is None else int(getattr(value.value, member))
