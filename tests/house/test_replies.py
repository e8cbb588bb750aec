"""One table of replies: nobody else makes one."""

import ast

from tests.support.house import ROOT, shown, source_files, tree

TABLE = ROOT / "shared" / "gatepost" / "policy" / "dialogue" / "replies.py"


def _makes_a_reply(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    made = node.func
    if isinstance(made, ast.Attribute) and made.attr == "_make":
        made = made.value
    return getattr(made, "id", getattr(made, "attr", "")) == "Reply"


def test_only_the_table_makes_replies() -> None:
    elsewhere = [
        f"{shown(path)}:{node.lineno}"
        for path in source_files()
        if path != TABLE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and _makes_a_reply(node)
    ]
    assert elsewhere == []


def test_the_table_makes_replies() -> None:
    assert any(_makes_a_reply(node) for node in ast.walk(tree(TABLE)))
