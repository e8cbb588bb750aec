"""Listeners change as a set, refuse with a reason, and never reset a client that was let in."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gatepost.policy.model.addresses import parse_binding
from gatepost_agent.current import ListenError
from gatepost_agent.smtp.listeners import Listeners
from tests.support.waiting import eventually

Run = Callable[[Any], Any]


def greet(connection: socket.socket, _client: object) -> None:
    connection.send(b"220 ready\r\n")
    connection.close()


@asynccontextmanager
async def listeners(**options: Any) -> Any:
    made = Listeners(greet, handshake_s=0.02, **options)
    try:
        yield made
    finally:
        await made.close()


async def listen(made: Listeners, *bindings: str) -> None:
    await (await made.stage(map(parse_binding, bindings))).commit()


def hear(address: str, port: int) -> bytes:
    """What a client is greeted with."""
    with socket.create_connection((address, port), timeout=10) as client:
        heard = b""
        while block := client.recv(100):
            heard += block
        return heard


async def greeted(address: str, port: int) -> bool:
    return await asyncio.to_thread(hear, address, port) == b"220 ready\r\n"


def test_a_wildcard_serves_every_address_of_its_port(run: Run, free_port: Callable[[str], int]) -> None:
    port = free_port("0.0.0.0")

    async def story() -> None:
        async with listeners() as made:
            await listen(made, f"127.0.0.1:{port}", f"0.0.0.0:{port}")
            assert made.addresses() == (f"0.0.0.0:{port}",)
            assert await greeted("127.0.0.7", port)

    run(story())


def test_ipv4_and_ipv6_of_one_port_are_sockets_of_their_own(
    run: Run, free_port: Callable[[str], int]
) -> None:
    port = free_port("::")

    async def story() -> None:
        async with listeners() as made:
            await listen(made, f"[::]:{port}")
            with pytest.raises(ConnectionRefusedError):
                await greeted("127.0.0.1", port)
            await listen(made, f"[::]:{port}", f"0.0.0.0:{port}")
            assert await greeted("127.0.0.1", port)
            assert await greeted("::1", port)

    run(story())


def test_a_removed_port_is_closed_and_a_new_one_opened(run: Run, free_port: Callable[[str], int]) -> None:
    old, new = free_port("127.0.0.1"), free_port("127.0.0.1")

    async def story() -> None:
        async with listeners() as made:
            await listen(made, f"127.0.0.1:{old}")
            await listen(made, f"127.0.0.1:{new}")
            assert await greeted("127.0.0.1", new)
            with pytest.raises(ConnectionRefusedError):
                await greeted("127.0.0.1", old)

    run(story())


def test_a_staged_set_changes_nothing_until_it_is_committed(
    run: Run, free_port: Callable[[str], int]
) -> None:
    port, other = free_port("127.0.0.1"), free_port("127.0.0.1")

    async def story() -> None:
        async with listeners() as made:
            await listen(made, f"127.0.0.1:{port}")
            stage = await made.stage([parse_binding(f"0.0.0.0:{port}"), parse_binding(f"127.0.0.1:{other}")])
            assert made.addresses() == (f"127.0.0.1:{port}",)
            with pytest.raises(ConnectionRefusedError):
                await greeted("127.0.0.1", other)
            await stage.abandon()
            assert await greeted("127.0.0.1", port)
            await listen(made, f"127.0.0.1:{other}")

    run(story())


def test_new_sockets_greet_nobody_before_the_swap_that_follows_the_commit(
    run: Run, free_port: Callable[[str], int]
) -> None:
    old, new = free_port("127.0.0.1"), free_port("127.0.0.1")
    running = ["first"]
    seen: dict[int, str] = {}

    def note(connection: socket.socket, _client: object) -> None:
        seen[connection.getsockname()[1]] = running[0]
        greet(connection, _client)

    async def story() -> None:
        made = Listeners(note)
        await listen(made, f"127.0.0.1:{old}")
        stage = await made.stage([parse_binding(f"127.0.0.1:{new}")])
        client = asyncio.create_task(_connected_during(stage.commit, new))
        await client
        running[0] = "second"
        assert await greeted("127.0.0.1", new)
        await made.close()
        assert seen == {new: "second"}

    async def _connected_during(commit: Callable[[], Any], port: int) -> None:
        # In the kernel's queue before the commit has ended: the socket listens from its first step on.
        pending = asyncio.create_task(commit())
        await asyncio.sleep(0)
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            await pending

    run(story())


def test_another_process_on_the_port_is_named(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        async def story() -> None:
            async with listeners() as made:
                with pytest.raises(
                    ListenError, match=rf"127\.0\.0\.1:{port}: .* taken by .+ \(pid \d+\)"
                ) as refused:
                    await made.stage([parse_binding(f"127.0.0.1:{port}")])
                assert refused.value.retryable

        run(story())


def test_a_socket_that_cannot_listen_leaves_all_as_it_was(run: Run, free_port: Callable[[str], int]) -> None:
    """Two binds both succeed while neither listens; the second listen fails."""
    old, free, taken = (free_port("127.0.0.1") for _ in range(3))

    async def story() -> None:
        async with listeners() as made:
            await listen(made, f"127.0.0.1:{old}")
            stage = await made.stage(parse_binding(f"127.0.0.1:{port}") for port in (free, taken))
            with socket.socket() as thief:
                thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                thief.bind(("127.0.0.1", taken))
                thief.listen()
                with pytest.raises(ListenError, match=f"127.0.0.1:{taken}"):
                    await stage.commit()
            assert made.addresses() == (f"127.0.0.1:{old}",)
            assert await greeted("127.0.0.1", old)
            with pytest.raises(ConnectionRefusedError):
                await greeted("127.0.0.1", free)

    run(story())


@pytest.mark.parametrize("bindings", [["192.0.2.1:{port}"], ["0.0.0.0:{port}", "192.0.2.1:{port}"]])
def test_an_address_that_is_not_this_hosts_is_refused(
    run: Run, free_port: Callable[[str], int], bindings: list[str]
) -> None:
    port = free_port("0.0.0.0")

    async def story() -> None:
        async with listeners() as made:
            with pytest.raises(ListenError, match=r"192\.0\.2\.1.*not an address of this host") as refused:
                await made.stage(parse_binding(text.format(port=port)) for text in bindings)
            assert not refused.value.retryable
            await listen(made, f"127.0.0.1:{port}")  # nothing is left bound

    run(story())


def test_a_name_that_was_not_filled_in_is_refused(run: Run) -> None:
    async def story() -> None:
        async with listeners() as made:
            with pytest.raises(ListenError, match=r"\{internal\}:25: .*no address of that name"):
                await made.stage([parse_binding("{internal}:25")])

    run(story())


def test_after_a_swap_a_second_agent_cannot_share_the_port(run: Run, free_port: Callable[[str], int]) -> None:
    port = free_port("0.0.0.0")

    async def story() -> None:
        async with listeners() as made, listeners() as second:
            await listen(made, f"127.0.0.1:{port}")
            await listen(made, f"0.0.0.0:{port}")
            for binding in (f"127.0.0.1:{port}", f"0.0.0.0:{port}"):
                with pytest.raises(ListenError, match="taken"):
                    await second.stage([parse_binding(binding)])

    run(story())


def test_without_room_clients_wait_in_the_queue(run: Run, free_port: Callable[[str], int]) -> None:
    port = free_port("127.0.0.1")
    room: list[bool] = []

    async def story() -> None:
        async with listeners(may_accept=lambda: bool(room)) as made:
            await listen(made, f"127.0.0.1:{port}")
            waiting = asyncio.create_task(greeted("127.0.0.1", port))
            done, _ = await asyncio.wait({waiting}, timeout=0.3)
            assert not done
            room.append(True)
            assert await waiting

    run(story())


def test_closing_greets_those_who_wait(run: Run, free_port: Callable[[str], int]) -> None:
    port = free_port("127.0.0.1")

    async def story() -> None:
        made = Listeners(greet)
        await listen(made, f"127.0.0.1:{port}")
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            await made.close()
            assert await asyncio.to_thread(client.recv, 100) == b"220 ready\r\n"

    run(story())


class Client:
    """Connects again and again; whatever goes wrong ends it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.greeted = 0
        self.stopping = False

    def run(self) -> None:
        while not self.stopping:
            assert hear("127.0.0.1", self.port) == b"220 ready\r\n"
            self.greeted += 1


def test_200_swaps_under_load_reset_no_client(run: Run, free_port: Callable[[str], int]) -> None:
    """Closing at once reset hundreds of connections; draining alone lost one in a few swaps to the wildcard."""
    port = free_port("0.0.0.0")
    clients = [Client(port) for _ in range(8)]

    def greeted() -> int:
        return sum(client.greeted for client in clients)

    async def story() -> None:
        made = Listeners(greet, handshake_s=0)  # on loopback a handshake is over at once
        await listen(made, f"127.0.0.1:{port}")
        with ThreadPoolExecutor(len(clients)) as pool:
            running = [asyncio.get_running_loop().run_in_executor(pool, client.run) for client in clients]
            for turn in range(200):
                await listen(made, f"{'127.0.0.1' if turn % 2 else '0.0.0.0'}:{port}")
                enough = greeted() + 8
                await eventually(lambda enough=enough: greeted() > enough)
            for client in clients:
                client.stopping = True
            await asyncio.gather(*running)
        await made.close()

    run(story())
