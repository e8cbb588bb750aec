"""What differs between two documents, object by object."""

from gatepost.policy.analysis.changes import Change, FieldChange, changes
from tests.support.policies import FRONTEND, RELAY, document


def the_one(*args: object, **parts: object) -> Change:
    (change,) = changes(document(), document(*args, **parts))  # type: ignore[arg-type]
    return change


def test_nothing() -> None:
    assert changes(document(), document()) == ()


def test_what_goes_away_comes_first() -> None:
    new = document(
        FRONTEND | {"comment": "x"},
        RELAY | {"name": "New"},
        accepted_domains=[{"domain": "fabrikam.com"}],
    )
    assert [(change.action, change.part, change.name) for change in changes(document(), new)] == [
        ("removed", "connectors", "Anonymous Relay"),
        ("removed", "accepted_domains", "contoso.com"),
        ("changed", "connectors", "Default Frontend"),
        ("added", "connectors", "New"),
        ("added", "accepted_domains", "fabrikam.com"),
    ]


def test_settings_before_and_after() -> None:
    change = the_one(FRONTEND, RELAY | {"message_rate_limit": 5, "permissions": []})
    assert change.fields == (
        FieldChange(
            field="permissions",
            before=[
                {
                    "principal": r"NT AUTHORITY\ANONYMOUS LOGON",
                    "rights": ["ms-Exch-SMTP-Accept-Any-Recipient"],
                }
            ],
            after=[],
        ),
        FieldChange(field="message_rate_limit", before=600, after=5),
    )


def test_ranges_as_addresses_whatever_the_notation() -> None:
    change = the_one(
        FRONTEND, RELAY | {"remote_ip_ranges": ["192.168.5.10/31", "10.20.0.0/25", "10.30.0.0/27"]}
    )
    assert change.fields == ()
    assert change.ranges_added == ("10.30.0.0-10.30.0.4", "10.30.0.21-10.30.0.31")
    assert change.ranges_removed == ("10.20.0.128/25",)


def test_notes_and_ends_of_ranges_are_settings() -> None:
    noted = {"range": "192.168.5.10", "note": "scanner", "expires_at": "2023-11-20T00:00:00Z"}
    change = the_one(FRONTEND, RELAY | {"remote_ip_ranges": [noted, *RELAY["remote_ip_ranges"][1:]]})
    assert change.fields == (FieldChange(field="remote_ip_ranges", before=[], after=[noted]),)
    assert change.ranges_added == change.ranges_removed == ()


def test_an_object_that_is_removed_takes_its_ranges_along() -> None:
    change = the_one(FRONTEND)
    assert (change.action, change.fields, change.ranges_added) == ("removed", (), ())
    assert change.ranges_removed == ("10.20.0.0/24", "10.30.0.5-10.30.0.20", "192.168.5.10/31")


def test_changes_are_plain_values() -> None:
    change = the_one(FRONTEND, RELAY | {"message_rate_limit": 5, "permissions": []})
    assert Change.model_validate(change.model_dump(mode="json")) == change
