"""Settings: where a value comes from, and what is said about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.errors import SettingsError
from alain_magics.settings import SETTINGS, configured, resolve


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Return the project's file and the user's file."""
    return tmp_path / "project.toml", tmp_path / "user.toml"


def test_defaults_hold_where_nothing_is_given():
    settings = resolve(environ={})
    assert (settings.isolation, settings.item_seconds, settings.item_memory_mb) == ("auto", 1.0, 128)
    assert set(settings.origins.values()) == {"default"}


def test_each_place_outranks_the_one_below_and_is_remembered(files, monkeypatch):
    project, user = files
    for origin, seconds in [
        (str(user), 1),
        (str(project), 2),
        ("ALAIN_ITEM_SECONDS", 3),
        ("%config", 4),
        ("option", 5),
    ]:
        environ, options = {}, {}
        user.write_text("item_seconds = 1")
        if seconds >= 2:
            project.write_text("item_seconds = 2")
        if seconds >= 3:
            environ = {"ALAIN_ITEM_SECONDS": "3"}
        if seconds >= 4:
            monkeypatch.setitem(configured, "item_seconds", 4.0)
        if seconds >= 5:
            options = {"item_seconds": 5}
        settings = resolve(options, project=project, user=user, environ=environ)
        assert settings.item_seconds == seconds
        assert settings.origins["item_seconds"].startswith(origin)


def test_an_option_that_was_not_given_changes_nothing():
    assert resolve({"difficulty": None}, environ={}).difficulty == "beginner"


def test_an_empty_variable_counts_as_not_given():
    assert resolve(environ={"ALAIN_DIFFICULTY": ""}).origins["difficulty"] == "default"


@pytest.mark.parametrize("mine", ["user", "project"])
def test_a_wrong_name_in_a_file_names_the_file_the_key_and_the_nearest_name(files, mine):
    path = files[mine == "user"]
    path.write_text("dificulty = 'beginner'")
    with pytest.raises(SettingsError) as caught:
        resolve(**{mine: path}, environ={})
    assert str(path) in str(caught.value)
    assert "'dificulty'" in caught.value.what
    assert "'difficulty'" in caught.value.advice


def test_a_name_like_no_other_gets_the_whole_list(files):
    files[1].write_text("qqq = 1")
    with pytest.raises(SettingsError, match="The settings are isolation, item_seconds"):
        resolve(user=files[1], environ={})


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("ALAIN_ISOLATION", "isolate", "Did you mean 'isolated'?"),
        ("ALAIN_ITEM_SECONDS", "soon", "must be a number"),
        ("ALAIN_ITEM_SECONDS", "nan", "must be between 0.1 and 600"),
        ("ALAIN_ITEM_MEMORY_MB", "1", "must be between 64 and 65536"),
        ("ALAIN_ITEM_MEMORY_MB", "100.5", "must be a whole number"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_possible(variable, value, advice):
    with pytest.raises(SettingsError) as caught:
        resolve(environ={variable: value})
    assert variable in caught.value.what
    assert repr(value) in caught.value.what
    assert advice in caught.value.advice


@pytest.mark.parametrize("text", ["item_seconds = true", "difficulty = 3", "[isolation]\nlevel = 1"])
def test_a_value_of_the_wrong_type_is_refused(files, text):
    files[1].write_text(text)
    with pytest.raises(SettingsError, match="is not possible"):
        resolve(user=files[1], environ={})


@pytest.mark.parametrize("content", [b"isolation = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_named(files, content):
    files[1].write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read"):
        resolve(user=files[1], environ={})


@pytest.mark.parametrize("line", ["database_url = 'postgresql://evil/x'", "user = 'somebody'"])
def test_a_project_cannot_choose_the_database_or_the_user(files, line):
    project, user = files
    project.write_text(line)
    with pytest.raises(SettingsError, match="cannot be set by a project"):
        resolve(project=project, environ={})
    user.write_text(line)
    assert resolve(user=user, environ={}).origins[line.split()[0]] == str(user)


LEVELS = ["limited", "auto", "isolated"]


@given(yours=st.sampled_from(LEVELS), theirs=st.sampled_from(LEVELS))
def test_a_project_can_only_make_isolation_stricter(tmp_path_factory, yours, theirs):
    folder = tmp_path_factory.mktemp("settings")
    project, user = folder / "project.toml", folder / "user.toml"
    user.write_text(f"isolation = '{yours}'")
    project.write_text(f"isolation = '{theirs}'")
    if LEVELS.index(theirs) >= LEVELS.index(yours):
        assert resolve(project=project, user=user, environ={}).isolation == theirs
    else:
        with pytest.raises(SettingsError, match="only make isolation stricter"):
            resolve(project=project, user=user, environ={})


@pytest.mark.parametrize("place", ["/", "..", "runs/../..", "~", "~nosuchuser/runs", "link", "a\\u0000b"])
def test_a_project_replays_nothing_from_beyond_its_folder(files, place):
    project, user = files
    (project.parent / "link").symlink_to("/")
    project.write_text(f'replay = "{place}"')
    with pytest.raises(SettingsError, match="leads out of the project"):
        resolve(project=project, environ={})
    user.write_text('replay = "/elsewhere"')
    assert resolve(user=user, environ={}).replay == "/elsewhere"


@pytest.mark.parametrize("place", ["", ".", "runs", "tests/../runs"])
def test_a_project_may_replay_what_lies_in_it(files, place):
    files[0].write_text(f'replay = "{place}"')
    assert resolve(project=files[0], environ={}).replay == place


def test_your_own_environment_outranks_the_project(files):
    files[0].write_text("isolation = 'isolated'")
    assert resolve(project=files[0], environ={"ALAIN_ISOLATION": "limited"}).isolation == "limited"


def test_every_setting_is_described():
    for setting in SETTINGS.values():
        assert setting.description.endswith(".")
        assert setting.parse(setting.default) == setting.default


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path):
    (tmp_path / "alain.toml").write_text('model = "lab/one"', encoding="utf-8-sig")
    assert resolve({}, user=tmp_path / "alain.toml", environ={}).model == "lab/one"
