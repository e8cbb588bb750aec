"""What each client address did lately, for operators who look for a device. Bounded, with one row for the rest."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator

from gatepost.wire import DeviceRow
from gatepost_agent.device_watch import MANY_NAMES, TIMES_USUAL, Names, Volume
from gatepost_agent.health import Finding

MAX_DEVICES = 1000
OVERFLOW = "other"
"""The address of the row that holds what was counted for addresses no longer kept."""


class Device:
    """One client address. `open`: its sessions now; as long as there are any, it is kept."""

    __slots__ = (
        "accepted", "address", "connector", "first_seen", "helo", "last_seen", "names", "open", "range", "refused",
        "tls", "tolerances", "volume",
    )  # fmt: skip

    def __init__(self, address: str, now: float) -> None:
        self.address = address
        self.first_seen = self.last_seen = now
        self.connector = self.range = self.helo = self.tls = ""
        self.open = 0
        self.accepted = 0
        self.refused: Counter[str] = Counter()  # by `code enhanced`: as many as there are replies
        self.tolerances: Counter[str] = Counter()
        self.names = Names()
        self.volume = Volume()

    def absorb(self, other: "Device") -> None:
        self.first_seen = min(self.first_seen, other.first_seen)
        self.last_seen = max(self.last_seen, other.last_seen)
        self.accepted += other.accepted
        self.refused += other.refused
        self.tolerances += other.tolerances

    def row(self, now: float) -> DeviceRow:
        return DeviceRow(
            address=self.address,
            connector=self.connector,
            range=self.range,
            first_seen_age_s=max(0.0, now - self.first_seen),
            last_seen_age_s=max(0.0, now - self.last_seen),
            accepted=self.accepted,
            refused=dict(self.refused),
            helo=self.helo,
            tls=self.tls,
            tolerances=dict(self.tolerances),
        )


class Devices:
    """All devices. clock: seconds since 1970."""

    def __init__(self, clock: Callable[[], float], limit: int = MAX_DEVICES) -> None:
        self._clock = clock
        self._limit = limit
        self._known: dict[str, Device] = {}
        self._idle: OrderedDict[str, Device] = OrderedDict()  # without a session, those gone longest first
        self._rest: Device | None = None

    def enter(self, address: str) -> Device:
        """A client has come; `leave` when it goes."""
        now = self._clock()
        device = self._known.get(address)
        if device is None:
            device = self._known[address] = Device(address, now)
            if len(self._known) > self._limit and self._idle:
                self._forget(self._idle.popitem(last=False)[1])
        elif not device.open:
            del self._idle[address]
        device.open += 1
        device.last_seen = now
        return device

    def leave(self, device: Device) -> None:
        device.open -= 1
        device.last_seen = self._clock()
        if device.helo:
            device.names.note(device.helo, device.last_seen)
        if not device.open:
            self._idle[device.address] = device

    def rows(self, most: int = 2000) -> tuple[DeviceRow, ...]:
        """Those seen last first; the row for the rest at the end."""
        now = self._clock()
        known = sorted(self._known.values(), key=lambda device: device.last_seen, reverse=True)
        rest = [self._rest.row(now)] if self._rest else []
        return (*(device.row(now) for device in known[: most - len(rest)]), *rest)

    def odd(self) -> tuple[Finding, ...]:
        """What is odd about clients now; to be asked every few minutes at least, so that hours can be told apart."""
        now = self._clock()
        crowded = [device for device in self._known.values() if device.names.are_many(now)]
        busy = [device for device in self._known.values() if device.volume.is_odd(device.accepted, now)]
        return (*_crowded(crowded), *_busy(busy))

    def _forget(self, device: Device) -> None:
        del self._known[device.address]
        if self._rest is None:
            self._rest = Device(OVERFLOW, device.first_seen)
        self._rest.absorb(device)


def _crowded(devices: list[Device]) -> Iterator[Finding]:
    if devices:
        told = f"over {MANY_NAMES} HELO names in ten minutes: {_some(devices)}; a NAT or a load balancer may hide hosts"
        yield Finding("ManyHostsBehindOneAddress", "ManyNames", told)


def _busy(devices: list[Device]) -> Iterator[Finding]:
    if devices:
        told = f"over {TIMES_USUAL} times as many messages this hour as usual: {_some(devices)}"
        yield Finding("UnusualVolume", "BusyHour", told)


def _some(devices: list[Device], most: int = 10) -> str:
    more = f" and {len(devices) - most} more" if len(devices) > most else ""
    return ", ".join(f"{device.address} ({device.connector or 'none'})" for device in devices[:most]) + more
