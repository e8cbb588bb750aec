"""`gatepost-api`: serve, migrate, token, backup."""

import asyncio
import getpass
import json
import os
import re
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from gatepost_api.auth import Caller, Role
from gatepost_api.db import Database, create_writer
from gatepost_api.errors import ApiError
from gatepost_api.keys import load_or_create_signer
from gatepost_api.schema import migrate as migrate_schema
from gatepost_api.schema import schema_state
from gatepost_api.settings import Settings, StartError, check_exposure
from gatepost_api.tokens import repository, service
from gatepost_api.tokens.schemas import ApiTokenIn

USAGE = 64  # EX_USAGE of sysexits.h
Result = TypeVar("Result")
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The control plane of Gatepost.",
)
token = typer.Typer(no_args_is_help=True, help="API tokens of people and pipelines.")
app.add_typer(token, name="token")

DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", help="sqlite:///FILE or postgresql://… (GATEPOST_DATABASE_URL)"),
]


class Output(StrEnum):
    """How a listing is printed: for people, or for programs."""

    table = "table"
    json = "json"


def fail(text: str, code: int = 1) -> NoReturn:
    print(f"gatepost-api: {text}", file=sys.stderr)
    raise typer.Exit(code)


def settings_with(**options: Any) -> Settings:
    """The environment's settings with the command line's on top."""
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        refuse(error, lambda field: f"GATEPOST_{field.upper()}")


def refuse(error: ValidationError, named: Callable[[str], str]) -> NoReturn:
    """The first value that is refused, by the name that `named` gives its field."""
    first = error.errors()[0]
    field = str(first["loc"][0])
    value = "" if field == "database_url" else f" {first['input']!r}:"  # it may hold a password
    fail(f"{named(field)}:{value} {first['msg'].removeprefix('Value error, ')}", USAGE)


def duration_s(text: str | None) -> int | None:
    """Seconds of `90d`, `12h`, `30m`, `60s`."""
    if text is None:
        return None
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    found = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if found is None:
        raise typer.BadParameter(f"--expires-in {text!r}: write a number and a unit, such as 90d, 12h or 30m")
    return int(found[1]) * units[found[2]]


def local_caller() -> Caller:
    """Who uses this host's command line: whoever may open the database is its admin."""
    return Caller("local", f"local:{getpass.getuser()}", Role.admin, "local", f"cli_{os.getpid()}", "")


async def _with_session(settings: Settings, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
    database = Database(settings.database_url)
    try:
        state = await schema_state(database.writer)
        if not state.fits:
            raise StartError(
                f"The database's schema is {state.found or 'missing'}, this program needs {state.needed}. "
                "Run `gatepost-api migrate`."
            )
        async with database.writing() as session:
            return await work(session)
    finally:
        await database.close()


def existing(settings: Settings) -> Settings:
    """Refuse a database that is not there: a typing error must not make an empty one."""
    path = settings.sqlite_path
    if path is not None and not path.exists():
        fail(f"There is no database at {path}. Only `serve` and `migrate` create one.")
    return settings


def run(work: Awaitable[Result]) -> Result:
    """Run a command's work and turn what it raises into one line on stderr."""

    async def outer() -> Result:
        return await work

    try:
        return asyncio.run(outer())
    except StartError as error:
        fail(str(error))
    except ApiError as error:
        fail(error.detail)
    except SQLAlchemyError as error:
        fail(f"The database cannot be used: {str(error).splitlines()[0]}")


async def _migrate(settings: Settings) -> str:
    engine = create_writer(settings.database_url)
    try:
        await migrate_schema(engine)
        return (await schema_state(engine)).needed
    finally:
        await engine.dispose()


@app.command()
def migrate(database_url: DatabaseUrl = None) -> None:
    """Create the database, or bring it to the schema of this version."""
    settings = settings_with(database_url=database_url)
    try:
        signer = load_or_create_signer(settings.key_path)
    except (StartError, OSError) as error:
        fail(str(error))
    version = run(_migrate(settings))
    print(f"schema {version}; signing key {signer.public.fingerprint}", file=sys.stderr)


async def _prepare(settings: Settings) -> None:
    engine = create_writer(settings.database_url)
    try:
        if settings.sqlite_path is not None:
            await migrate_schema(engine)
        state = await schema_state(engine)
        if not state.fits:
            raise StartError(
                f"The database's schema is {state.found or 'missing'}, this version needs {state.needed}. "
                "Run `gatepost-api migrate` first."
            )
    finally:
        await engine.dispose()


@app.command()
def serve(  # noqa: PLR0917 - options, never positions
    host: Annotated[str | None, typer.Option(help="127.0.0.1; another needs TLS")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="8025; 0 takes a free one")] = None,
    database_url: DatabaseUrl = None,
    tls_cert: Annotated[Path | None, typer.Option(exists=True, dir_okay=False)] = None,
    tls_key: Annotated[Path | None, typer.Option(exists=True, dir_okay=False)] = None,
    behind_tls_proxy: Annotated[bool | None, typer.Option("--behind-tls-proxy")] = None,
) -> None:
    """Run the control plane; SQLite is migrated first, PostgreSQL by `gatepost-api migrate`."""
    settings = settings_with(
        host=host,
        port=port,
        database_url=database_url,
        tls_cert=tls_cert,
        tls_key=tls_key,
        behind_tls_proxy=behind_tls_proxy,
    )
    from gatepost_api import logs, serving  # the application: short commands start without it

    logs.configure(settings.log_level)
    try:
        check_exposure(settings)
    except StartError as error:
        fail(str(error), USAGE)
    run(_prepare(settings))
    try:
        serving.run(settings)
    except (StartError, OSError) as error:
        fail(str(error))


