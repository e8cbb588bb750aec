"""Mail events: to one sink, trouble to the journal too."""

import logging

import pytest

from gatepost_agent.mail_events import MailEvents


def test_events_go_to_the_sink_and_to_nobody_without_one() -> None:
    events = MailEvents()
    events.info("lost", queue_id=1)
    told: list[dict[str, object]] = []
    events.sink = told.append
    events.info("smtp_accepted", queue_id=2)
    assert told == [{"event": "smtp_accepted", "queue_id": 2}]


def test_trouble_of_ours_is_in_the_journal_with_its_origin(caplog: pytest.LogCaptureFixture) -> None:
    events = MailEvents()
    with events.captured() as told, caplog.at_level(logging.ERROR):
        events.error("delivery_failed", queue_id=3, exc_info=RuntimeError("boom"))
    assert told[0]["queue_id"] == 3
    assert "boom" in told[0]["exception"]
    assert "delivery_failed" in caplog.text


def test_capturing_gives_the_sink_back() -> None:
    events = MailEvents()
    told: list[dict[str, object]] = []
    events.sink = told.append
    with events.captured():
        events.info("one")
    events.info("two")
    assert told == [{"event": "two"}]
