"""Profiles: files, placeholders, the order in which values are looked for."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alain_magics.chat.profiles import Example, Options, Profile, Said, dumps, from_words, load, names, resolve
from alain_magics.errors import ProfileError, UsageError
from alain_magics.runtimes.base import Message, Sampling

NOON = datetime(2026, 3, 4, 12, 30, 5, tzinfo=UTC)
WHOLE = """
model = "ollama/gpt-oss:20b"
system = "You are {assistant}."
effort = "high"
max_tokens = 256
context_tokens = 8192
context_margin = 128
loop_detection = "full"
greeting = "Hello {user}!"
knowledge_cutoff = "2025-01"
fixed_time = 2026-03-04T12:30:05Z

[sampling]
temperature = 0.5
top_k = 40
stop = ["END"]

[placeholders]
assistant = "Dave"
user = "Morgan"

[[examples]]
messages = [{ role = "user", content = "Hi" }, { role = "assistant", content = "Hello {user}" }]

[extra]
mlock = true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "teacher.toml").write_text(WHOLE, encoding="utf-8")
    return tmp_path


def test_a_file_becomes_a_profile(folder: Path):
    profile = load(folder, "teacher")
    assert (profile.model, profile.effort, profile.sampling.top_k) == ("ollama/gpt-oss:20b", "high", 40)
    assert profile.extra == {"mlock": True}
    assert names(folder) == ["teacher"]


def test_the_messages_are_the_system_text_and_the_examples(folder: Path):
    assert load(folder, "teacher").to_messages(NOON) == [
        Message("system", "You are Dave.\n\nKnowledge cutoff: 2025-01"),
        Message("user", "Hi"),
        Message("assistant", "Hello Morgan"),
    ]


def test_another_system_text_is_used_as_it_is(folder: Path):
    head = load(folder, "teacher").to_messages(NOON, "Say {nothing}.")
    assert head[0] == Message("system", "Say {nothing}.\n\nKnowledge cutoff: 2025-01")


def test_a_profile_without_text_gives_no_message():
    assert Profile().to_messages(NOON) == []


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("{user} and {user}", "Morgan and Morgan"),
        ("<|USER|> <|user|> <|User|>", "Morgan Morgan Morgan"),
        ("{{user}}", "{user}"),
        ('{"user": 1} {0} {} { user } {user.name}', '{"user": 1} {0} {} { user } {user.name}'),
        ("<|TIMEU|>", "12:30:05 UTC"),
        ("<|endless", "<|endless"),
        ("{tricky}", "{user} <|DATE|>"),
    ],
)
def test_placeholders_are_replaced_once(text: str, gives: str):
    profile = Profile(placeholders={"user": "Morgan", "tricky": "{user} <|DATE|>"})
    assert profile.rendered(text, NOON) == gives


def test_times_are_local_but_for_the_one_that_is_not():
    here = NOON.astimezone()
    assert Profile().rendered("<|DATE|>T<|TIME|> <|DATETIME|> <|TIMEZ|> {TIMEA}", NOON) == (
        f"{here:%Y-%m-%dT%H:%M:%S} {here:%Y-%m-%dT%H:%M:%S} {here:%H:%M:%S} {here:%I:%M:%S %p}"
    )


def test_a_placeholder_of_ones_own_wins_over_a_time():
    assert Profile(placeholders={"date": "today"}).rendered("<|DATE|>", NOON) == "today"


@pytest.mark.parametrize(
    ("text", "what", "advice"),
    [
        (
            "{usr}",
            "The placeholder {usr} has no value.",
            "Did you mean 'user'? To mean the text itself, write {{usr}}.",
        ),
        ("<|ASSISTANT|>", "The placeholder <|ASSISTANT|> has no value.", "Give it one under [placeholders]."),
    ],
)
def test_a_placeholder_without_a_value_is_an_error(text: str, what: str, advice: str):
    with pytest.raises(ProfileError) as caught:
        Profile(system=text, placeholders={"user": "Morgan"}).to_messages(NOON)
    assert (caught.value.what, caught.value.advice) == (what, advice)


def test_a_fixed_time_makes_prompts_and_seed_repeatable():
    profile = Profile(system="<|TIMEU|>", fixed_time=NOON)
    assert profile.to_messages(datetime.now(UTC)) == [Message("system", "12:30:05 UTC")]
    assert profile.chosen().sampling.seed == 0
    assert Profile(fixed_time=NOON, sampling=Sampling(seed=7)).chosen().sampling.seed == 7
    assert Profile().chosen().sampling.seed is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('modle = "x"', "there is no key 'modle'. Did you mean 'model'?"),
        ("[sampling]\ntemprature = 1", "there is no key 'sampling.temprature'. Did you mean 'temperature'?"),
        ("[[examples]]\nmesages = []", "there is no key 'examples.0.mesages'. Did you mean 'messages'?"),
        ('[[examples]]\nmessages = [{ role = "user", contnt = "x" }]', "Did you mean 'content'?"),
        ('[[examples]]\nmessages = [{ role = "user" }]', "examples.0.messages.0.content is missing."),
        ("temperature = 0.5", "there is no key 'temperature'. temperature belongs under [sampling]."),
        ("[sampling]\nmax_tokens = 5", "max_tokens belongs at the top, above all tables."),
        ("[sampling]\ntemperature = 6", "sampling.temperature cannot be 6.0. It is between 0 and 5."),
        ("mlock = true", "there is no key 'mlock'. What has no meaning here belongs under [extra]."),
        ('max_tokens = "many"', "max_tokens cannot be 'many'."),
        ("max_tokens = 0", "greater than or equal to 1"),
        ("[sampling]\ntemperature = inf", "finite number"),
        ('effort = "enormous"', "effort cannot be 'enormous'."),
        ("model = ", "cannot be read"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, line: str, problem: str):
    (tmp_path / "x.toml").write_text(line)
    with pytest.raises(ProfileError) as caught:
        load(tmp_path, "x")
    assert str(tmp_path / "x.toml") in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize("name", ["taecher", "../x/teacher", "", "teacher.toml"])
