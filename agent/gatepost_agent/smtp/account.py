"""What is told about a session: to the counters, the device's row, the mail log and the protocol log.

Nothing is formatted on the way of a line that is accepted; a refusal and the end of a session give one line each.
"""

from typing import NamedTuple

from gatepost.policy.dialogue.decision import EMPTY, Decision, Envelope
from gatepost.policy.dialogue.events import Event, Line, Stored, TlsStarted
from gatepost.policy.dialogue.replies import SENDER_OK, Reply
from gatepost.policy.dialogue.session import Session
from gatepost_agent.counters import Counters
from gatepost_agent.devices import Device, Devices
from gatepost_agent.mail_events import mail_events
from gatepost_agent.protocol_log import ProtocolLog, SessionLog, permission_tokens, tarpit_text
from gatepost_agent.smtp.shown_line import shown_line

SESSION, ACCEPTED, REFUSED = "smtp_session", "smtp_accepted", "smtp_refused"
MAX_SAID = 300  # octets of a refused line that are shown
MAX_HELO = 255  # characters of a client's name that are shown, escaped: a report takes no more than 1,024


class Books(NamedTuple):
    """Where all sessions are written down."""

    counters: Counters
    devices: Devices
    protocol_log: ProtocolLog


class Account:
    """The account of one session. `began`: seconds since 1970."""

    def __init__(self, books: Books, session: Session, began: float) -> None:
        self._counters = books.counters
        self._devices = books.devices
        self._session = session
        self._began = began
        self._connector = session.connector.name if session.connector else ""
        self._device: Device = books.devices.enter(session.client, self._connector, session.range)
        self._accepted = self._refused = 0
        self._refusal = EMPTY  # why something was last refused
        self._envelope: Envelope | None = None
        self._told_principal = ""  # whose rights the protocol log told last
        self._rows = self._open_rows(books.protocol_log)
        self._counters.add(self._connector, "sessions")

    def _open_rows(self, protocol_log: ProtocolLog) -> SessionLog | None:
        session, door = self._session, self._session.connector
        if door is None or door.model.protocol_logging_level != "Verbose":
            return None
        rows = protocol_log.session(door.name, session.session_id, session.local, session.remote)
        rows.row("+")
        self._tell_rights(rows)
        return rows

    def note(self, event: Event, decision: Decision) -> None:
        """One step: what happened and what was decided."""
        if self._rows is not None:
            self._write_rows(self._rows, event, decision)
        if decision.tolerated:
            for tolerance in decision.tolerated:
                self._device.tolerances[tolerance] += 1
                self._counters.add(self._connector, f"tolerated {tolerance}")
        reply = decision.reply
        if reply is not None and reply.code >= 400:
            self._refuse(reply, event, decision)
        elif isinstance(event, Stored):
            self._accepted += 1
            self._device.accepted += 1
            self._accept(event)
        elif isinstance(decision.argument, Envelope):
            self._envelope = decision.argument
        elif isinstance(event, TlsStarted):
            self._device.tls = event.version

    def _write_rows(self, rows: SessionLog, event: Event, decision: Decision) -> None:
        if isinstance(event, Line):
            rows.heard(shown_line(event.raw, secret=decision.secret))
        if self._session.principal != self._told_principal:
            self._tell_rights(rows)
        if decision.reply is SENDER_OK:
            rows.receiving()
        if decision.delay_s:
            rows.row("*", tarpit_text(decision.delay_s))
        if decision.reply is not None:
            rows.said(decision.reply.text)

    def _tell_rights(self, rows: SessionLog) -> None:
        """Who the client is now and what it may do, in the words of Exchange's log."""
        session = self._session
        self._told_principal = session.principal
        rows.row("*", permission_tokens(session.door.rights(session.principal)), "Set Session Permissions")
        if session.authenticated:
            rows.row("*", session.principal, "authenticated")

    def _accept(self, stored: Stored) -> None:
        envelope = self._envelope
        mail_events.info(
            ACCEPTED,
            session=self._session.session_id,
            queue_id=stored.internal_id,
            message_id=escaped(stored.message_id),
            client=self._session.client,
            connector=self._connector,
            range=self._session.range,
            mail_from=escaped(envelope.mail_from) if envelope else "",
            rcpt_to=[escaped(recipient) for recipient in envelope.recipients] if envelope else [],
        )

    def _refuse(self, reply: Reply, event: Event, decision: Decision) -> None:
        self._refused += 1
        self._device.refused[reply.kind] += 1
        self._counters.add(self._connector, f"refused {reply.kind}")
        session, trace = self._session, decision.trace
        self._refusal = trace
        mail_events.info(
            REFUSED,
            session=session.session_id,
            client=session.client,
            connector=trace.connector,
            range=trace.range,
            principal=escaped(trace.principal),
            right=trace.right,
            source=trace.source,
            reason=escaped(trace.reason),
            said=_said(event, decision),
            mail_from=_sender(session),
            reply=reply.text,
        )

    def failed(self, reference: str, error: Exception) -> None:
        """An exception of ours; `reference` is what the client was told."""
        mail_events.error(
            "smtp_failed", reference=reference, session=self._session.session_id, exc_info=error
        )

    def tls_failed(self, error: OSError) -> None:
        """The handshake after STARTTLS did not end well."""
        self._counters.add(self._connector, "tls_failed")
        mail_events.info(
            "smtp_tls_failed", session=self._session.session_id, client=self._session.client, why=str(error)
        )

    def close(self, now: float, how: str) -> None:
        """The session has ended. how: `local` (we closed) or `remote` (the client went away)."""
        session, device = self._session, self._device
        helo = escaped(session.hello or "")[:MAX_HELO]
        device.helo = helo or device.helo
        self._devices.leave(device)
        if self._rows is not None:
            self._rows.row("-", "", how.capitalize())
        mail_events.info(
            SESSION,
            session=session.session_id,
            client=session.client,
            local=f"{session.local.address} {session.local.port}",
            connector=self._connector,
            range=session.range,
            principal=escaped(session.principal),
            rights=sorted(door.rights(session.principal)) if (door := session.connector) else [],
            refusal=escaped(self._refusal.reason),
            right=self._refusal.right,
            source=self._refusal.source,
            helo=helo,
            tls=session.tls.version if session.tls else "",
            accepted=self._accepted,
            refused=self._refused,
            seconds=round(now - self._began, 3),
            closed=how,
        )


class Unaccounted:
    """For the agent's own self test: only what goes wrong is told."""

    def note(self, event: Event, decision: Decision) -> None:
        """Nothing."""

    def failed(self, reference: str, error: Exception) -> None:
        mail_events.error("smtp_failed", reference=reference, session="self test", exc_info=error)

    def tls_failed(self, error: OSError) -> None:
        """Nothing."""

    def close(self, now: float, how: str) -> None:
        """Nothing."""


def _said(event: Event, decision: Decision) -> str:
    """The line that was refused, as far as it may be shown."""
    if not isinstance(event, Line):
        return ""
    shown = shown_line(event.raw, secret=decision.secret)
    return escaped(shown[:MAX_SAID].decode("ascii", "backslashreplace"))


def _sender(session: Session) -> str | None:
    """None before MAIL; "" is the null sender."""
    transaction = session.transaction
    return escaped(str(transaction.sender or "")) if transaction else None


def escaped(text: str) -> str:
    """Client text that cannot end a line or colour a terminal."""
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
