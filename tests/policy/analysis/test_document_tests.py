"""The fleet document's own tests, run."""

from gatepost.policy.analysis.document_tests import run_tests
from tests.support.policies import NOW, policy

LISTED = {
    "name": "listed printer relays",
    "server": "mx1",
    "remote": "192.168.5.10",
    "mail_from": "chris@contoso.com",
    "rcpt_to": "kate@fabrikam.com",
    "expect": "250 2.1.5",
}
ANYONE = LISTED | {"name": "anyone else is refused", "remote": "192.168.5.99", "expect": "550 5.7.1"}


def test_the_articles_tests_pass() -> None:
    found = policy(tests=[LISTED, ANYONE])
    results = run_tests(found, found.bundle.tests, NOW)
    assert [(result.name, result.passed, result.got) for result in results] == [
        ("listed printer relays", True, "250 2.1.5 Recipient OK"),
        ("anyone else is refused", True, "550 5.7.1 Unable to relay"),
    ]
    assert results[0].told == "test 'listed printer relays': 250 2.1.5 Recipient OK"


def test_a_failed_test_says_what_came_and_why() -> None:
    found = policy(tests=[ANYONE | {"expect": "250"}])
    (result,) = run_tests(found, found.bundle.tests, NOW)
    assert not result.passed
    assert result.told == (
        "test 'anyone else is refused' expects '250' and got '550 5.7.1 Unable to relay' "
        "(fabrikam.com is not an accepted domain)"
    )
    assert result.explanation is not None
    assert result.explanation.connector == "Default Frontend"


def test_a_test_that_cannot_be_asked_fails_and_never_passes() -> None:
    nowhere = LISTED | {"remote": "2001:db8::1", "expect": "no binding"}
    nonsense = LISTED | {"name": "other", "local": "[::]:25", "expect": "192"}
    found = policy(tests=[nowhere, nonsense])
    results = run_tests(found, found.bundle.tests, NOW)
    assert [result.passed for result in results] == [False, False]
    assert "no binding of this server takes IPv6 clients" in results[0].got
    assert "192.168.5.10 cannot reach it" in results[1].got


def test_the_time_of_a_test_is_its_own_or_that_of_publishing() -> None:
    temporary = {"range": "192.168.5.77", "expires_at": "2023-11-15T00:00:00Z"}
    relay = {
        "name": "Temporary",
        "bindings": ["0.0.0.0:25"],
        "remote_ip_ranges": [temporary],
        "permission_groups": ["AnonymousUsers"],
    }
    asked = LISTED | {"remote": "192.168.5.77", "rcpt_to": "a@contoso.com"}
    before = asked | {"name": "before", "at": "2023-11-14T23:59:59Z", "expect": "250"}
    after = asked | {"name": "after", "at": "2023-11-15T00:00:00Z", "expect": "554 5.7.1"}
    found = policy(relay, tests=[before, after, asked | {"expect": "250"}])
    assert [result.passed for result in run_tests(found, found.bundle.tests, NOW)] == [True] * 3
    late = run_tests(found, found.bundle.tests, NOW + 86400)
    assert [result.passed for result in late] == [True, True, False]
