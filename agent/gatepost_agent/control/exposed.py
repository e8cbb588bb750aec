"""Who would lose relay when one policy follows another: exactly these stay without it after a return."""

from gatepost.policy.analysis.exposure import exposure
from gatepost.policy.analysis.ranges import difference
from gatepost.policy.dialogue.compiled import Policy
from gatepost.wire import DeniedRange

SOURCE = "return"


def narrowed(before: Policy, after: Policy) -> tuple[DeniedRange, ...]:
    """exposure(before) - exposure(after), as ranges without relay."""
    lost = difference(exposure(before).relay, exposure(after).relay)
    return tuple(_kept_shut(text) for text in lost.texts())


def _kept_shut(text: str) -> DeniedRange:
    return DeniedRange(
        range=text, effect="no_relay", source=SOURCE, reason="the config that failed had removed it"
    )
