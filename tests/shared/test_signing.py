"""The signed envelope: only a trusted key's signature over exactly these bytes, as exactly this kind."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.signing import SignatureError, Signed, Signer, new_seed, parse_public_key, verify

_SIGNER = Signer(bytes(range(32)))


@given(st.binary(max_size=200))
def test_what_was_signed_is_verified(payload: bytes) -> None:
    signed = _SIGNER.sign("bundle", payload)
    again = Signed.model_validate_json(signed.model_dump_json())
    assert verify(again, "bundle", (_SIGNER.public,)) == payload


def test_an_offer_is_never_taken_for_a_bundle() -> None:
    signed = _SIGNER.sign("offer", b"{}")
    with pytest.raises(SignatureError, match="expected bundle"):
        verify(signed, "bundle", (_SIGNER.public,))
    with pytest.raises(SignatureError, match="does not hold"):
        verify(signed.model_copy(update={"kind": "bundle"}), "bundle", (_SIGNER.public,))


def test_another_key_is_not_trusted_even_under_a_trusted_name() -> None:
    other = Signer(new_seed())
    signed = other.sign("bundle", b"{}")
    with pytest.raises(SignatureError, match="not a trusted key"):
        verify(signed, "bundle", (_SIGNER.public,))
    with pytest.raises(SignatureError, match="does not hold"):
        verify(signed.model_copy(update={"key": _SIGNER.public.fingerprint}), "bundle", (_SIGNER.public,))


@given(st.integers(min_value=0, max_value=18), st.integers(min_value=1, max_value=255))
def test_a_changed_octet_is_seen(at: int, flip: int) -> None:
    signed = _SIGNER.sign("bundle", b'{"schema_number":1}')
    payload = bytearray(signed.unverified())
    payload[at] ^= flip
    changed = signed.model_copy(update={"payload": base64.b64encode(bytes(payload)).decode()})
    with pytest.raises(SignatureError):
        verify(changed, "bundle", (_SIGNER.public,))


def test_keys_read_and_write_alike() -> None:
    assert parse_public_key(_SIGNER.public.text) == _SIGNER.public
    for text in ("", "ed25519:", "ed25519:!!", "rsa:AAAA", "ed25519:AAAA"):
        with pytest.raises(SignatureError):
            parse_public_key(text)
