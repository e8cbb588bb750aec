"""What is local to a host: `GATEPOST_AGENT_*` or `GATEPOST_*` variables, then `agent.toml` in the config folder.

What is relayed is never a setting: it comes in a signed config, within the bounds of `guard.toml`.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gatepost_agent.errors import UsageRefused

PREFIXES = ("GATEPOST_AGENT_", "GATEPOST_")
FILE = "agent.toml"
Seconds = Annotated[float, Field(ge=0)]


class Settings(BaseModel):
    """Settings of one agent. Names end in `_s` (seconds) and `_bytes`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state_dir: Path = Path("/var/lib/gatepost-agent")
    config_dir: Path | None = None
    """Where guard.toml and the named credentials, certificates and trust files lie; default: `<state_dir>/config`."""
    spool_dir: Path | None = None
    metrics_file: Path | None = None
    """Written every 15 s for a node exporter's text file collector."""
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"

    stop_after_disconnected_s: Seconds = 0
    """Stop listening when the control plane was not heard for this long; 0: never."""
    drain_s: Seconds = 30
    """How long sessions may finish after SIGTERM."""
    report_interval_s: Annotated[float, Field(ge=1, le=300)] = 60
    """Counts are reported at least this often."""
    first_checkin_within_s: Seconds = 10
    """After a start with a config on disk, the first check-in comes at a random time within this."""
    retry_max_s: Annotated[float, Field(ge=1, le=3600)] = 60
    """The longest wait between tries while the control plane cannot be reached."""
    turned_away_retry_s: Annotated[float, Field(ge=1, le=3600)] = 300
    """The wait after the control plane said 401, 403, 409 or 410."""
    queue_old_s: Annotated[float, Field(ge=60)] = 3600
    """A queue whose oldest message is older than this is a condition."""
    max_queued_messages: Annotated[int, Field(ge=1)] = 100_000
    max_queued_bytes: Annotated[int, Field(ge=1024 * 1024)] = 10 * 1024**3
    free_disk_bytes: Annotated[int, Field(ge=0)] = 512 * 1024**2
    """Octets of disk that stay free: below it clients are told 452."""
    max_connection_rate_per_minute: Annotated[int, Field(ge=0)] = 0
    """New connections a minute that this host takes, all connectors together; 0: as many as come."""

    @property
    def config_folder(self) -> Path:
        """The config folder in force."""
        return (self.config_dir or self.state_dir / "config").absolute()

    @property
    def spool_folder(self) -> Path:
        """The spool's folder in force."""
        return (self.spool_dir or self.state_dir / "spool").absolute()


def load_settings(environment: Mapping[str, str], given: Mapping[str, Any]) -> Settings:
    """Settings of an agent: given (options) beat the environment, which beats the file. Raises UsageRefused."""
    known = _from_environment(environment) | {key: value for key, value in given.items() if value is not None}
    try:
        folder = Settings(**known).config_folder
        return Settings(**(_from_file(folder / FILE) | known))
    except ValidationError as error:
        told = "; ".join(f"{item['loc'][0]}: {item['msg']} ({item['input']!r})" for item in error.errors())
        raise UsageRefused(f"settings that cannot be used: {told}") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for prefix in reversed(PREFIXES):
        for name in Settings.model_fields:
            if prefix + name.upper() in environment:
                found[name] = environment[prefix + name.upper()]
    return found


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise UsageRefused(f"{path} cannot be read: {error}") from error


def in_force(settings: Settings) -> dict[str, str]:
    """Every setting as text, for the log at start. There is no secret among them."""
    return {name: str(getattr(settings, name)) for name in Settings.model_fields}
