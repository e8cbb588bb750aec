"""A finding's id: the same for the same thing, another for anything wider."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.policy.analysis.findings import Acknowledgement, Finding, open_findings
from gatepost.policy.analysis.lint import lint
from gatepost.policy.analysis.ranges import ranges
from gatepost.policy.model.addresses import parse_range
from gatepost.policy.model.bundle import Server
from tests.support.findings import only, side
from tests.support.policies import FRONTEND, NOW, RELAY

PUBLIC = RELAY | {"remote_ip_ranges": ["203.0.113.0/28"]}


def public(*texts: str, **changed: Any) -> Finding:
    return only("relay-public", FRONTEND, PUBLIC | {"remote_ip_ranges": list(texts)} | changed)


def test_an_id_does_not_hang_on_notation_order_or_name() -> None:
    known = public("203.0.113.0/28").id
    assert public("203.0.113.8-203.0.113.15", "203.0.113.0/29").id == known
    assert public("203.0.113.0/28", name="Another").id == known
    assert public("203.0.113.0/28", "10.0.0.5").id == known
    assert len(known) == 32


SPANS = st.lists(
    st.tuples(st.integers(1, 20), st.integers(0, 5)).map(
        lambda p: f"203.0.113.{p[0]}-203.0.113.{p[0] + p[1]}"
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=40, deadline=None)
@given(SPANS, SPANS)
def test_ids_are_equal_exactly_for_equal_ranges(one: list[str], two: list[str]) -> None:
    equal = ranges(map(parse_range, one)) == ranges(map(parse_range, two))
    assert (public(*one).id == public(*two).id) == equal


def test_an_id_hangs_on_whom_the_connector_is_for() -> None:
    assert public("203.0.113.1", servers=["site=fra"]).id != public("203.0.113.1").id


def test_an_enrolment_is_no_new_finding() -> None:
    (before,) = (f for f in lint(side(FRONTEND, PUBLIC)) if f.rule == "relay-public")
    joined = side(FRONTEND, PUBLIC, servers=[Server("mx1"), Server("mx2")])
    (after,) = (f for f in lint(joined) if f.rule == "relay-public")
    assert before.id == after.id
    assert (before.servers, after.servers) == (("mx1",), ("mx1", "mx2"))


def test_findings_come_gravest_first_and_once() -> None:
    found = lint(side(FRONTEND, PUBLIC | {"message_rate_limit": "unlimited"}))
    order = ["blocking", "warning", "info"]
    assert [f.severity for f in found] == sorted((f.severity for f in found), key=order.index)
    assert len({f.id for f in found}) == len(found)
    assert {f.severity for f in found} == set(order)


def test_an_acknowledgement_covers_one_finding_until_its_time() -> None:
    found = lint(side(FRONTEND, PUBLIC))
    finding = next(f for f in found if f.rule == "relay-public")
    taken_on = Acknowledgement(finding.id, who="chris", why="rented scanners", until=NOW + 60)
    assert finding not in open_findings(found, [taken_on], NOW)
    assert finding in open_findings(found, [taken_on], NOW + 60)
    assert len(open_findings(found, [taken_on], NOW)) == len(found) - 1
    wider = lint(side(FRONTEND, PUBLIC | {"remote_ip_ranges": ["203.0.113.0/27"]}))
    assert [f.rule for f in open_findings(wider, [taken_on], NOW) if f.severity == "blocking"] == [
        "relay-public"
    ]


def test_what_cannot_be_acknowledged_stays_open() -> None:
    found = lint(side(RELAY | {"remote_ip_ranges": ["0.0.0.0/0"]}))
    all_taken_on = [Acknowledgement(f.id, who="chris", why="because", until=NOW + 60) for f in found]
    assert {f.rule for f in open_findings(found, all_taken_on, NOW)} >= {"relay-everything", "relay-default"}
