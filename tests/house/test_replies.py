"""One table of replies: nobody else makes one."""

import ast
import re

import pytest

from gatepost.policy.dialogue.replies import Reply
from tests.support.house import ROOT, shown, source_files, tree

TABLE = ROOT / "shared" / "gatepost" / "policy" / "dialogue" / "replies.py"


def _makes_a_reply(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    made = node.func
    if isinstance(made, ast.Attribute) and made.attr == "_make":
        made = made.value
    if isinstance(made, ast.Attribute) and made.attr == "_replace":
        return any(given.arg in Reply._fields for given in node.keywords)
    return getattr(made, "id", getattr(made, "attr", "")) == "Reply"


def _is_a_raw_reply(node: ast.AST) -> bool:
    """Octets or text that a client would read as a reply."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str | bytes):
        return False
    text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
    return re.match(r"[2345]\d\d[ -][^\n]*\r\n", text) is not None


def test_only_the_table_makes_replies() -> None:
    elsewhere = [
        f"{shown(path)}:{getattr(node, 'lineno', 0)}"
        for path in source_files()
        if path != TABLE
        for node in ast.walk(tree(path))
        if _makes_a_reply(node) or _is_a_raw_reply(node)
    ]
    assert elsewhere == []


def test_the_table_makes_replies() -> None:
    assert any(_makes_a_reply(node) for node in ast.walk(tree(TABLE)))


@pytest.mark.parametrize(
    "code", ["Reply(250, '', ())", "Reply._make(x)", "OK._replace(code=550)", "x = b'250 2.0.0 OK\\r\\n'"]
)
def test_every_way_to_make_one_is_seen(code: str) -> None:
    assert any(_makes_a_reply(node) or _is_a_raw_reply(node) for node in ast.walk(ast.parse(code)))
