"""What each client address did lately at each connector, for operators who look for a device.

Bounded, with one row for the rest. When a range was last hit is kept apart, so that it outlives the device's row.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator

from gatepost.wire import DeviceRow, HitRow
from gatepost_agent.device_watch import MANY_NAMES, TIMES_USUAL, Names, Volume
from gatepost_agent.health import Finding

MAX_DEVICES = 1000
MAX_HITS = 2000  # as many as a report takes
OVERFLOW = "other"
"""The address of the row that holds what was counted for addresses no longer kept."""


class Device:
    """One client address at one connector. `open`: its sessions now; as long as there are any, it is kept."""

    __slots__ = (
        "accepted", "address", "connector", "first_seen", "helo", "last_seen", "names", "open", "range", "refused",
        "tls", "tolerances", "volume",
    )  # fmt: skip

    def __init__(self, address: str, connector: str, now: float) -> None:
        self.address = address
        self.connector = connector
        self.first_seen = self.last_seen = now
        self.range = self.helo = self.tls = ""
        self.open = 0
        self.accepted = 0
        self.refused: Counter[str] = Counter()  # by `Reply.kind`: as many as there are replies
        self.tolerances: Counter[str] = Counter()
        self.names = Names()
        self.volume = Volume()

    @property
    def key(self) -> tuple[str, str]:
        """What the control plane knows it by."""
        return self.address, self.connector

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


class Hits:
    """When each connector's range last took a client. Bounded: those hit longest ago are dropped."""

    def __init__(self, limit: int = MAX_HITS) -> None:
        self._limit = limit
        self._latest: OrderedDict[tuple[str, str], float] = OrderedDict()  # those hit longest ago first

    def note(self, connector: str, range_: str, now: float) -> None:
        """A client came through this range."""
        key = connector, range_
        self._latest[key] = now
        self._latest.move_to_end(key)
        if len(self._latest) > self._limit:
            self._latest.popitem(last=False)

    def rows(self, now: float) -> tuple[HitRow, ...]:
        """Those hit last first."""
        return tuple(
            HitRow(connector=connector, range=range_, age_s=max(0.0, now - at))
            for (connector, range_), at in reversed(self._latest.items())
        )


class Devices:
    """All devices. clock: seconds since 1970."""

    def __init__(self, clock: Callable[[], float], limit: int = MAX_DEVICES) -> None:
        self._clock = clock
        self._limit = limit
        self._known: dict[tuple[str, str], Device] = {}
        # Those without a session, gone longest first.
        self._idle: OrderedDict[tuple[str, str], Device] = OrderedDict()
        self._hits = Hits()
        self._rest: Device | None = None

    def enter(self, address: str, connector: str = "", range_: str = "") -> Device:
        """A client has come to a connector through its range; `leave` when it goes."""
        now = self._clock()
        key = address, connector
        device = self._known.get(key)
        if device is None:
            device = self._known[key] = Device(address, connector, now)
            if len(self._known) > self._limit and self._idle:
                self._forget(self._idle.popitem(last=False)[1])
        elif not device.open:
            del self._idle[key]
        device.open += 1
        device.last_seen = now
        device.range = range_
        if connector and range_:
            self._hits.note(connector, range_, now)
        return device

    def leave(self, device: Device) -> None:
        device.open -= 1
        device.last_seen = self._clock()
        if device.helo:
            device.names.note(device.helo, device.last_seen)
        if not device.open:
            self._idle[device.key] = device

    def rows(self, most: int = 2000) -> tuple[DeviceRow, ...]:
        """Those seen last first; the row for the rest at the end."""
        now = self._clock()
        known = sorted(self._known.values(), key=lambda device: device.last_seen, reverse=True)
        rest = [self._rest.row(now)] if self._rest else []
        return (*(device.row(now) for device in known[: most - len(rest)]), *rest)

    def hits(self) -> tuple[HitRow, ...]:
        """When each range was last hit, those hit last first."""
        return self._hits.rows(self._clock())

    def odd(self) -> tuple[Finding, ...]:
        """What is odd about clients now; to be asked every few minutes at least, so that hours can be told apart."""
        now = self._clock()
        crowded = [device for device in self._known.values() if device.names.are_many(now)]
        busy = [device for device in self._known.values() if device.volume.is_odd(device.accepted, now)]
        return (*_crowded(crowded), *_busy(busy))

    def _forget(self, device: Device) -> None:
        del self._known[device.key]
        if self._rest is None:
            self._rest = Device(OVERFLOW, "", device.first_seen)
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
