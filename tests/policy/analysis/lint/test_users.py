"""A right for a relay user that nobody created is told."""

from gatepost.policy.analysis.lint import lint
from gatepost.policy.analysis.lint.users import UNKNOWN
from gatepost.policy.analysis.sides import Side
from gatepost.policy.dialogue.rules.auth import verifier
from gatepost.policy.model.bundle import RelayUser, Server
from tests.support.policies import NOW, RELAY, RELAY_RIGHT, document

SCANNER = {"principal": "user:Scanner", "rights": [RELAY_RIGHT]}


def told(*permissions: object, users: tuple[str, ...] = ()) -> list[str]:
    known = [RelayUser(name=name, verifier=verifier(bytes(16), b"secret")) for name in users]
    side = Side(document(RELAY | {"permissions": permissions}), [Server("mx1")], now=NOW, users=known)
    return [finding.pointer for finding in lint(side) if finding.rule == UNKNOWN.name]


def test_a_user_that_does_not_exist_is_told_where_it_stands() -> None:
    assert told(*RELAY["permissions"], SCANNER) == ["/connectors/0/permissions/1"]
    assert told(SCANNER, users=("printer",)) == ["/connectors/0/permissions/0"]


def test_a_user_is_known_in_any_case() -> None:
    assert told(SCANNER, users=("sCANNER",)) == []


def test_other_principals_are_no_users() -> None:
    assert told(*RELAY["permissions"]) == []


def test_a_user_named_by_two_entries_is_told_of_twice() -> None:
    assert len(told(SCANNER, SCANNER | {"deny": True})) == 2
