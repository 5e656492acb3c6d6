import pytest

from spatialreasoner.core.progress import progress_bar, progress_shown_by


def test_without_a_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("search 3 questions", 3) as advance:
        for done in range(1, 4):
            advance(done)
    err = capsys.readouterr().err
    assert err.startswith("search 3 questions ...\nsearch 3 questions: done in ")


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_bar("search 3 questions", 3) as advance:
        advance(3)
    err = capsys.readouterr().err
    assert "search 3 questions" in err
    assert "3/3" in err


def test_a_stage_that_fails_is_not_called_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="broke"), progress_bar("search"):
        raise RuntimeError("it broke")
    assert "done" not in capsys.readouterr().err


def test_stages_deep_inside_are_shown_by_another(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_shown_by(None), progress_bar("check"):
        pass
    assert capsys.readouterr().err == ""
    with progress_shown_by(None), progress_shown_by(progress_bar), progress_bar("check"):  # the default says nothing new
        pass
    assert capsys.readouterr().err == ""
    with progress_bar("check"):
        pass
    assert "check: done" in capsys.readouterr().err
