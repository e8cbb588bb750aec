"""Every example loads, every test in it passes, and it does what its first lines say of relaying."""

from pathlib import Path

import pytest

from gatepost.documents import dump_document, load_document
from gatepost.policy.analysis.document_tests import run_tests
from gatepost.policy.analysis.explain import Question, Verdict, explain
from gatepost.policy.analysis.findings import Severity
from gatepost.policy.analysis.lint import lint
from gatepost.policy.analysis.sides import Side
from gatepost.policy.dialogue.compiled import Policy, compile_policy
from gatepost.policy.model.bundle import RelayUser, Server, render
from gatepost.policy.model.document import DialogueTest, FleetDocument

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "deploy" / "examples").glob("*.yaml"))
NOW = 1_767_225_600.0  # a winter's day

SERVERS = {
    "mx1": Server("mx1", addresses={"internal": "10.1.1.1"}, fqdn="mx1.contoso.com"),
    "mx2": Server("mx2", addresses={"internal": "10.1.1.2"}, fqdn="mx2.contoso.com"),
    "mx-fra": Server("mx-fra", {"site": "fra"}, {"internal": "10.20.1.1"}, "mx-fra.contoso.com"),
    "mx-lyo": Server("mx-lyo", {"site": "lyo"}, {"internal": "10.60.1.1"}, "mx-lyo.contoso.com"),
}
USERS = (RelayUser(name="backup", verifier=f"sha256:{'0' * 32}:{'0' * 64}", senders=("backup@contoso.com",)),)

SPOOFING, LOOPBACK = "default-takes-own-senders", "relay-loopback"

example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def _load(path: Path) -> FleetDocument:
    return load_document(path.read_text(encoding="utf-8"))


def _policy(document: FleetDocument, server: Server) -> Policy:
    bundle = render(document, server, USERS)
    return compile_policy(bundle, addresses=server.addresses, fqdn=server.fqdn, now=NOW)


def _tests_of(document: FleetDocument, server: str) -> tuple[DialogueTest, ...]:
    return tuple(test for test in document.tests if test.server == server)


def test_there_is_an_example_for_each_common_wish() -> None:
    assert {path.stem for path in EXAMPLES} == {
        "accepted-domains-only",
        "article",
        "article-on-loopback",
        "externally-secured-app-servers",
        "old-device-tls10",
        "printers-to-smart-host",
        "tls-submission-with-auth",
    }


@example
def test_its_own_tests_pass(path: Path) -> None:
    document = _load(path)
    results = [
        result
        for name in sorted({test.server for test in document.tests})
        for result in run_tests(_policy(document, SERVERS[name]), _tests_of(document, name), NOW)
    ]
    assert len(results) == len(document.tests)
    assert [result.told for result in results if not result.passed] == []


@example
def test_it_shows_an_acceptance_and_a_refusal(path: Path) -> None:
    expected = {test.expect[0] for test in _load(path).tests}
    assert "2" in expected
    assert expected & {"4", "5"}


@example
def test_a_stranger_relays_through_none_of_them(path: Path) -> None:
    document = _load(path)
    for name in {test.server for test in document.tests}:
        stranger = Question(
            remote="198.51.100.7", mail_from="kate@fabrikam.com", rcpt_to=("dave@example.net",)
        )
        explained = explain(_policy(document, SERVERS[name]), stranger, now=NOW)
        assert explained.verdict is Verdict.REFUSED or explained.reply.startswith("451 5.7.3"), (
            explained.reply
        )


@example
def test_nothing_in_it_holds_up_a_publish(path: Path) -> None:
    document = _load(path)
    servers = [SERVERS[name] for name in sorted({test.server for test in document.tests})]
    found = lint(Side(document, servers, now=NOW, users=USERS))
    graver = {finding.rule for finding in found if finding.severity is not Severity.INFO}
    # The article leaves its default connector as Exchange makes it, and the demo's clients are on loopback.
    assert graver <= {"article": {SPOOFING}, "article-on-loopback": {SPOOFING, LOOPBACK}}.get(
        path.stem, set()
    )


@example
def test_it_reads_back_as_itself(path: Path) -> None:
    document = _load(path)
    assert load_document(dump_document(document)) == document


@example
def test_it_opens_with_what_it_is_for(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
