"""A host to install on, in a folder: sudo, systemd-sysusers and systemctl with as much behaviour as is needed.

Paths below /etc, /opt and /var become paths below the folder, in the commands and in the units alike.
"""

import sys
from pathlib import Path

SUDO = """#!/bin/bash
# Whoever runs the test is every user here, so that files change no owner.
while [[ $1 == -* ]]; do [[ $1 == -u ]] && shift; shift; done
words=()
while (( $# )); do
    if [[ ${words[0]:-} == install && ( $1 == -o || $1 == -g ) ]]; then shift; else words+=("$1"); fi
    shift
done
exec "${words[@]}"
"""

SYSUSERS = """#!/bin/bash
grep -q "^u gatepost-" {root}/etc/sysusers.d/*.conf
"""

SYSTEMCTL = """#!{python}
# enable --now UNIT: its ExecStart in the background, with its environment and its state folder.
import configparser, os, pathlib, shlex, subprocess, sys

enable, now, name = sys.argv[1:]
assert (enable, now) == ("enable", "--now"), sys.argv
root = pathlib.Path({root!r})
text = (root / "etc/systemd/system" / (name + ".service")).read_text()
for folder in ("/etc/", "/opt/", "/var/"):
    text = text.replace("=" + folder, "=" + str(root) + folder).replace("=-" + folder, "=-" + str(root) + folder)
    text = text.replace(":///" + folder, ":///" + str(root) + folder)
unit = configparser.RawConfigParser(strict=False, delimiters=("=",))
unit.optionxform = str
unit.read_string(text)
service = unit["Service"]
state = root / "var/lib" / service["StateDirectory"]
state.mkdir(mode=int(service["StateDirectoryMode"], 8), parents=True, exist_ok=True)
environment = {{"PATH": "/usr/bin:/bin", "STATE_DIRECTORY": str(state)}}
given = [service.get("Environment", "")]
file = pathlib.Path(service["EnvironmentFile"].removeprefix("-"))
given += file.read_text().split() if file.exists() else []
environment |= dict(pair.split("=", 1) for pair in given if pair)
command = [word.replace("${{STATE_DIRECTORY}}", str(state)) for word in shlex.split(service["ExecStart"])]
with open(root / (name + ".log"), "wb") as log:
    subprocess.Popen(command, env=environment, cwd=state, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
"""


def make_host(folder: Path) -> Path:
    """Make it -> the folder of its commands, for the front of PATH."""
    root = folder / "host"
    tools = folder / "tools"
    for made in (root / "etc", root / "opt", root / "var" / "lib", tools):
        made.mkdir(parents=True)
    for name, text in (
        ("sudo", SUDO),
        ("systemd-sysusers", SYSUSERS.format(root=root)),
        ("systemctl", SYSTEMCTL.format(root=str(root), python=sys.executable)),
    ):
        (tools / name).write_text(text, encoding="utf-8")
        (tools / name).chmod(0o755)
    return tools


def moved(root: Path, text: str) -> str:
    """A script's text with its absolute paths moved onto that host."""
    for folder in ("/etc/", "/opt/", "/var/"):
        for before in (" ", "=", "///"):
            text = text.replace(f"{before}{folder}", f"{before}{root}{folder}")
    return text
