def test_judges_are_looked_for_here_first_and_then_where_weights_are_fetched(tmp_path, monkeypatch):
    from cafa.weights.folder import judges_folder

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAFA_WEIGHTS", str(tmp_path / "fetched"))
    assert judges_folder() == tmp_path / "fetched"
    (tmp_path / "weights").mkdir()
    assert judges_folder().resolve() == tmp_path / "weights"
