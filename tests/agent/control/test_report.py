"""Reports carry what is new; what the control plane has acknowledged is not said again."""

from gatepost.wire import Attempt, CounterSet, DeviceRow, Health, HitRow, Running
from gatepost_agent.control.report import Reporter, Sources


class Standing:
    running: Running | None = None
    attempt: Attempt | None = None


class Figures:
    def __init__(self) -> None:
        self.rows = [
            DeviceRow(address="192.168.5.10", accepted=1),
            DeviceRow(address="192.168.5.11", accepted=1),
        ]
        self.hit: list[HitRow] = []
        self.sets = [CounterSet(incarnation="incarnation-1", totals={"Relay": {"accepted": 1}})]

    def counters(self) -> tuple[CounterSet, ...]:
        return tuple(self.sets)

    def devices(self) -> tuple[DeviceRow, ...]:
        return tuple(self.rows)

    def hits(self) -> tuple[HitRow, ...]:
        return tuple(self.hit)

    def queue(self) -> dict[str, float]:
        return {}

    def acknowledge(self, counted: CounterSet) -> None:
        """Nothing."""

    def renew(self) -> None:
        """Nothing."""


def _reporter(figures: Figures) -> Reporter:
    return Reporter(
        Sources(
            standing=Standing(),
            figures=figures,
            health=lambda: Health(status="ok"),
            listening=lambda: (),
            denied_version=lambda: 0,
        )
    )


def test_an_unacknowledged_report_is_said_again() -> None:
    reporter = _reporter(Figures())
    first, second = reporter.report(), reporter.report()
    assert (second.facts, second.counters, second.devices) == (first.facts, first.counters, first.devices)
    assert second.seq == first.seq + 1


def test_devices_are_told_when_something_but_their_age_has_changed() -> None:
    figures = Figures()
    reporter = _reporter(figures)
    reporter.acknowledged(reporter.report())
    figures.rows = [
        DeviceRow(address="192.168.5.10", accepted=1, last_seen_age_s=60),
        DeviceRow(address="192.168.5.11", accepted=2),
    ]
    assert [row.address for row in reporter.report().devices] == ["192.168.5.11"]


def test_a_device_that_was_away_is_told_again() -> None:
    figures = Figures()
    reporter = _reporter(figures)
    reporter.acknowledged(reporter.report())
    rows, figures.rows = figures.rows, []
    assert reporter.report().devices == ()
    figures.rows = rows
    assert len(reporter.report().devices) == 2


def test_many_devices_come_in_several_reports() -> None:
    figures = Figures()
    figures.rows = [DeviceRow(address=f"10.0.{n // 256}.{n % 256}") for n in range(3000)]
    reporter = _reporter(figures)
    first = reporter.report()
    reporter.acknowledged(first)
    assert (len(first.devices), len(reporter.report().devices)) == (2000, 1000)


def test_a_new_incarnation_tells_everything_from_the_beginning() -> None:
    reporter = _reporter(Figures())
    first = reporter.report()
    reporter.acknowledged(first)
    reporter.renew()
    again = reporter.report()
    assert again.incarnation != first.incarnation
    assert again.seq == 1
    assert (again.facts, again.counters, again.devices) == (first.facts, first.counters, first.devices)


def test_hits_are_told_until_the_control_plane_has_them() -> None:
    figures = Figures()
    reporter = _reporter(figures)
    figures.hit = [HitRow(connector="Relay", range="10.0.0.0/8", age_s=5)]
    assert reporter.report().hits == reporter.report().hits == tuple(figures.hit)
    reporter.acknowledged(reporter.report())
    assert reporter.report().hits == ()
    reporter.forget()
    assert reporter.report().hits == tuple(figures.hit)
