"""The denied set against a brute-force oracle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.policy.dialogue.denied import Denial, DeniedSet
from gatepost.policy.model.addresses import Address, parse_address

_BASE = int(parse_address("10.0.0.0").value)


def _denial(lo: int, size: int, effect: str) -> Denial:
    first, last = Address(4, _BASE + lo), Address(4, _BASE + lo + size)
    return Denial(f"{first}-{last}", "no_service" if effect == "no_service" else "no_relay", "block")


_DENIALS = st.lists(
    st.builds(_denial, st.integers(0, 20), st.integers(0, 10), st.sampled_from(["no_service", "no_relay"])),
    max_size=6,
)


@given(_DENIALS)
def test_every_address_is_denied_exactly_as_some_row_says(denials: list[Denial]) -> None:
    found = DeniedSet(denials)
    for offset in range(-1, 34):
        address = Address(4, _BASE + offset)
        effects = {
            d.effect
            for d in denials
            if parse_address(d.range.split("-")[0]).value
            <= address.value
            <= parse_address(d.range.split("-")[1]).value
        }
        held = found.lookup(address)
        expected = "no_service" if "no_service" in effects else next(iter(effects), None)
        assert (held.effect if held else None) == expected


def test_versions_are_apart() -> None:
    assert DeniedSet([Denial("0.0.0.0/0", "no_service", "block")]).lookup(parse_address("::1")) is None


def test_space_that_nobody_may_list_can_still_be_denied() -> None:
    inside = parse_address("64:ff9b::1")
    assert DeniedSet([Denial("64:ff9b::/96", "no_relay", "rollback")]).lookup(inside) is not None


@pytest.mark.parametrize("text", ["::ffff:10.1.2.3", "::FFFF:0A01:0203", "::ffff:10.1.0.0/112"])
def test_a_v4_mapped_denial_meets_the_ipv4_client(text: str) -> None:
    denied = DeniedSet([Denial(text, "no_service", "deny")])
    assert denied.lookup(parse_address("10.1.2.3")) is not None
    assert denied.lookup(parse_address("::ffff:10.1.2.3")) is not None
    assert denied.lookup(parse_address("10.2.0.0")) is None
