"""What devices do that no standard allows and Exchange accepts: each may be refused per connector (*ours*).

Departures that an Exchange setting rules are not repeated here: names in HELO and EHLO (RequireEHLODomain), bare
line ends in a message (BareLinefeedRejectionEnabled); nor is the TLS version (tls_minimum_version).
"""

from enum import StrEnum

from gatepost.policy.model.errors import BadValue


class Tolerance(StrEnum):
    """A departure that is let pass where the connector lists it, and counted per device."""

    AUTH_PARAMETER = "auth_parameter"
    """AUTH= with MAIL where AUTH is not offered (RFC 4954 section 5)."""
    BARE_LF_LINE = "bare_lf_line"
    """A command that ends with LF alone (RFC 5321 2.3.8)."""
    LONG_LINE = "long_line"
    """A line of more than 998 octets in a message (RFC 5322 2.1.1)."""
    MISSING_FIELD = "missing_field"
    """A message without Date or Message-ID, which is added (RFC 5322 3.6, RFC 5321 6.4)."""
    PATH_WITHOUT_BRACKETS = "path_without_brackets"
    """MAIL FROM:a@b for MAIL FROM:<a@b> (RFC 5321 4.1.2)."""
    SPACE_BEFORE_PATH = "space_before_path"
    """MAIL FROM: <a@b> or MAIL FROM:< a@b > for MAIL FROM:<a@b> (RFC 5321 3.3)."""


# Counted like the others, though settings of another name rule them.
BARE_LINE_END, HELLO_WITHOUT_NAME, HELLO_WITH_ODD_NAME, OLD_TLS = (
    "bare_line_end", "hello_without_name", "hello_with_odd_name", "old_tls",
)  # fmt: skip


def parse_tolerance(text: object) -> Tolerance:
    """Raises BadValue."""
    try:
        return Tolerance(str(text).strip().lower())
    except ValueError:
        raise BadValue(text, "not a tolerance", f"Use some of {', '.join(Tolerance)}.") from None
