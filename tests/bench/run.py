"""`make bench`: every bench in turn; each prints its own ratios. Names as arguments run only those.

What a machine lacks is said and passed over: no bench fails for want of a peer.
"""

import importlib
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

BENCHES = ("policy", "content", "relay", "sessions", "fleet")


def main(names: list[str]) -> int:
    """Run benches by name (all without one). Exit 64 for a name that is none."""
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"no bench of this name: {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 64
    from tests.bench.postfix import Missing

    for name in names or BENCHES:
        print(f"\n== {name} ==", flush=True)
        started = time.perf_counter()
        try:
            importlib.import_module(f"tests.bench.{name}_bench").main()
        except Missing as missing:
            print(f"skipped: {missing}")
        print(f"({time.perf_counter() - started:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
