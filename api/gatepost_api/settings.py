"""Where the control plane listens, what it opens, and its bounds: `GATEPOST_*` variables, `serve`'s options.

Local facts only. What servers run (the fleet document) is data in the database, never a setting.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


class StartError(Exception):
    """Why a program does not start, or a command does not do what it was asked; the text says what to do."""


class Settings(BaseSettings):
    """Settings of one control plane process; every field is also the variable `GATEPOST_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="GATEPOST_", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8025
    database_url: str = "sqlite:///gatepost.db"
    signing_key_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_tls_proxy: bool = False
    docs: bool = True
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"

    max_body_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    max_checkin_bytes: Annotated[int, Field(ge=1024)] = 1024 * 1024
    rate_per_s: Annotated[float, Field(gt=0)] = 50.0
    rate_burst: Annotated[int, Field(ge=1)] = 200
    max_wait_s: Annotated[int, Field(ge=1, le=300)] = 55
    wakes_per_s: Annotated[int, Field(ge=1)] = 1500
    offline_after_s: Annotated[int, Field(ge=10)] = 180
    probation_s: Annotated[int, Field(ge=0)] = 60
    offer_deadline_s: Annotated[int, Field(ge=1)] = 300
    audit_days: Annotated[int, Field(ge=1)] = 400

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        try:
            backend = make_url(value).get_backend_name()
        except ArgumentError as error:
            raise ValueError("is no database URL; write sqlite:///gatepost.db or postgresql://…") from error
        if backend not in {"sqlite", "postgresql"}:
            raise ValueError(f"names the database {backend!r}; sqlite and postgresql are supported")
        return value

    @property
    def sqlite_path(self) -> Path | None:
        """The absolute path of the SQLite file, or None on PostgreSQL."""
        url = make_url(self.database_url)
        if url.get_backend_name() != "sqlite" or not url.database:
            return None
        return Path(url.database).absolute()

    @property
    def key_path(self) -> Path:
        """The file of the fleet's signing key: as set, else beside the database or in the working folder."""
        if self.signing_key_file is not None:
            return self.signing_key_file.absolute()
        beside = self.sqlite_path
        return beside.with_name("fleet.key") if beside else Path("fleet.key").absolute()

    @property
    def is_exposed(self) -> bool:
        """Whether others than this host could reach the port without TLS."""
        has_tls = self.tls_cert is not None or self.behind_tls_proxy
        return self.host not in LOOPBACK_HOSTS and not has_tls


def check_exposure(settings: Settings) -> None:
    """Tokens travel in every request: beyond this host only under TLS. Raises StartError."""
    if settings.is_exposed:
        raise StartError(
            f"--host {settings.host} can be reached by others. Give --tls-cert and --tls-key, or "
            "--behind-tls-proxy when a proxy in front of it speaks TLS."
        )
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise StartError("--tls-cert and --tls-key belong together; one of them is missing.")
