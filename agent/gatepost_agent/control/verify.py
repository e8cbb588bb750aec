"""Is this offer for us, is it newer, is it signed: everything that is checked before a byte of a bundle is parsed."""

from collections.abc import Iterable

from pydantic import ValidationError

from gatepost.policy.model.bundle import digest
from gatepost.signing import PublicKey, SignatureError, Signed, verify
from gatepost.wire import AttemptError, Offer, Phase


class Rejected(Exception):
    """A config that does not come to run, and why."""

    def __init__(self, phase: Phase, errors: Iterable[AttemptError]) -> None:
        self.phase: Phase = phase
        self.errors = tuple(errors)[:50]
        super().__init__("; ".join(error.detail for error in self.errors))


def rejected(
    phase: Phase, kind: str, detail: object, *, pointer: str = "", retryable: bool = False
) -> Rejected:
    """A rejection for one reason; `kind` is the last part of its problem type."""
    reason = AttemptError(
        type=f"/problems/{kind}", detail=str(detail)[:1024], pointer=pointer[:1024], retryable=retryable
    )
    return Rejected(phase, (reason,))


def open_offer(signed: Signed, keys: tuple[PublicKey, ...], server_id: str, floor: int) -> Offer:
    """The offer inside, once it is seen to be for this server and not an old one. Raises Rejected."""
    try:
        offer = Offer.model_validate_json(verify(signed, "offer", keys))
    except SignatureError as error:
        raise rejected("verify", "bad-signature", error) from error
    except ValidationError as error:
        raise rejected("verify", "unknown-offer", _first(error)) from error
    if offer.server_id != server_id:
        raise rejected("verify", "other-server", f"the offer is for {offer.server_id}, this is {server_id}")
    if offer.generation < floor:
        detail = f"generation {offer.generation} is older than {floor}, which was taken up before"
        raise rejected("verify", "old-generation", detail)
    return offer


def open_bundle(signed: Signed, offer: Offer, keys: tuple[PublicKey, ...]) -> bytes:
    """The bundle's bytes, once they are seen to be what the offer names. Raises Rejected."""
    try:
        content = verify(signed, "bundle", keys)
    except SignatureError as error:
        raise rejected("verify", "bad-signature", error) from error
    if digest(content) != offer.digest:
        raise rejected(
            "verify", "wrong-digest", f"the bundle is {digest(content)}, offered was {offer.digest}"
        )
    return content


def claimed(signed: Signed) -> tuple[int, str]:
    """The generation and digest that an unverified offer names, to report its refusal; (0, "") if it names none."""
    try:
        offer = Offer.model_validate_json(signed.unverified())
    except ValueError:
        return 0, ""
    return offer.generation, offer.digest


def _first(error: ValidationError) -> str:
    item = error.errors(include_url=False, include_input=False)[0]
    return f"{'/'.join(str(step) for step in item['loc'])}: {item['msg']}"
