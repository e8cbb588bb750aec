"""Every reply the relay ever sends, named; nothing else makes one (a test of the house sees to it).

Texts: reference section 10. Permission and syntax are 5xx at once, because devices stop on them; capacity, rate
and our own trouble are 4xx. An exception never shows text.
"""

from typing import NamedTuple


class Reply(NamedTuple):
    """An SMTP reply (RFC 5321 4.2). `lines` without codes; `enhanced` (RFC 3463) stands in front of each line.

    fixed: the text is the same each time.
    """

    code: int
    enhanced: str
    lines: tuple[str, ...]
    fixed: bool = True

    @property
    def refused(self) -> bool:
        return self.code >= 400

    @property
    def kind(self) -> str:
        """What a refusal is counted by: `550 5.7.1 Unable to relay`. There are as many as refusals are named here."""
        return self.text if self.fixed else f"{self.code} {self.enhanced}"

    @property
    def text(self) -> str:
        """The reply as a person reads it, one line per line, without line ends at the end."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        last = len(self.lines) - 1
        return "\r\n".join(
            f"{self.code}{' ' if at == last else '-'}{prefix}{line}" for at, line in enumerate(self.lines)
        )

    @property
    def wire(self) -> bytes:
        return self.text.encode("ascii", "replace") + b"\r\n"


def _reply(code: int, enhanced: str, *lines: str, fixed: bool = True) -> Reply:
    return Reply(code, enhanced, lines, fixed)


# --- greeting and session --------------------------------------------------------------------------------------


def greeting(fqdn: str, date: str, banner: str) -> Reply:
    """Source: Exchange parameters Banner and Fqdn."""
    text = banner[4:] if banner else f"{fqdn} Microsoft ESMTP MAIL Service ready at {date}"
    return _reply(220, "", text)


def hello(fqdn: str, client: str) -> Reply:
    return _reply(250, "", f"{fqdn} Hello [{client}]")


def extended_hello(fqdn: str, client: str, extensions: tuple[str, ...]) -> Reply:
    return _reply(250, "", f"{fqdn} Hello [{client}]", *extensions)


HELP = _reply(214, "", "This server supports the following commands:",
              "HELO EHLO STARTTLS RCPT DATA RSET MAIL QUIT HELP AUTH BDAT")  # fmt: skip
CLOSING = _reply(221, "2.0.0", "Service closing transmission channel")
RESETTING = _reply(250, "2.0.0", "Resetting")
OK = _reply(250, "2.0.0", "OK")
CANNOT_VERIFY = _reply(252, "2.1.5", "Cannot VRFY user")
START_TLS = _reply(220, "2.0.0", "SMTP server ready")

# --- authentication --------------------------------------------------------------------------------------------

USERNAME = _reply(334, "", "VXNlcm5hbWU6")
PASSWORD = _reply(334, "", "UGFzc3dvcmQ6")
EMPTY_CHALLENGE = _reply(334, "", "")
AUTHENTICATED = _reply(235, "2.7.0", "Authentication successful")
AUTHENTICATION_FAILED = _reply(535, "5.7.3", "Authentication unsuccessful")
UNRECOGNIZED_MECHANISM = _reply(504, "5.7.4", "Unrecognized authentication type")
AUTHENTICATION_CANCELLED = _reply(501, "5.5.4", "Authentication cancelled")
TOO_MANY_LOGON_FAILURES = _reply(421, "4.7.0", "Too many failed logons, closing transmission channel")

# --- transaction -----------------------------------------------------------------------------------------------

SENDER_OK = _reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = _reply(250, "2.1.5", "Recipient OK")
START_MAIL_INPUT = _reply(354, "", "Start mail input; end with <CRLF>.<CRLF>")


def chunk_received(octets: int) -> Reply:
    return _reply(250, "2.6.0", f"CHUNK received OK, {octets} octets")


def queued(message_id: str, internal_id: int, hostname: str) -> Reply:
    return _reply(
        250, "2.6.0", f"{message_id} [InternalId={internal_id}, Hostname={hostname}] Queued mail for delivery"
    )


# --- syntax and sequence ---------------------------------------------------------------------------------------

UNRECOGNIZED = _reply(500, "5.3.3", "Unrecognized command")
LINE_TOO_LONG = _reply(500, "5.3.3", "Line too long")
NOT_IMPLEMENTED = _reply(502, "5.3.3", "Command not implemented")
INVALID_ARGUMENTS = _reply(501, "5.5.4", "Invalid arguments")
INVALID_DOMAIN = _reply(501, "5.5.4", "Invalid domain name")
INVALID_SENDER = _reply(501, "5.1.7", "Invalid address")
INVALID_RECIPIENT = _reply(501, "5.1.3", "Invalid address")
SEND_HELLO_FIRST = _reply(503, "5.5.2", "Send hello first")
NEED_MAIL = _reply(503, "5.5.2", "Need mail command")
NEED_RECIPIENT = _reply(503, "5.5.2", "Need rcpt command")
SENDER_ALREADY_SPECIFIED = _reply(503, "5.5.2", "Sender already specified")
BAD_SEQUENCE = _reply(503, "5.5.1", "Bad sequence of commands")
TOO_MANY_ERRORS = _reply(421, "4.7.0", "Too many errors on this connection, closing transmission channel")

# --- permission ------------------------------------------------------------------------------------------------

NO_SERVICE = _reply(554, "5.7.1", "No service for this address")
NOT_AUTHENTICATED = _reply(530, "5.7.1", "Client was not authenticated")
UNABLE_TO_RELAY = _reply(550, "5.7.1", "Unable to relay")
SEND_AS_REFUSED = _reply(550, "5.7.1", "Client does not have permissions to send as this sender")
ANONYMOUS_SEND_AS_REFUSED = _reply(
    550, "5.7.1", "Anonymous client does not have permissions to send as this sender"
)
RECIPIENT_NOT_ALLOWED = _reply(550, "5.7.1", "Recipient domain not allowed on this connector")
RESERVED_TOP_LEVEL = _reply(550, "5.1.4", "Recipient address reserved by RFC 2606")
RESERVED_SECOND_LEVEL = _reply(550, "5.1.5", "Recipient address reserved by RFC 2606")
SINGLE_LABEL = _reply(550, "5.1.6", "Recipient addresses in single label domains not accepted")
TLS_REQUIRED = _reply(451, "5.7.3", "STARTTLS is required to send mail")

# --- content ---------------------------------------------------------------------------------------------------

TOO_LARGE = _reply(552, "5.3.4", "Message size exceeds fixed maximum message size")
HEADER_TOO_LARGE = _reply(552, "5.3.4", "Header size exceeds fixed maximum size")
HOP_COUNT_EXCEEDED = _reply(554, "5.4.6", "Hop count exceeded - possible mail loop")
BARE_LINEFEED = _reply(550, "5.6.11", "Bare linefeed in the message: lines must end with CRLF")
LONG_LINE = _reply(550, "5.6.0", "A line of the message is longer than 998 octets")
MISSING_FIELD = _reply(550, "5.6.0", "The message has no Date or no Message-ID")
NUL_IN_HEADER = _reply(550, "5.6.0", "Invalid character in the message header")

# --- capacity, rate, and our own trouble -----------------------------------------------------------------------

TOO_MANY_CONNECTIONS = _reply(
    421, "4.3.2",
    "The maximum number of concurrent server connections has exceeded a limit, closing transmission channel",
)  # fmt: skip


def too_many_from_source(fqdn: str) -> Reply:
    return _reply(
        421, "4.3.2",
        "The maximum number of concurrent server connections has exceeded a per-source limit, "
        f"closing transmission channel ({fqdn})",
        fixed=False,
    )  # fmt: skip


RATE_EXCEEDED = _reply(
    421, "4.4.2", "Message submission rate for this client has exceeded the configured limit"
)
RECIPIENT_RATE_EXCEEDED = _reply(
    451, "4.4.2", "Recipient rate for this client has exceeded the configured limit, try again later"
)
TOO_MANY_RECIPIENTS = _reply(452, "4.5.3", "Too many recipients")
INSUFFICIENT_RESOURCES = _reply(452, "4.3.1", "Insufficient system resources")
NOT_STORED = _reply(451, "4.3.0", "Message could not be stored, try again later")
IDLE_TIMEOUT = _reply(451, "4.7.0", "Timeout waiting for client input")
SESSION_TIMEOUT = _reply(421, "4.4.1", "Connection timed out")
NOT_AVAILABLE = _reply(421, "4.3.2", "Service not available, closing transmission channel")
NOT_ACTIVE = _reply(421, "4.3.2", "Service not active")


def local_error(reference: str) -> Reply:
    """An exception of ours: a fixed text and the reference of the log line."""
    return _reply(421, "4.3.0", f"Temporary server error, reference {reference}", fixed=False)
