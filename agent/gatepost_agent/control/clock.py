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
    When it was heard is kept as well: a restart does not make up for silence.
    """

    def __init__(
        self,
        folder: StateFolder,
        host: Callable[[], float] = time.time,
        *,
        save_every_s: float = SAVE_EVERY_S,
    ) -> None:
        self._folder = folder
        self._host = host
        self._save_every_s = save_every_s
        kept = self._read()
        self._latest = kept.get("latest", 0.0)
        self._heard_at = kept.get("heard", host())
        self._saved = self._latest
        self._saved_heard_at = self._heard_at
        self._ahead = 0.0  # how far the control plane is ahead of the host
        self.skew_s: float | None = None

    def now(self) -> float:
        """The time to decide by."""
        self._latest = max(self._latest, self._host() + self._ahead)
        return self._latest

    def heard(self, server_time: float) -> None:
        """The control plane told its time."""
        self._heard_at = self._host()
        self.skew_s = server_time - self._heard_at
        self._ahead = max(0.0, self.skew_s) if abs(self.skew_s) <= DAY_S else 0.0

    @property
    def silent_s(self) -> float:
        """For how long the control plane was not heard, over restarts, as far as the host's clock can tell."""
        return max(0.0, self._host() - self._heard_at)

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
        """Keep the latest time on disk, every `save_every_s`."""
        behind_s = max(abs(self.now() - self._saved), abs(self._heard_at - self._saved_heard_at))
        if behind_s >= self._save_every_s:
            self.save()

    def save(self) -> None:
        """Keep the latest time on disk; a full disk is another condition's matter."""
        try:
            kept = {"latest": self._latest, "heard": self._heard_at}
            self._folder.write(FILE, json.dumps(kept).encode())
            self._saved, self._saved_heard_at = self._latest, self._heard_at
        except OSError as error:
            log.warning("the latest time seen is not on disk: %s", error)

    def _read(self) -> dict[str, float]:
        try:
            return {name: float(at) for name, at in json.loads(self._folder.read(FILE) or b"{}").items()}
        except (ValueError, TypeError, AttributeError):
            log.warning("%s cannot be read and is written anew", FILE)
            return {}
