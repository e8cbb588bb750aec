"""Progress is seen on a terminal, not too often, and is gone at the end."""

from io import StringIO

from gatepost_agent.local.progress import progress


class _Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_latest_text_now_and_then_and_none_at_the_end() -> None:
    out, times = _Terminal(), iter([0.0, 0.05, 0.2])
    with progress(out, lambda: next(times)) as show:
        for text in ("one", "two", "three"):
            show(text)
        assert out.getvalue() == "\r\x1b[Kone\r\x1b[Kthree"
    assert out.getvalue().endswith("three\r\x1b[K")


def test_a_file_or_a_pipe_is_told_nothing() -> None:
    out = StringIO()
    with progress(out) as show:
        show("one")
    assert out.getvalue() == ""
