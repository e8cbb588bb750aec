"""From a bundle's bytes to a policy that listeners can hold: parsed strictly, tested, guarded, compiled."""

import json
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import ValidationError

from gatepost.policy.analysis.document_tests import run_tests
from gatepost.policy.dialogue.compiled import CannotCompile, Policy, bindings_of, compile_policy
from gatepost.policy.model.bundle import Bundle
from gatepost.policy.model.errors import faults
from gatepost.wire import AttemptError, Offer, Phase
from gatepost_agent.control.guard import Guard
from gatepost_agent.control.verify import Rejected
from gatepost_agent.tls_offer import impossible_offers


class Config(NamedTuple):
    """A config ready to run."""

    offer: Offer
    policy: Policy

    def place(self, binding: str) -> str:
        """The JSON pointer of a binding, as it is listened on, in the bundle; empty when it is none of these."""
        for at, connector in enumerate(self.policy.bundle.connectors):
            for number, known in enumerate(bindings_of(connector, self.offer.addresses)):
                if str(known) == binding:
                    return f"/connectors/{at}/bindings/{number}"
        return ""


def prepare(offer: Offer, content: bytes, guard: Guard, now: float) -> Config:
    """A config out of what was verified; now: seconds since 1970. Raises Rejected."""
    bundle = parsed(content)
    if bundle.tests:
        at_publish = compiled(offer, bundle, offer.published_at)
        results = run_tests(at_publish.policy, bundle.tests, offer.published_at)
        _raise("test", "test-failed", (result.told for result in results if not result.passed))
    config = _guarded(offer, bundle, guard, now)
    _raise("guard", "cannot-offer-tls", impossible_offers(config.policy))
    return config


def restore(offer: Offer, content: bytes, guard: Guard, now: float) -> Config:
    """A config from disk: its tests, which held when it was applied, are not run again. Raises Rejected."""
    return _guarded(offer, parsed(content), guard, now)


def parsed(content: bytes) -> Bundle:
    """A bundle, unknown fields and schemas refused. Raises Rejected."""
    try:
        data = json.loads(content)
        return Bundle.model_validate_json(content)
    except ValidationError as error:
        wrong = (
            AttemptError(
                type=f"/problems/{fault.type}",
                pointer=fault.pointer[:1024],
                detail=f"{fault.detail}: {fault.value!r}. {fault.remedy}"[:1024],
            )
            for fault in faults(error, data)
        )
        raise Rejected("parse", wrong) from error
    except ValueError as error:
        raise Rejected(
            "parse", (AttemptError(type="/problems/not-json", detail=str(error)[:1024]),)
        ) from error


def compiled(offer: Offer, bundle: Bundle, now: float) -> Config:
    """The bundle compiled for this server. Raises Rejected."""
    try:
        fqdn = offer.fqdn or offer.server
        return Config(offer, compile_policy(bundle, addresses=offer.addresses, fqdn=fqdn, now=now))
    except CannotCompile as error:
        reasons = (
            AttemptError(type="/problems/cannot-compile", detail=text[:1024]) for text in error.problems
        )
        raise Rejected("parse", reasons) from error


def _guarded(offer: Offer, bundle: Bundle, guard: Guard, now: float) -> Config:
    config = compiled(offer, bundle, now)
    _raise("guard", "guard-refused", guard.breaches(config.policy, now))
    return config


def _raise(phase: Phase, kind: str, problems: Iterable[str]) -> None:
    reasons = tuple(AttemptError(type=f"/problems/{kind}", detail=text[:1024]) for text in problems)
    if reasons:
        raise Rejected(phase, reasons)
