"""Where judges' weights are looked for."""

from pathlib import Path

import platformdirs
import pytest

from cafa.weights.folder import judges_folder


def test_the_variable_comes_first_then_a_folder_here_then_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAFA_WEIGHTS", raising=False)
    monkeypatch.setattr(platformdirs, "user_data_path", lambda name: tmp_path / "user" / name)
    assert judges_folder() == tmp_path / "user/cafa/weights"
    (tmp_path / "weights").mkdir()
    assert judges_folder().resolve() == tmp_path / "weights"
    monkeypatch.setenv("CAFA_WEIGHTS", str(tmp_path / "fetched"))
    assert judges_folder() == tmp_path / "fetched"
