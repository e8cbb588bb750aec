"""Delivery follows the policy that runs."""

import asyncio
from pathlib import Path

import pytest

from gatepost.policy.dialogue.compiled import Policy
from gatepost.policy.dialogue.routing import Mx
from gatepost_agent.delivery.errors import HopFailed
from gatepost_agent.sending import Sending, names_in
from tests.agent.spool.samples import opened
from tests.support.policies import policy

OUTSIDE = "93.184.215.14"  # such as the address that NAT gives us


def known_at(address: str, *bindings: str) -> Policy:
    return policy({"name": "in", "bindings": list(bindings)}, addresses={"outside": address})


def test_our_names_are_the_policys_and_the_addresses_that_are_bound() -> None:
    names = names_in(known_at(OUTSIDE, "0.0.0.0:25", "192.0.2.7:25", "[2001:db8::7]:25"))
    assert names == {"mx1.contoso.com", OUTSIDE, "192.0.2.7", "2001:db8::7"}


def test_no_mail_goes_to_an_address_that_the_policy_calls_ours(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "spool") as spool:
            sending = Sending(spool, tmp_path)
            to_us = Mx("out", f"[{OUTSIDE}]", 25)
            assert await sending._finder.find(to_us, allow_private=False)
            sending.follow(known_at(OUTSIDE, "0.0.0.0:25"))
            with pytest.raises(HopFailed, match="no address that may be used"):
                await sending._finder.find(to_us, allow_private=False)
            sending.follow(known_at("93.184.215.15", "0.0.0.0:25"))
            assert await sending._finder.find(to_us, allow_private=False)
            sending._resolver.close()

    asyncio.run(story())


def test_delivery_opens_no_more_connections_than_the_host_can_bear(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "spool") as spool:
            sending = Sending(spool, tmp_path, most_connections=7)
            assert sending._delivery._pool._most == 7
            sending._resolver.close()

    asyncio.run(story())
