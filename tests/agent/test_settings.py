"""Settings: options, then variables, then the file; every problem told at once."""

from pathlib import Path

import pytest

from gatepost_agent.errors import UsageRefused
from gatepost_agent.settings import in_force, load_settings


def test_options_beat_variables_which_beat_the_file(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(
        "drain_s = 1\nreport_interval_s = 2\nretry_max_s = 3\n", encoding="utf-8"
    )
    variables = {"GATEPOST_AGENT_REPORT_INTERVAL_S": "20", "GATEPOST_RETRY_MAX_S": "30", "GATEPOST_URL": "x"}
    settings = load_settings(variables, {"config_dir": tmp_path, "retry_max_s": 300})
    assert (settings.drain_s, settings.report_interval_s, settings.retry_max_s) == (1, 20, 300)


def test_the_agents_own_variable_beats_the_shared_one() -> None:
    variables = {"GATEPOST_LOG_LEVEL": "error", "GATEPOST_AGENT_LOG_LEVEL": "debug"}
    assert load_settings(variables, {}).log_level == "debug"


def test_folders_are_found_from_the_state_folder(tmp_path: Path) -> None:
    settings = load_settings({"GATEPOST_AGENT_STATE_DIR": str(tmp_path)}, {"state_dir": None})
    assert settings.config_folder == tmp_path / "config"
    assert settings.spool_folder == tmp_path / "spool"


def test_every_problem_is_told_with_its_value() -> None:
    variables = {"GATEPOST_AGENT_DRAIN_S": "soon", "GATEPOST_AGENT_LOG_LEVEL": "loud"}
    with pytest.raises(UsageRefused, match=r"log_level.*'loud'.*drain_s.*'soon'"):
        load_settings(variables, {})


@pytest.mark.parametrize("text", ["drain = 5", "drain_s = ", "relay = ['0.0.0.0/0']"])
def test_a_file_with_what_is_no_setting_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "agent.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageRefused):
        load_settings({}, {"config_dir": tmp_path})


def test_what_is_in_force_can_be_logged() -> None:
    shown = in_force(load_settings({}, {}))
    assert shown["drain_s"] == "30"
    assert "stop_after_disconnected_s" in shown
