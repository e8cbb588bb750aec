"""The HTTP API's client, for the `gatepost` command and for scripts.

with Client("https://gatepost.contoso.com", token) as gatepost:
    gatepost.connectors.add_range("Anonymous Relay", "192.168.5.12", note="scanner, 3rd floor")
    gatepost.revisions.publish(gatepost.draft.etag(), message="a scanner more")
"""

from gatepost.client.client import Client
from gatepost.client.connection import Record, Versioned
from gatepost.client.errors import ApiProblem, ClientError, FieldError, RefusedUrl, Unreachable

__all__ = [
    "ApiProblem",
    "Client",
    "ClientError",
    "FieldError",
    "Record",
    "RefusedUrl",
    "Unreachable",
    "Versioned",
]
