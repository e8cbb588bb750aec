"""The clock that decides expiry never goes back by itself."""

from gatepost_agent.control.clock import SteadyClock
from gatepost_agent.control.state_folder import StateFolder


class HostClock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_it_follows_the_host_forward_and_stands_still_when_that_goes_back(folder: StateFolder) -> None:
    host = HostClock()
    clock = SteadyClock(folder, host)
    began = clock.now()
    host.now += 100
    assert clock.now() == began + 100
    host.now -= 10_000
    assert clock.now() == began + 100
    assert clock.held_s == 10_000
    assert "behind the latest time seen" in clock.trouble()


def test_silence_is_counted_over_a_restart(folder: StateFolder) -> None:
    host = HostClock()
    clock = SteadyClock(folder, host, save_every_s=5)
    clock.save_sometimes()
    host.now += 100
    assert clock.silent_s == 100  # since the start, when it was never heard before
    clock.heard(host.now)
    clock.save_sometimes()
    host.now += 30
    assert SteadyClock(folder, host).silent_s == 30
    host.now -= 1000
    assert SteadyClock(folder, host).silent_s == 0


def test_a_restart_remembers_the_latest_time(folder: StateFolder) -> None:
    host = HostClock()
    clock = SteadyClock(folder, host)
    began = clock.now()
    clock.save()
    host.now -= 86_400 * 365
    assert SteadyClock(folder, host).now() == began


def test_an_operator_may_reset_it(folder: StateFolder) -> None:
    host = HostClock()
    clock = SteadyClock(folder, host)
    clock.now()
    host.now -= 10_000
    clock.reset()
    assert clock.now() == host.now
    assert SteadyClock(folder, host).now() == host.now
    assert clock.trouble() == ""


def test_time_more_than_a_day_off_is_shown_and_ignored(folder: StateFolder) -> None:
    host = HostClock()
    clock = SteadyClock(folder, host)
    clock.heard(host.now + 86_401)
    assert clock.now() == host.now
    assert "ignored" in clock.trouble()
    clock.heard(host.now + 600)
    assert clock.now() == host.now + 600
    assert "600 s" in clock.trouble()
    clock.heard(host.now + 1)
    assert clock.trouble() != ""  # what was seen stays seen
    host.now += 600
    assert clock.trouble() == ""


def test_it_is_on_disk_once_a_minute(folder: StateFolder) -> None:
    host = HostClock()
    clock = SteadyClock(folder, host)
    clock.save_sometimes()
    first = folder.read("clock.json")
    assert first is not None
    host.now += 30
    clock.save_sometimes()
    assert folder.read("clock.json") == first
    host.now += 31
    clock.save_sometimes()
    assert folder.read("clock.json") != first


def test_a_damaged_file_is_written_anew(folder: StateFolder) -> None:
    folder.write("clock.json", b"[]")
    host = HostClock()
    assert SteadyClock(folder, host).now() == host.now