def test_a_profile_that_does_not_exist_is_an_error(folder: Path, name: str):
    with pytest.raises(ProfileError, match="There is no profile"):
        load(folder / "x" if name.startswith("..") else folder, name)


def test_a_folder_need_not_exist(tmp_path: Path):
    assert names(tmp_path / "none") == []


EXPLICIT = Options(model="explicit", sampling=Sampling(temperature=0.0))
LOADED = Options(model="loaded", max_tokens=1, context_margin=0, sampling=Sampling(temperature=0.2, top_p=0.3))
PROFILE = Options(model="profile", max_tokens=2, effort="low", sampling=Sampling(top_p=0.4, top_k=1, stop=("a",)))
SETTINGS = Options(model="settings", effort="high", loop_detection="full", context_margin=9)


def test_explicit_comes_before_loaded_before_profile_before_settings():
    assert resolve(EXPLICIT, LOADED, PROFILE, SETTINGS) == Options(
        model="explicit",
        max_tokens=1,
        context_margin=0,
        effort="low",
        loop_detection="full",
        sampling=Sampling(temperature=0.0, top_p=0.3, top_k=1, stop=("a",)),
    )


@given(st.permutations([EXPLICIT, LOADED, PROFILE, SETTINGS]))
def test_a_value_comes_from_the_first_that_gives_it(layers: list[Options]):
    chosen = resolve(*layers).values()
    for name in {name for layer in layers for name in layer.values()}:
        assert chosen[name] == next(layer.values()[name] for layer in layers if name in layer.values())


def test_words_become_options():
    words = ["temperature=0.2", "max-tokens=5", "model=a/b", "stop= x", "effort=off", "seed=3", "top_p=", "system= "]
    options = Options(model="a/b", max_tokens=5, effort="off", sampling=Sampling(temperature=0.2, seed=3, stop=(" x",)))
    assert from_words(words) == (options, ["top_p", "system"])


def test_an_option_can_be_left_open_again():
    options = Options(model="a/b", max_tokens=5, sampling=Sampling(temperature=0.2, top_p=0.1, stop=("x",)))
    assert options.without(["max_tokens", "stop", "top_p"]) == Options(model="a/b", sampling=Sampling(temperature=0.2))
    assert options.without([]) == options


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("temprature=1", "There is no option 'temprature'. Did you mean 'temperature'?"),
        ("temperature", "'temperature' sets nothing. Write NAME=VALUE"),
        ("temperature=hot", "temperature cannot be 'hot'."),
        ("max_tokens=0", "max_tokens cannot be '0'."),
        ("sampling=1", "There is no option 'sampling'."),
    ],
)
def test_a_wrong_word_is_named(word: str, problem: str):
    with pytest.raises(UsageError) as caught:
        from_words([word])
    assert problem in str(caught.value)


text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\\n\r\t{}<|>'), max_size=30)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(text | st.integers() | st.booleans(), lambda inner: st.lists(inner) | st.dictionaries(text, inner))
profiles = st.builds(
    Profile,
    model=st.none() | text,
    system=st.none() | text,
    effort=st.sampled_from([None, "off", "low", "medium", "high"]),
    max_tokens=st.none() | st.integers(1),
    context_margin=st.none() | st.integers(0),
    sampling=st.builds(Sampling, temperature=numbers, min_p=numbers, stop=st.lists(text).map(tuple)),
    greeting=text,
    fixed_time=st.none() | st.datetimes(timezones=st.just(UTC)),
    placeholders=st.dictionaries(text, text),
    examples=st.lists(st.builds(Example, messages=st.lists(st.builds(Said, content=text))), max_size=2),
    extra=st.dictionaries(text, plain, max_size=3),
)


@settings(max_examples=200, deadline=None)
@given(profiles)
def test_a_profile_that_is_written_is_read_as_it_was(profile: Profile):
    assert Profile.model_validate(tomllib.loads(dumps(profile))) == profile


def test_longer_texts_are_written_so_that_people_can_read_them():
    assert dumps(Profile(system="You are\nkind.")) == 'system = """You are\nkind."""\n'


def test_a_profile_that_is_missing_says_what_one_looks_like(tmp_path: Path):
    with pytest.raises(ProfileError) as caught:
        load(tmp_path, "teacher")
    assert str(tmp_path / "teacher.toml") in caught.value.advice
    assert 'model = "ollama/qwen3:8b" and system = "You are brief."; docs/profiles.md' in caught.value.advice


@pytest.mark.parametrize(
    "word", ["temperature=5.1", "temperature=-1", "top_p=1.5", "min_p=-0.1", "top_k=-2", "presence_penalty=3"]
)
def test_an_option_without_a_meaning_is_refused(word: str):
    name, _, value = word.partition("=")
    with pytest.raises(UsageError, match=rf"{name} cannot be {value}(\.0)?\. It is between"):
        from_words([word])


@pytest.mark.parametrize("word", ["temperature=5", "temperature=0", "top_p=1", "top_k=-1", "seed=-1"])
def test_the_bounds_themselves_are_possible(word: str):
    assert from_words([word])[0].values()
