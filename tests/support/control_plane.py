"""A control plane in this process, and a fake agent with behaviour: it keeps its keys, tokens, offers and counts."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from gatepost.signing import Signed, Signer, new_seed, parse_public_key, verify
from gatepost.wire import (
    Attempt,
    CheckinReply,
    CheckinRequest,
    CounterSet,
    EnrollReply,
    Health,
    Offer,
    Outcome,
    Running,
)
from gatepost_api.app import create_app
from gatepost_api.auth import Role
from gatepost_api.cli import local_caller
from gatepost_api.db import Database, create_writer
from gatepost_api.schema import migrate
from gatepost_api.settings import Settings
from gatepost_api.tokens import service as tokens
from gatepost_api.tokens.schemas import ApiTokenIn

DOCUMENT = """
accepted_domains:
  - {domain: contoso.com, type: authoritative}
connectors:
  - name: Default Frontend
    bindings: ["0.0.0.0:25"]
    remote_ip_ranges: ["0.0.0.0-255.255.255.255"]
    permission_groups: [AnonymousUsers]
  - name: Anonymous Relay
    bindings: ["0.0.0.0:25"]
    remote_ip_ranges: [192.168.5.10, 192.168.5.11, 10.20.0.0/24]
    permission_groups: [AnonymousUsers]
    permissions:
      - {principal: 'NT AUTHORITY\\ANONYMOUS LOGON', rights: [Ms-Exch-SMTP-Accept-Any-Recipient]}
send_connectors:
  - {name: Smart host, address_spaces: ["*"], smart_hosts: ["smtp.contoso.com:25"]}
"""
YAML = {"Content-Type": "application/yaml"}


async def migrated(url: str) -> None:
    """Bring a database to the newest schema."""
    engine = create_writer(url)
    await migrate(engine)
    await engine.dispose()


class World:
    """The application, and clients of each role."""

    def __init__(self, app: FastAPI, clients: dict[Role, httpx.AsyncClient]) -> None:
        self.app = app
        self.clients = clients
        self.admin = clients[Role.admin]
        self.operator = clients[Role.operator]
        self.viewer = clients[Role.viewer]

    def anonymous(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://gatepost", **options
        )

    async def put_draft(self, text: str = DOCUMENT) -> httpx.Response:
        tag = (await self.operator.get("/v1/draft")).headers["etag"]
        return await self.operator.put("/v1/draft", content=text, headers=YAML | {"If-Match": tag})

    async def publish(self, text: str | None = None, **body: Any) -> httpx.Response:
        """Publish, after putting `text` when it is given."""
        if text is not None:
            put = await self.put_draft(text)
            assert put.status_code == 200, put.text
        tag = (await self.operator.get("/v1/draft")).headers["etag"]
        return await self.operator.post("/v1/revisions", json=body, headers={"If-Match": tag})

    async def enroll(self, name: str = "mx1", **granted: Any) -> "FakeAgent":
        created = await self.admin.post("/v1/enrollment-tokens", json={"name": name, **granted})
        assert created.status_code == 201, created.text
        agent = FakeAgent(self, name)
        assert (await agent.enroll(created.json()["token"])).status_code == 201
        return agent

    async def server(self, agent: "FakeAgent") -> dict[str, Any]:
        answer = await self.viewer.get(f"/v1/servers/{agent.server_id}")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown


class FakeAgent:
    """What an agent does on the wire, without a listener: it applies at once, or fails when told to."""

    def __init__(self, world: World, name: str) -> None:
        self.client = world.anonymous()
        self.name = name
        self.signer = Signer(new_seed())
        self.server_id = ""
        self.keys: tuple[Any, ...] = ()
        self.incarnation = "incarnation-1"
        self.seq = 0
        self.running: Running | None = None
        self.attempt: Attempt | None = None
        self.counters: tuple[CounterSet, ...] = ()
        self.denied_version = 0
        self.health = Health(status="ok")
        self.outcome: Outcome = "applied"
        self.bundles: list[bytes] = []
        self.offers: list[Offer] = []

    async def enroll(self, token: str, **claims: Any) -> httpx.Response:
        body = {"token": token, "public_key": self.signer.public.text, "name": self.name, **claims}
        answer = await self.client.post("/agent/v1/enroll", json=body)
        if answer.status_code == 201:
            reply = EnrollReply.model_validate_json(answer.content)
            self.server_id = reply.server_id
            self.client.headers["Authorization"] = f"Bearer {reply.agent_token}"
            self.keys = tuple(parse_public_key(key) for key in reply.keyring.keys)
        return answer

    def report(self, **other: Any) -> CheckinRequest:
        self.seq += 1
        values = {
            "seq": self.seq,
            "incarnation": self.incarnation,
            "facts_digest": "sha256:facts",
            "running": self.running,
            "last_attempt": self.attempt,
            "health": self.health,
            "denied_version": self.denied_version,
            "counters": self.counters,
        }
        return CheckinRequest(**(values | other))

    async def send(self, report: CheckinRequest, wait_s: int = 0) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        if wait_s:
            headers["Prefer"] = f"wait={wait_s}"
        return await self.client.post(
            "/agent/v1/checkin", content=report.model_dump_json(), headers=headers, timeout=30
        )

    async def checkin(self, wait_s: int = 0, **other: Any) -> CheckinReply:
        answer = await self.send(self.report(**other), wait_s)
        assert answer.status_code == 200, answer.text
        reply = CheckinReply.model_validate_json(answer.content)
        if reply.offer is not None:
            await self._take(reply.offer, reply.bundle)
        return reply

    async def _take(self, signed: Signed, bundle: Signed | None) -> None:
        offer = Offer.model_validate_json(verify(signed, "offer", self.keys))
        self.offers.append(offer)
        if bundle is None:
            answer = await self.client.get(f"/agent/v1/bundles/{offer.digest}")
            assert answer.status_code == 200, answer.text
            bundle = Signed.model_validate_json(answer.content)
        self.bundles.append(verify(bundle, "bundle", self.keys))
        self.attempt = Attempt(generation=offer.generation, digest=offer.digest, outcome=self.outcome)
        if self.outcome == "applied":
            self.running = Running(
                generation=offer.generation, revision=offer.revision, digest=offer.digest, settled=True
            )


@asynccontextmanager
async def control_plane(url: str, folder: Path, **options: Any) -> AsyncIterator[World]:
    """A running application on a migrated database, with one token of each role."""
    settings = Settings(
        database_url=url,
        signing_key_file=folder / "fleet.key",
        rate_per_s=10_000,
        rate_burst=10_000,
        **options,
    )
    app = create_app(settings)
    database = Database(url)
    texts = {}
    async with database.writing() as session:
        for role in Role:
            wanted = ApiTokenIn(name=f"test {role.name}", role=role.name)
            texts[role] = (await tokens.create(session, local_caller(), wanted)).token
    await database.close()
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        clients = {
            role: httpx.AsyncClient(
                transport=transport, base_url="http://gatepost", headers={"Authorization": f"Bearer {text}"}
            )
            for role, text in texts.items()
        }
        yield World(app, clients)


def sqlite_template(folder: Path) -> Path:
    """A migrated SQLite file to copy from."""
    path = folder / "template.sqlite"
    asyncio.run(migrated(f"sqlite:///{path}"))
    return path


def copy_of(template: Path, folder: Path) -> str:
    path = folder / "gatepost.sqlite"
    shutil.copyfile(template, path)
    return f"sqlite:///{path}"
