"""The `gatepost` command.

The distribution is on every mail host, the command's libraries are not: nothing here imports them before it is known
that they are there.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

NEEDED = ("typer", "rich")
UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h


def main() -> None:
    """Run the command. Without the extra `gatepost[cli]`: one sentence on stderr, exit 69."""
    if any(find_spec(name) is None for name in NEEDED):
        print("gatepost: the command needs its extra here: install gatepost[cli].", file=sys.stderr)
        sys.exit(UNAVAILABLE)
    run: Callable[[], None] = import_module("gatepost.cli.app").run
    run()
