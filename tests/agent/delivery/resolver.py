"""DNS with behaviour: zones that tests write, domains that are gone, and silence for everything else."""

from gatepost_agent.delivery.dns import MxHost
from gatepost_agent.delivery.errors import HopFailed, NoSuchDomain


class FakeResolver:
    """`mail` and `hosts` are the zones; a domain in `dead` does not exist; what is in none of them never answers."""

    def __init__(self) -> None:
        self.mail: dict[str, list[tuple[int, str]]] = {}
        self.hosts: dict[str, list[str]] = {}
        self.dead: set[str] = set()
        self.asked: list[str] = []

    async def mx(self, domain: str) -> list[MxHost]:
        self.asked.append(domain)
        if domain in self.dead:
            raise NoSuchDomain(f"no such domain: {domain}", status="5.1.2")
        if domain not in self.mail:
            raise HopFailed(f"no answer from DNS for {domain}", status="4.4.3")
        return [MxHost(*row) for row in self.mail[domain]]

    async def addresses(self, host: str) -> list[str]:
        self.asked.append(host)
        if host in self.dead:
            raise NoSuchDomain(f"no such domain: {host}", status="5.1.2")
        if host not in self.hosts:
            raise HopFailed(f"no answer from DNS for {host}", status="4.4.3")
        return list(self.hosts[host])

    async def named(self, host: str) -> list[str]:
        return await self.addresses(host)
