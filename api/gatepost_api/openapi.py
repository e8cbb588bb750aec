"""`python -m gatepost_api.openapi` prints the schema of the API, the same bytes every time."""

import json
import sys

from gatepost_api.app import create_app
from gatepost_api.settings import Settings


def schema_text() -> str:
    """The OpenAPI document as sorted, indented JSON with a final newline."""
    document = create_app(Settings(_env_file=None)).openapi()
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
