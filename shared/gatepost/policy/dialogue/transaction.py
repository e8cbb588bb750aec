"""A mail transaction: from MAIL to the end of data (RFC 5321 3.3)."""

from dataclasses import dataclass, field

from gatepost.policy.dialogue.decision import Envelope
from gatepost.policy.dialogue.rules.mail import Parameters
from gatepost.policy.model.mailboxes import Mailbox


@dataclass(slots=True)
class Transaction:
    """`octets` counts the chunks of BDAT that were taken; `chunked`: BDAT was used, so DATA may not be."""

    sender: Mailbox | None
    parameters: Parameters
    recipients: list[str] = field(default_factory=list)
    chunked: bool = False
    octets: int = 0
    message_id: str = ""

    def envelope(
        self,
        *,
        connector: str,
        principal: str,
        client: str,
        helo: str,
        bounce_to: str | None,
        eight_bit: bool,
    ) -> Envelope:
        return Envelope(
            connector=connector,
            principal=principal,
            client=client,
            helo=helo,
            mail_from=str(self.sender) if self.sender else "",
            recipients=tuple(self.recipients),
            eight_bit=eight_bit or self.parameters.eight_bit,
            smtp_utf8=self.parameters.smtp_utf8,
            bounce_to=bounce_to,
        )