@token.command("create")
def create_token(
    name: Annotated[str, typer.Option(help="Who uses it; shown in the audit trail")],
    role: Annotated[str, typer.Option(help="viewer, operator or admin")] = "viewer",
    expires_in: Annotated[str | None, typer.Option(help="such as 90d; for ever without it")] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print a new token, this once and alone."""
    settings = existing(settings_with(database_url=database_url))
    try:
        wanted = ApiTokenIn.model_validate(
            {"name": name, "role": role, "expires_in_s": duration_s(expires_in)}
        )
    except ValidationError as error:
        refuse(error, lambda field: f"--{field.removesuffix('_s').replace('_', '-')}")
    created = run(_with_session(settings, lambda session: service.create(session, local_caller(), wanted)))
    print(created.token)


@token.command("list")
def list_tokens(
    output: Annotated[
        Output, typer.Option("--output", "-o", help="For people or for programs")
    ] = Output.table,
    database_url: DatabaseUrl = None,
) -> None:
    """Every token, without its secret."""
    settings = existing(settings_with(database_url=database_url))
    rows = run(_with_session(settings, lambda session: repository.list_tokens(session, None, 10_000)))
    if output is Output.json:
        listed = [service.shown(row).model_dump(mode="json") for row in rows]
        print(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    for row in rows:
        print(f"{row.id}  {row.role:8}  {_state_of(row.revoked_at, row.expires_at):30}  {row.name}")


def _state_of(revoked_at: datetime | None, expires_at: datetime | None) -> str:
    if revoked_at is not None:
        return f"revoked {revoked_at:%Y-%m-%d %H:%M}"
    if expires_at is None:
        return "active"
    verb = "expired" if expires_at <= datetime.now(UTC) else "expires"
    return f"{verb} {expires_at:%Y-%m-%d %H:%M}"


@token.command("revoke")
def revoke_token(
    token_id: Annotated[str | None, typer.Argument(help="Its id, as `token list` shows it")] = None,
    name: Annotated[str | None, typer.Option(help="Its name instead of its id")] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """End a token at once."""
    if (token_id is None) == (name is None):
        raise typer.BadParameter("give the token's id or --name")
    settings = existing(settings_with(database_url=database_url))

    async def work(session: AsyncSession) -> str:
        found = await repository.live_token_named(session, name) if name else None
        handle = found.id if found else token_id
        if handle is None:
            raise StartError(f"There is no live token named {name!r}.")
        return (await service.revoke(session, local_caller(), handle, None)).id

    print(f"revoked {run(_with_session(settings, work))}", file=sys.stderr)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The file to write; must not exist")],
    database_url: DatabaseUrl = None,
) -> None:
    """Copy the SQLite database while the control plane runs. The signing key is a file of its own."""
    settings = existing(settings_with(database_url=database_url))
    source = settings.sqlite_path
    if source is None:
        fail("PostgreSQL is backed up by its own tools (pg_dump).", USAGE)
    if target.exists():
        fail(f"{target.absolute()} exists; give a new name.")
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy)
    except sqlite3.Error as error:
        fail(f"{source} cannot be copied to {target.absolute()}: {error}")
    print(f"wrote {target.absolute()}; the signing key {settings.key_path} is not in it", file=sys.stderr)


def main() -> None:
    """The console script: files it makes are the owner's alone, and usage errors exit 64."""
    os.umask(0o077)
    try:
        app()
    except SystemExit as end:
        raise SystemExit(USAGE if end.code == 2 else end.code) from None


if __name__ == "__main__":
    main()
