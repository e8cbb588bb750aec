"""What a rule answers when it does not let something pass."""

from typing import NamedTuple

from gatepost.policy.dialogue.replies import Reply
from gatepost.policy.model.rights import Right


class Refusal(NamedTuple):
    """A reply with its reason. `right`: the extended right that was missing, if one was. `close`: end the session."""

    reply: Reply
    reason: str
    right: Right | None = None
    close: bool = False
