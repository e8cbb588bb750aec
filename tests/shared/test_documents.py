"""Fleet documents as text: YAML 1.2, no duplicate keys, every fault with its place."""

import pytest

from gatepost.documents import DocumentError, dump_document, load_document, parse_text

_RELAY = r"""
accepted_domains:
  - {domain: contoso.com, type: authoritative}
connectors:
  - name: Anonymous Relay
    bindings: ["0.0.0.0:25"]
    remote_ip_ranges: [192.168.5.10, {range: 10.1.2.3, note: 'scanner', expires_at: 2026-11-30T12:00:00Z}]
    connection_timeout: 00:20:00
    permission_groups: [AnonymousUsers]
    permissions:
      - {principal: 'NT AUTHORITY\ANONYMOUS LOGON', rights: [Ms-Exch-SMTP-Accept-Any-Recipient]}
"""


def test_a_document_reads_back_as_itself() -> None:
    document = load_document(_RELAY)
    assert load_document(dump_document(document)) == document
    assert document.connectors[0].connection_timeout == "00:20:00"


def test_scalars_are_those_of_yaml_1_2() -> None:
    text = "{a: no, b: 10:00:00, c: 010, d: 1.2.3.4, e: true, f: 12, g: ~, h: 2026-11-30, i: 1.5, j: 0x10}"
    assert parse_text(text) == {
        "a": "no", "b": "10:00:00", "c": "010", "d": "1.2.3.4", "e": True, "f": 12, "g": None, "h": "2026-11-30",
        "i": 1.5, "j": "0x10",
    }  # fmt: skip


def test_a_key_that_stands_twice_is_refused_with_its_line() -> None:
    with pytest.raises(DocumentError) as caught:
        load_document(
            "connectors:\n  - name: A\n    remote_ip_ranges: [10.0.0.1]\n    remote_ip_ranges: [10.0.0.2]\n"
        )
    (fault,) = caught.value.faults
    assert fault.value == "remote_ip_ranges"
    assert "Line 4" in fault.remedy


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "not YAML"),
        ("- a", "not a fleet document"),
        ("a: &x [1]\nb: *x", "aliases"),
        ("a: " + "[" * 40 + "]" * 40, "32 levels"),
        ("connectors: [{name: A, bindings: ['0.0.0.0:25'], remote_ip_ranges: [1.2.3.400]}]", "/remote_ip_ranges/0"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(text: str, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        load_document(text)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(DocumentError) as caught:
        load_document("connectors: [{name: A, bindings: [x], foo: 1, max_hop_count: 0}]")
    assert [fault.pointer for fault in caught.value.faults] == [
        "/connectors/0/bindings/0",
        "/connectors/0/max_hop_count",
        "/connectors/0/foo",
    ]


def test_an_unsupported_setting_is_pointed_at_itself() -> None:
    with pytest.raises(DocumentError) as caught:
        load_document("connectors: [{name: A, bindings: ['0.0.0.0:25'], enable_auth_gssapi: true}]")
    (fault,) = caught.value.faults
    assert (fault.pointer, fault.value) == ("/connectors/0/enable_auth_gssapi", "True")


def test_a_number_where_text_belongs_is_to_be_quoted() -> None:
    with pytest.raises(DocumentError) as caught:
        load_document("tests: [{name: 1, server: mx1, remote: 10.0.0.1}]")
    assert "quotes" in next(fault for fault in caught.value.faults if fault.pointer == "/tests/0/name").remedy


@pytest.mark.parametrize("text", ["", "\n \n", "---\n", "# nothing but a remark\n", "null"])
def test_an_empty_text_is_no_empty_fleet(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load_document(text)
    (fault,) = caught.value.faults
    assert fault.detail == "the document is empty"
    assert fault.remedy == "Write `connectors: []` if nothing shall listen."


@pytest.mark.parametrize("text", ["{}", "connectors: []", dump_document(load_document("{}"))])
def test_an_empty_fleet_can_be_written(text: str) -> None:
    assert load_document(text).connectors == ()


def test_a_list_as_the_exchange_shell_shows_it_is_taken_from_yaml() -> None:
    document = load_document(
        "connectors: [{name: A, bindings: ['0.0.0.0:25'], auth_mechanism: {Tls, BasicAuth},"
        " remote_ip_ranges: {10.0.0.1, 10.0.0.8/29}, permission_groups: {AnonymousUsers}}]"
    )
    (connector,) = document.connectors
    assert connector.auth_mechanism == ("Tls", "BasicAuth")
    assert connector.remote_ip_ranges == ("10.0.0.1", "10.0.0.8/29")
    assert connector.permission_groups == ("AnonymousUsers",)
