"""The named files that a config needs on this host: certificates, trusted CAs, credentials and where these may go."""

from collections.abc import Callable, Iterator

from gatepost.policy.dialogue.compiled import Policy
from gatepost.policy.model.send_connector import SendConnector, parse_smart_host
from gatepost.wire import AttemptError
from gatepost_agent.control.verify import Rejected
from gatepost_agent.delivery.config_folder import Secrets
from gatepost_agent.delivery.errors import SecretRefused


def check_files(policy: Policy, secrets: Secrets) -> None:
    """Raises Rejected, to be retried: the file may come. What the files say is never in the text."""
    wrong = tuple(dict.fromkeys(_wrong(policy, secrets)))
    if wrong:
        raise Rejected(
            "guard",
            (
                AttemptError(type="/problems/file-missing", detail=text[:1024], retryable=True)
                for text in wrong
            ),
        )


def _wrong(policy: Policy, secrets: Secrets) -> Iterator[str]:
    for connector in policy.bundle.connectors:
        if connector.tls_certificate_name is not None:
            yield from _refusal(
                f"connector {connector.name!r}", secrets.certificate, connector.tls_certificate_name
            )
    for send in policy.bundle.send_connectors:
        yield from _of_send_connector(send, secrets)


def _of_send_connector(send: SendConnector, secrets: Secrets) -> Iterator[str]:
    named = f"send connector {send.name!r}"
    if send.tls_certificate_name is not None:
        yield from _refusal(named, secrets.certificate, send.tls_certificate_name)
    if send.tls_ca is not None:
        yield from _refusal(named, secrets.trust, send.tls_ca)
    if send.authentication_credential is not None:
        for host, _ in map(parse_smart_host, send.smart_hosts):
            yield from _refusal(named, secrets.credentials, send.authentication_credential, host)


def _refusal(named: str, find: Callable[..., object], *arguments: str) -> Iterator[str]:
    try:
        find(*arguments)
    except SecretRefused as error:
        yield f"{named}: {error}"
