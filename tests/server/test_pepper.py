"""The secret that keys are hashed with: made once, kept from others, never empty."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auth.credentials import new_key
from server.pepper import load_peppers
from server.settings import load_settings


def test_the_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    first = load_peppers(settings)
    assert settings.pepper_file.stat().st_mode & 0o777 == 0o600
    assert len(first.by_version[1]) >= 32
    assert load_peppers(settings) == first


def test_many_at_once_make_one_secret(tmp_path: Path) -> None:
    for turn in range(20):
        home = tmp_path / str(turn) / "new"
        settings = load_settings(home=home)
        with ThreadPoolExecutor(8) as pool:
            found = set(pool.map(lambda s: load_peppers(s).by_version[1], [settings] * 8))
        assert len(found) == 1
        assert [path.name for path in home.iterdir()] == ["pepper"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    settings = load_settings(home=tmp_path)
    load_peppers(settings)
    settings.pepper_file.chmod(mode)
    with pytest.raises(PermissionError, match="chmod 600"):
        load_peppers(settings)


@pytest.mark.parametrize("text", ["", "\n", "   "])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    settings = load_settings(home=tmp_path)
    settings.pepper_file.write_text(text)
    settings.pepper_file.chmod(0o600)
    with pytest.raises(PermissionError, match="empty"):
        load_peppers(settings)


def test_the_setting_wins_and_makes_no_file(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, auth={"pepper": "a secret of sixteen or more"})
    assert load_peppers(settings).by_version == {1: b"a secret of sixteen or more"}
    assert not list(tmp_path.iterdir())


def test_it_does_not_show(tmp_path: Path) -> None:
    peppers = load_peppers(load_settings(home=tmp_path, auth={"pepper": "s3cr3t-s3cr3t-s3cr3t"}))
    assert "s3cr3t" not in repr(peppers)
    made = new_key("t", "a", peppers, label="", url_allowed=True, expires=None, now=datetime.now(UTC))
    assert "s3cr3t" not in repr(made)
