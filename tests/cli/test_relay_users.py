"""Relay users from the command line: the secret alone on stdout, once, and nowhere else."""

from gatepost_api.auth import Role
from tests.cli.conftest import Gatepost, Plane

SUBMISSION = {
    "name": "Submission",
    "bindings": ["0.0.0.0:587"],
    "remote_ip_ranges": ["10.0.0.0/8"],
    "auth_mechanism": ["BasicAuth"],
}


def test_a_user_from_creation_to_deletion(gatepost: Gatepost) -> None:
    made = gatepost("relay-user", "create", "erp", "--sender", "erp@contoso.com", "--comment", "3rd floor")
    assert made.code == 0
    secret = made.out.strip()
    assert len(secret) >= 22
    assert secret not in made.err
    turned = gatepost("relay-users", "rotate-secret", "ERP", "-o", "json")
    assert set(turned.json) == {"secret"}
    assert turned.json["secret"] != secret
    listed = gatepost("relay-user", "list")
    assert "erp@contoso.com" in listed.out
    assert secret not in listed.out
    assert gatepost("relay-users", "senders", "erp").code == 0
    (row,) = gatepost("relay-users", "-o", "json").json
    assert (row["senders"], row["comment"]) == ([], "3rd floor")
    assert gatepost("relay-user", "delete", "erp").code == 0
    assert gatepost("relay-users", "-o", "json").json == []


def test_a_name_that_is_taken_or_wrong_is_refused(gatepost: Gatepost) -> None:
    assert gatepost("relay-user", "create", "erp").code == 0
    taken = gatepost("relay-user", "create", "ERP", "-o", "json")
    assert (taken.code, taken.json["error"]["type"]) == (12, "name-taken")
    assert gatepost("relay-user", "create", r"corp\anonymous logon").code == 10
    assert gatepost("relay-user", "delete", "nobody").code == 10


def test_only_admins_create(gatepost: Gatepost) -> None:
    assert gatepost("relay-user", "create", "erp", role=Role.operator).code == 13


def test_servers_that_get_the_change_are_named(gatepost: Gatepost, plane: Plane) -> None:
    plane.enroll("mx1")
    with plane.client() as client:
        saved = client.draft.replace({"connectors": [SUBMISSION]}, etag=client.draft.etag())
        client.revisions.publish(saved.etag)
    assert "mx1" in gatepost("relay-user", "create", "erp").err
