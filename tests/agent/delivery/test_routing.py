"""What delivery runs on: addresses to routes, and exits kept where nothing changed."""

from gatepost.policy.dialogue.domains import AcceptedDomains
from gatepost.policy.dialogue.routing import NoRoute, Route
from gatepost.policy.model.send_connector import SendConnector
from gatepost_agent.delivery.routing import Routing, make_routing
from tests.agent.delivery.samples import NO_SECRETS, send_connector


def routing(
    *connectors: SendConnector, before: Routing | None = None, fqdn: str = "mx1.contoso.com"
) -> Routing:
    return make_routing(
        connectors, accepted=AcceptedDomains([]), fqdn=fqdn, secrets=NO_SECRETS, before=before
    )


def test_the_domain_decides_in_any_case_and_form() -> None:
    made = routing(
        send_connector(name="exact", address_spaces=["fabrikam.com"], smart_hosts=["127.0.0.1:1"]),
        send_connector(name="here", address_spaces=["mx1.contoso.com"], smart_hosts=["127.0.0.1:2"]),
        send_connector(name="umlaut", address_spaces=["xn--mller-kva.de"], smart_hosts=["127.0.0.1:3"]),
    )
    for recipient, name in [
        ("Kate@FABRIKAM.com", "exact"),
        ("postmaster", "here"),
        ("x@müller.de", "umlaut"),
        ('"a@b"@fabrikam.com', "exact"),
    ]:
        found = made.find(recipient)
        assert isinstance(found, Route)
        assert found.hops[0].connector == name
    assert isinstance(made.find("x@other.org"), NoRoute)
    assert isinstance(made.find("not an address@"), NoRoute)


def test_exits_live_as_long_as_their_connector_is_unchanged() -> None:
    one, two = send_connector(name="one"), send_connector(name="two")
    before = routing(one, two)
    after = routing(send_connector(name="one"), send_connector(name="two", max_connections=3), before=before)
    assert after.exits["one"] is before.exits["one"]
    assert after.exits["two"] is not before.exits["two"]
    assert routing(one, before=before, fqdn="other").exits["one"] is not before.exits["one"]


def test_every_setting_of_a_send_connector_reaches_its_exit() -> None:
    made = routing(
        send_connector(
            connection_inactivity_timeout="00:00:20",
            expiration_timeout="01:00:00",
            message_rate_limit=90,
            source_ip_address="127.0.0.9",
            fqdn="door.contoso.com",
        )
    ).exits["out"]
    assert made.timeouts.final == made.timeouts.command == made.idle_s == 20
    assert made.expire_after_s == 3600
    assert made.per_minute == 90
    assert made.local_address == ("127.0.0.9", 0)
    assert made.helo == b"door.contoso.com"
    plain = routing(send_connector()).exits["out"]
    assert plain.per_minute is None
    assert plain.local_address is None
    assert plain.helo == b"mx1.contoso.com"
    assert plain.expire_after_s == 2 * 86400
