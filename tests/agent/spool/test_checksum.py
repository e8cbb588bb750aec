"""The sliced CRC is the CRC."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from gatepost_agent.spool.checksum import crc32


@given(st.binary(max_size=50), st.integers(0, 400), st.integers(0, 2**32 - 1))
def test_it_is_zlibs(piece: bytes, times: int, start: int) -> None:
    assert crc32(piece * times, start) == zlib.crc32(piece * times, start)
