"""The clock that decides expiry: it never goes back, whatever is done to the host's."""

import json
import logging
import time
from collections.abc import Callable

from gatepost_agent.control.state_folder import StateFolder

log = logging.getLogger(__name__)

FILE = "clock.json"
DAY_S = 86_400.0
SKEW_S = 300.0
SAVE_EVERY_S = 60.0


class SteadyClock:
    """Seconds since 1970, never less than once seen; the latest is kept on disk.

    The control plane's time moves it forward when it is within a day of the host's, and is passed over otherwise.
    """

    def __init__(self, folder: StateFolder, host: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._host = host
        self._latest = self._read()
        self._saved = self._latest
        self._ahead = 0.0  # how far the control plane is ahead of the host
        self.skew_s: float | None = None

    def now(self) -> float:
        """The time to decide by."""
        self._latest = max(self._latest, self._host() + self._ahead)
        return self._latest

    def heard(self, server_time: float) -> None:
        """The control plane told its time."""
        self.skew_s = server_time - self._host()
        self._ahead = max(0.0, self.skew_s) if abs(self.skew_s) <= DAY_S else 0.0

    @property
    def held_s(self) -> float:
        """How far the host's clock is behind the latest time seen: for so long, time stands still."""
        return max(0.0, self._latest - self._host() - self._ahead)

    def trouble(self) -> str:
        """What is wrong with the host's clock, or nothing."""
        if self.held_s > SKEW_S:
            remedy = "set the host's clock; if it is right now, run `gatepost-agent clock --reset`"
            return f"the host's clock is {self.held_s:.0f} s behind the latest time seen: {remedy}"
        if self.skew_s is not None and abs(self.skew_s) > SKEW_S:
            ignored = "; its time is ignored" if abs(self.skew_s) > DAY_S else ""
            return f"the control plane's clock differs from the host's by {self.skew_s:.0f} s{ignored}"
        return ""

    def reset(self) -> None:
        """Believe the host's clock, even if it goes back. An operator says so."""
        self._latest = self._host()
        self._ahead = 0.0
        self.save()

    def save_sometimes(self) -> None:
        """Keep the latest time on disk, at most once a minute."""
        if abs(self.now() - self._saved) >= SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Keep the latest time on disk; a full disk is another condition's matter."""
        try:
            self._folder.write(FILE, json.dumps({"latest": self._latest}).encode())
            self._saved = self._latest
        except OSError as error:
            log.warning("the latest time seen is not on disk: %s", error)

    def _read(self) -> float:
        try:
            return float(json.loads(self._folder.read(FILE) or b"{}").get("latest", 0.0))
        except (ValueError, TypeError, AttributeError):
            log.warning("%s cannot be read and is written anew", FILE)
            return 0.0
