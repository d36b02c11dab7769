"""One slot per GPU of the machine: asleep and never woken, open, or gone and tried again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from backends.gpu.probe.device import Device, GpuGone
from backends.gpu.probe.processes import ProcessNames
from backends.gpu.probe.sampler import Sampler, Values

RETRY_S = 10.0
IDLE_BEATS = 5  # idle samples before a GPU that may sleep is left alone
REST_S = 60.0

_NOT_FOUND, _GPU_NOT_FOUND = 6, 28

#: Drivers whose process lists mix up pids: a struct changed under an unchanged name.
_SCRAMBLED_FROM, _SCRAMBLED_UNTIL = (535, 43), (535, 98)


class PciPower:
    """What the kernel says of a PCI device's power, without touching the device."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._devices = os.path.join(root, "sys/bus/pci/devices")

    def gpus(self) -> list[str]:
        """PCI addresses of NVIDIA display controllers, in the driver's order."""
        try:
            addresses = sorted(os.listdir(self._devices))
        except OSError:
            return []
        return [a for a in addresses if self._read(a, "vendor") == "0x10de" and self._is_display(a)]

    def suspended(self, address: str) -> bool:
        """The device sleeps (D3): any driver call would wake it."""
        return self._read(address, "power/runtime_status") == "suspended"

    def may_sleep(self, address: str) -> bool:
        """The kernel may put the device to sleep when nobody uses it."""
        return self._read(address, "power/control") == "auto"

    def model(self, address: str) -> str:
        """The model name as the kernel module knows it; ``""`` when it does not say."""
        path = os.path.join(self._root, "proc/driver/nvidia/gpus", address, "information")
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                found = re.search(r"^Model:\s*(.+)$", file.read(4096), re.MULTILINE)
        except OSError:
            return ""
        return found.group(1).strip() if found else ""

    def _is_display(self, address: str) -> bool:
        return (self._read(address, "class") or "").startswith("0x03")

    def _read(self, address: str, name: str) -> str | None:
        try:
            with open(os.path.join(self._devices, address, name), encoding="ascii", errors="replace") as file:
                return file.read(64).strip()
        except OSError:
            return None


def sysfs_address(bus_id: str) -> str:
    """NVML's ``00000000:0A:00.0`` as sysfs spells it: ``0000:0a:00.0``."""
    domain, _, rest = bus_id.lower().partition(":")
    return f"{domain.lstrip('0').rjust(4, '0')}:{rest}"


def scrambles_pids(driver: str) -> bool:
    """This driver version's process lists cannot be trusted."""
    numbers = re.findall(r"\d+", driver)[:2]
    return len(numbers) == 2 and _SCRAMBLED_FROM <= (int(numbers[0]), int(numbers[1])) < _SCRAMBLED_UNTIL


class Slot:
    """One GPU place, found by its index or, where one sleeps, by its PCI address."""

    def __init__(self, machine: Machine, index: int, address: str | None) -> None:
        self._machine = machine
        self.index = index
        self._address = address
        self._by_address = address is not None
        self._device: Device | None = None
        self._sampler: Sampler | None = None
        self._error = 0
        self._retry_at = 0.0
        self._idle_beats = 0
        self._rest_until = 0.0
        self._known: Values = {"uuid": "", "name": "" if address is None else machine.power.model(address)}

    def read(self, now_s: float, processes: bool) -> Values | None:
        """The slot's part of a frame; ``None`` when the driver says there is no such GPU for us."""
        power, address = self._machine.power, self._address
        if address is not None and power.suspended(address):
            self._idle_beats = 0
            return self._bare(asleep=True)
        if now_s < self._rest_until:
            return self._bare(resting=True)
        try:
            if self._sampler is None:
                if now_s < self._retry_at:
                    return self._bare(error=self._error)
                self._open()
            assert self._sampler is not None
            values = self._sampler.sample(now_s, processes)
        except GpuGone as gone:
            return self._lose(gone.code, now_s)
        except self._machine.nvml.NVMLError as error:
            if self._by_address and int(error.value) in (_NOT_FOUND, _GPU_NOT_FOUND):
                return None
            return self._lose(int(error.value), now_s)
        self._known = {"uuid": values["uuid"], "name": values["name"]}
        self._rest_when_idle(values, now_s)
        return {"index": self.index, **values}

    def driver_time_s(self) -> float:
        """Time spent inside the driver since the last call of this method."""
        if self._device is None:
            return 0.0
        spent, self._device.spent_s = self._device.spent_s, 0.0
        return spent

    def _bare(self, **state: Any) -> Values:
        return {"index": self.index, **self._known, **state}

    def _lose(self, code: int, now_s: float) -> Values:
        self._device = self._sampler = None
        self._error, self._retry_at = code, now_s + RETRY_S
        return self._bare(error=code)

    def _open(self) -> None:
        machine, nvml = self._machine, self._machine.nvml
        machine.opening(self.index)
        if self._by_address:
            handle = nvml.nvmlDeviceGetHandleByPciBusId(self._address)
        else:
            handle = nvml.nvmlDeviceGetHandleByIndex(self.index)
        device = Device(nvml, handle)
        if self._address is None:
            pci = device.ask("nvmlDeviceGetPciInfo")
            if pci is not None:
                bus_id = pci.busId
                text = bus_id.decode("ascii", "replace") if isinstance(bus_id, bytes) else str(bus_id)
                self._address = sysfs_address(text)
        self._sampler = Sampler(device, machine.names, machine.root, machine.processes_are_right)
        self._device = device
        machine.opened(self.index, handle)

    def _rest_when_idle(self, values: Values, now_s: float) -> None:
        """Stop asking an idle GPU that may sleep: each question would keep it awake."""
        idle = values["utilisation"] == 0 and not values.get("processes")
        if not idle or self._address is None or not self._machine.power.may_sleep(self._address):
            self._idle_beats = 0
            return
        self._idle_beats += 1
        if self._idle_beats >= IDLE_BEATS:
            self._idle_beats = 0
            self._rest_until = now_s + REST_S


class Machine:
    """All slots. ``opening`` is told before a first touch, ``opened`` the handle after it."""

    def __init__(
        self,
        nvml: Any,
        root: str,
        driver: str,
        opening: Callable[[int], None],
        opened: Callable[[int, Any], None],
    ) -> None:
        self.nvml = nvml
        self.root = root
        self.power = PciPower(root)
        self.names = ProcessNames(root)
        self.processes_are_right = not scrambles_pids(driver)
        self.opening = opening
        self.opened = opened
        self._slots = self._find()

    def read(self, now_s: float, processes: bool) -> tuple[list[Values], float]:
        """(every GPU's part of a frame, seconds spent inside the driver)."""
        parts: list[Values] = []
        spent = 0.0
        for slot in tuple(self._slots):
            part = slot.read(now_s, processes)
            spent += slot.driver_time_s()
            if part is None:
                self._slots.remove(slot)
            else:
                parts.append(part)
        if processes:
            self.names.keep_only({row["pid"] for part in parts for row in part.get("processes") or ()})
        return parts, spent

    def _find(self) -> list[Slot]:
        addresses = self.power.gpus()
        if any(self.power.suspended(address) for address in addresses):
            return [Slot(self, index, address) for index, address in enumerate(addresses)]
        return [Slot(self, index, None) for index in range(self.nvml.nvmlDeviceGetCount())]
