"""An archive for hosts without internet: wheels at pinned versions, the unit, and a script that installs them.

python deploy/bundle.py agent          -> dist/gatepost-agent-<version>.tar.gz
python deploy/bundle.py api --output /srv/share --python-version 3.11 --platform manylinux_2_28_x86_64

It fetches what the distribution needs, for this machine's Python unless told otherwise; with --wheels FOLDER it
takes wheels from there and fetches nothing. The host needs Python with `venv`, and nothing else.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "deploy" / "constraints.txt"
UNITS = ROOT / "deploy" / "systemd"

# What a host gets: our distributions by folder, and what is asked for there. An agent host gets no command line
# framework, so `gatepost` comes without its extra.
CONTENTS = {
    "agent": (("shared", "agent"), ("gatepost-agent",)),
    "api": (("shared", "api"), ("gatepost-api", "gatepost[cli]")),
}


class BundleError(Exception):
    """Why there is no bundle; shown as one line."""


def run(*command: object) -> None:
    """A command whose failure is ours. Raises BundleError with its last lines."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise BundleError(f"{' '.join(str(part) for part in command[:4])}: {' '.join(said)}")


def build_ours(folders: tuple[str, ...], wheels: Path) -> None:
    """Build the wheels of our own distributions."""
    for folder in folders:
        source = ROOT / folder
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)],
            cwd=source,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BundleError(f"{folder}: {done.stderr.strip()}. `make setup` installs hatchling.")


def gather(asked: tuple[str, ...], wheels: Path, options: argparse.Namespace) -> None:
    """Put the wheels of everything that is needed beside ours."""
    source = ["--no-index", "--find-links", options.wheels] if options.wheels else []
    target = ["--python-version", options.python_version] if options.python_version else []
    target += ["--platform", options.platform] if options.platform else []
    run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--only-binary", ":all:", "--constraint", PINS, "--dest", wheels, "--find-links", wheels),
        *source,
        *target,
        *asked,
    )


def installer(asked: tuple[str, ...], part: str) -> str:
    """The script that stands in the bundle."""
    commands = " ".join(name.partition("[")[0] for name in asked)
    return f"""#!/bin/sh
# Install {commands} from the wheels beside this script; nothing is fetched. Again: an upgrade.
#   ./install.sh [FOLDER]      /opt/gatepost unless given
set -eu
target=${{1:-/opt/gatepost}}
here=$(cd "$(dirname "$0")" && pwd)
(cd "$here" && sha256sum --check --quiet SHA256SUMS)
test -x "$target/bin/python" || "${{PYTHON:-python3}}" -m venv "$target"
"$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --upgrade \\
    --find-links "$here/wheels" {" ".join(f"'{name}'" for name in asked)}
echo "installed in $target/bin; the unit gatepost-{part}.service and its user are in $here"
"""


def sums(folder: Path) -> str:
    """SHA256SUMS of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files
    )


def fill(folder: Path, part: str, options: argparse.Namespace) -> None:
    """Everything that one bundle holds, into a new folder."""
    folders, asked = CONTENTS[part]
    wheels = folder / "wheels"
    wheels.mkdir()
    build_ours(folders, wheels)
    gather(asked, wheels, options)
    for unit in (UNITS / f"gatepost-{part}.service", UNITS / "gatepost.sysusers.conf"):
        shutil.copy(unit, folder)
    script = folder / "install.sh"
    script.write_text(installer(asked, part), encoding="utf-8")
    script.chmod(0o755)
    (folder / "SHA256SUMS").write_text(sums(folder), encoding="utf-8")


def bundle(part: str, options: argparse.Namespace) -> Path:
    """Make the archive -> its path. Raises BundleError."""
    output = Path(options.output).absolute()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fill(folder, part, options)
        ours = next(folder.glob(f"wheels/gatepost_{part}-*.whl"))
        name = f"gatepost-{part}-{ours.name.split('-')[1]}"
        archive = output / f"{name}.tar.gz"
        with tarfile.open(archive, "w:gz") as packed:
            packed.add(folder, arcname=name, filter=_anonymous)
    return archive


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode |= 0o555 if entry.isdir() else 0o444  # the scratch folder was for its owner only
    return entry


def main() -> int:
    parser = argparse.ArgumentParser(description="Make an archive that installs without internet.")
    parser.add_argument("part", choices=sorted(CONTENTS))
    parser.add_argument("--output", default="dist", help="folder of the archive (dist)")
    parser.add_argument("--wheels", help="a folder of wheels to take instead of fetching")
    parser.add_argument("--python-version", help="the host's, such as 3.11")
    parser.add_argument("--platform", help="the host's, such as manylinux_2_28_x86_64")
    options = parser.parse_args()
    try:
        print(bundle(options.part, options))
    except (BundleError, OSError) as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
