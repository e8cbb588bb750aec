"""Enrolment: one token, one key, one identity; again under the same name costs nothing."""

import asyncio
import json
import ssl
import stat
from pathlib import Path

import pytest
import trustme

from gatepost.signing import Signer, new_seed
from gatepost.tokens import enrollment_token
from gatepost_agent.control.enroll import KeyMismatch
from gatepost_agent.control.enrolment import Asked, enrolled
from gatepost_agent.control.identity import load_identity, load_tokens, load_trust
from gatepost_agent.control.link import TurnedAway, Unreachable
from gatepost_agent.control.state_folder import StateFolder
from gatepost_agent.errors import StateRefused, UsageRefused
from tests.agent.control.control_plane import SECRET, SERVER_ID, ControlPlane


def _asked(plane: ControlPlane, name: str = "mx1", **changes: object) -> Asked:
    asked = Asked((plane.url,), plane.token, name, {"site": "fra"}, {"internal": "10.1.1.1"})
    return asked._replace(**changes)  # type: ignore[arg-type]


def test_the_identity_is_on_disk_for_nobody_else(plane: ControlPlane, state_dir: Path) -> None:
    identity, is_new = asyncio.run(enrolled(state_dir, _asked(plane)))
    folder = StateFolder.open(state_dir)
    assert is_new
    assert load_identity(folder) == identity
    assert identity.server_id == SERVER_ID
    assert load_tokens(folder).token == plane.agent_token
    assert load_trust(folder).public_keys == (plane.signer.public,)
    assert plane.enrolled is not None
    assert plane.enrolled.labels == {"site": "fra"}
    assert plane.enrolled.addresses == {"internal": "10.1.1.1"}
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in state_dir.iterdir()} == {0o600}


def test_enrolling_again_under_the_same_name_asks_nobody(plane: ControlPlane, state_dir: Path) -> None:
    asyncio.run(enrolled(state_dir, _asked(plane)))
    asked = len(plane.asked)
    _, is_new = asyncio.run(enrolled(state_dir, _asked(plane)))
    assert not is_new
    assert len(plane.asked) == asked


def test_another_name_needs_another_folder(plane: ControlPlane, state_dir: Path) -> None:
    asyncio.run(enrolled(state_dir, _asked(plane)))
    with pytest.raises(StateRefused, match="is enrolled as mx1"):
        asyncio.run(enrolled(state_dir, _asked(plane, "mx2")))


def test_a_lost_answer_costs_no_second_use(plane: ControlPlane, state_dir: Path) -> None:
    plane.trouble = (502, {}, b"")
    with pytest.raises(Unreachable, match="answered 502"):
        asyncio.run(enrolled(state_dir, _asked(plane)))
    plane.trouble = None
    asyncio.run(enrolled(state_dir, _asked(plane)))
    (state_dir / "identity.json").unlink()  # as if the answer had been lost
    asyncio.run(enrolled(state_dir, _asked(plane)))
    assert plane.token_uses == 1


def test_the_next_address_is_asked_when_one_is_dead(plane: ControlPlane, state_dir: Path) -> None:
    dead = "http://127.0.0.1:9"
    with pytest.raises(Unreachable, match=f"{dead}: .*; {dead}: "):
        asyncio.run(enrolled(state_dir, _asked(plane, urls=(dead, dead))))
    identity, _ = asyncio.run(enrolled(state_dir, _asked(plane, urls=(dead, plane.url))))
    assert identity.urls == (dead, plane.url)


def test_whoever_lacks_the_vouched_key_is_not_believed(plane: ControlPlane, state_dir: Path) -> None:
    token = enrollment_token("abc234", SECRET, Signer(new_seed()).public)
    with pytest.raises(KeyMismatch):
        asyncio.run(enrolled(state_dir, _asked(plane, token=token)))
    assert not (state_dir / "identity.json").exists()
    assert not (state_dir / "trust.json").exists()


def test_only_the_vouched_key_of_a_ring_is_trusted(plane: ControlPlane, state_dir: Path) -> None:
    plane.ring = (Signer(new_seed()).public.text, *plane.ring)
    asyncio.run(enrolled(state_dir, _asked(plane)))
    assert load_trust(StateFolder.open(state_dir)).public_keys == (plane.signer.public,)


def test_a_redirect_is_not_followed(plane: ControlPlane, state_dir: Path) -> None:
    plane.trouble = (307, {"Location": "http://127.0.0.1:1/agent/v1/enroll"}, b"")
    with pytest.raises(Unreachable, match="answered 307"):
        asyncio.run(enrolled(state_dir, _asked(plane)))
    assert plane.asked == ["POST /agent/v1/enroll"]


def test_a_refusal_says_what_the_control_plane_said(plane: ControlPlane, state_dir: Path) -> None:
    plane.trouble = (403, {}, json.dumps({"detail": "The token was used."}).encode())
    with pytest.raises(TurnedAway, match=r"The token was used\."):
        asyncio.run(enrolled(state_dir, _asked(plane)))


@pytest.mark.parametrize(
    "url", ["http://10.1.1.1", "ftp://127.0.0.1", "gatepost.contoso.com", "http://u:p@127.0.0.1"]
)
def test_addresses_that_would_show_the_token_are_refused(
    plane: ControlPlane, state_dir: Path, url: str
) -> None:
    with pytest.raises(UsageRefused):
        asyncio.run(enrolled(state_dir, _asked(plane, urls=(url,))))
    assert plane.asked == []


def test_something_that_is_no_token_is_refused_before_dialling(plane: ControlPlane, state_dir: Path) -> None:
    with pytest.raises(UsageRefused, match="not an enrollment token"):
        asyncio.run(enrolled(state_dir, _asked(plane, token="hunter2")))
    assert plane.asked == []


def test_tls_is_checked_against_the_ca_that_was_given(state_dir: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority.cert_pem.bytes())
    plane = ControlPlane(context)
    try:
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            asyncio.run(enrolled(state_dir, _asked(plane)))
        with pytest.raises(UsageRefused, match="is not a file"):
            asyncio.run(enrolled(state_dir, _asked(plane, ca_file=str(tmp_path / "none"))))
        identity, _ = asyncio.run(enrolled(state_dir, _asked(plane, ca_file=str(ca_file))))
    finally:
        plane.close()
    assert identity.ca_file == str(ca_file)
    assert identity.urls[0].startswith("https://")
