"""The denied set of a host: three sources, kept on disk, lifted only by an operator's act."""

import pytest

from gatepost.policy.model.addresses import parse_address
from gatepost.signing import Signed, Signer, new_seed
from gatepost.wire import DeniedList, DeniedRange
from gatepost_agent.control.denied import Denials, Refused
from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.current import Current
from gatepost_agent.errors import StateRefused, UsageRefused

SIGNER = Signer(new_seed())
KEYS = (SIGNER.public,)


def _signed(version: int, *ranges: str, server_id: str = "srv") -> Signed:
    entries = tuple(DeniedRange(range=text) for text in ranges)
    content = DeniedList(server_id=server_id, version=version, entries=entries)
    return SIGNER.sign("directive", content.model_dump_json().encode())


def _made(folder: StateFolder) -> tuple[Denials, Current]:
    current = Current()
    return Denials(folder, current, "srv"), current


def _effect(current: Current, text: str) -> str:
    found = current.denied.lookup(parse_address(text))
    return found.effect if found else ""


def test_sources_add_up_and_no_service_wins(folder: StateFolder) -> None:
    denials, current = _made(folder)
    denials.take(_signed(1, "10.0.0.0/24"), KEYS)
    denials.deny("10.0.1.1", "floods")
    denials.keep((DeniedRange(range="10.0.0.5-10.0.2.5", effect="no_relay", source="return"),))
    assert _effect(current, "10.0.0.5") == "no_service"
    assert _effect(current, "10.0.1.1") == "no_service"
    assert _effect(current, "10.0.2.5") == "no_relay"
    assert _effect(current, "10.0.2.6") == ""
    assert len(denials.all()) == 3


def test_versions_only_rise(folder: StateFolder) -> None:
    denials, current = _made(folder)
    denials.take(_signed(2, "10.0.0.1"), KEYS)
    denials.take(_signed(1), KEYS)  # an old list, played again
    assert _effect(current, "10.0.0.1") == "no_service"
    denials.take(_signed(3), KEYS)  # lifted by an operator there
    assert _effect(current, "10.0.0.1") == ""


def test_another_servers_list_is_refused(folder: StateFolder) -> None:
    denials, _ = _made(folder)
    with pytest.raises(Refused, match="this is srv"):
        denials.take(_signed(1, "10.0.0.1", server_id="other"), KEYS)


def test_a_denial_of_this_host_stays_until_it_is_lifted_here(folder: StateFolder) -> None:
    denials, _ = _made(folder)
    denials.deny("10.0.0.0/24", "")
    again, current = _made(folder)
    assert _effect(current, "10.0.0.7") == "no_service"
    with pytest.raises(UsageRefused, match="at the control plane"):
        again.lift("10.0.0.7")
    again.lift("10.0.0.0/24")
    assert _effect(current, "10.0.0.7") == ""
    assert _effect(_made(folder)[1], "10.0.0.7") == ""


def test_any_address_can_be_denied_even_one_that_nobody_may_list(folder: StateFolder) -> None:
    denials, current = _made(folder)
    denials.deny("2002::/16", "")
    denials.take(_signed(1, "64:ff9b::1"), KEYS)
    assert _effect(current, "2002::1") == "no_service"
    assert _effect(current, "64:ff9b::1") == "no_service"


def test_nonsense_is_refused_with_a_remedy(folder: StateFolder) -> None:
    denials, _ = _made(folder)
    with pytest.raises(UsageRefused, match="Write a single address"):
        denials.deny("printer", "")


def test_a_damaged_file_is_no_empty_list(folder: StateFolder) -> None:
    folder.write("denied-fleet.json", b"{}")
    with pytest.raises(StateRefused, match=r"denied-fleet\.json"):
        _made(folder)
