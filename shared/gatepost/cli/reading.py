"""Fleet documents from files, read before anything is asked of the control plane."""

import sys
from pathlib import Path

from gatepost.cli.errors import UsageRefused
from gatepost.client import Record
from gatepost.documents import load_document
from gatepost.policy.model.document import FleetDocument


def read_document(file: Path) -> FleetDocument:
    """The document of a YAML or JSON file (`-`: stdin). Raises UsageRefused, and DocumentError with every fault."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageRefused(f"{file} cannot be read: {error}") from error
    return load_document(text)


def content_of(document: FleetDocument) -> Record:
    """The document as JSON values, fields at their default left out."""
    content: Record = document.model_dump(mode="json", exclude_defaults=True)
    return content
