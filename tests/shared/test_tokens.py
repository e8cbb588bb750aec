"""Enrollment tokens carry the fingerprint of the key that an agent shall trust."""

import pytest

from gatepost.signing import Signer, new_seed
from gatepost.tokens import BadToken, enrollment_token, parse_enrollment_token

SECRET = "a_B-" * 10 + "xyz"


def test_a_token_says_which_key_to_trust() -> None:
    key, other = Signer(new_seed()).public, Signer(new_seed()).public
    token = parse_enrollment_token(enrollment_token("abc234", SECRET, key) + "\n")
    assert token.id == "abc234"
    assert token.admits(key)
    assert not token.admits(other)


@pytest.mark.parametrize("text", ["", "gp_api_x", "gp_enr_abc_short_ff_00000000"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadToken, match="not an enrollment token"):
        parse_enrollment_token(text)


def test_a_damaged_token_is_refused_without_showing_it() -> None:
    text = enrollment_token("abc234", SECRET, Signer(new_seed()).public)
    damaged = text.replace("abc234", "abc235")
    with pytest.raises(BadToken, match="copy it again") as caught:
        parse_enrollment_token(damaged)
    assert SECRET not in str(caught.value)


def test_a_token_is_not_shown_by_accident() -> None:
    token = parse_enrollment_token(enrollment_token("abc234", SECRET, Signer(new_seed()).public))
    assert SECRET not in repr(token)
