"""What counts as a default connector, and how many are told of."""

import pytest

from gatepost.policy.analysis.lint.context import Context, some
from tests.support.findings import side
from tests.support.policies import FRONTEND


@pytest.mark.parametrize(
    ("ranges", "holds"),
    [
        (["0.0.0.0-255.255.255.255"], True),
        (["0.0.0.0/1", "128.0.0.0/1"], True),
        (["0.0.0.1-255.255.255.255"], True),
        (["::/0"], True),
        (["0.0.0.2-255.255.255.255"], False),
        (["10.0.0.0/8"], False),
    ],
)
def test_a_default_connector_holds_all_of_an_ip_version(ranges: list[str], holds: bool) -> None:
    examined = side(FRONTEND | {"remote_ip_ranges": ranges})
    assert Context(examined).holds_everything(examined.document.connectors[0]) == holds


def test_a_few_of_many_are_told() -> None:
    assert some("abc") == "a, b, c"
    assert some("abcdefg") == "a, b, c, d, e and 2 more"
