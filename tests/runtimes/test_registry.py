"""Runtimes by name, and which one is meant where none is named."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from alain_magics import keys
from alain_magics.errors import KeyMissing, KeyMisused, NoRuntime, SettingsError, UnknownModel, UsageError
from alain_magics.runtimes import registry
from alain_magics.runtimes.base import ChatRequest, Message, ModelInfo
from alain_magics.runtimes.discovery import Found
from alain_magics.runtimes.http import Http
from alain_magics.runtimes.providers import PROVIDERS, Provider
from alain_magics.runtimes.registry import Runtimes, nothing_found, preferred
from alain_magics.runtimes.turn import Turn
from alain_magics.settings import Settings
from tests.conftest import require
from tests.peers.llama_server import Peer as LlamaServer
from tests.peers.pages import answering
from tests.peers.recorded import Peer, recorded
from tests.runtimes.contract import Run
from tests.runtimes.machine import write_places

KEY = "sk-a-secret-of-nobody"


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with recorded("lmstudio", "ollama", "llamacpp", "vllm", "together") as peer:
        yield peer


@pytest.fixture
def machine(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Runtimes]]:
    """Makes the registry of a machine on which presets run at given addresses only, and no model lies on the disk."""
    made: list[Runtimes] = []
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))

    def make(settings: Settings | None = None, environ: dict[str, str] | None = None, **urls: str) -> Runtimes:
        write_places(tmp_path / "runtimes.toml", **urls)
        runtimes = Runtimes(
            tmp_path / "runtimes.toml",
            folder=tmp_path,
            settings=lambda: settings or Settings(),
            names_file=tmp_path / "data" / "models.json",
            environ=environ or {},
        )
        made.append(runtimes)
        return runtimes

    yield make
    for runtimes in made:
        run(runtimes.aclose())


def chosen(run: Run, runtimes: Runtimes, wanted: str | None = None) -> str:
    """What is chosen, as ``runtime/model``."""
    runtime, model = run(runtimes.choose(wanted))
    return f"{runtime.name}/{model}"


def info(name: str, **more: Any) -> ModelInfo:
    runtime, _, model = name.partition("/")
    return ModelInfo(model, runtime, **more)


def found(*models: ModelInfo) -> Found:
    return Found(PROVIDERS[models[0].runtime], models)


# names


def test_the_presets_of_this_machine_come_first(machine) -> None:
    assert machine().names()[:3] == ["lmstudio", "ollama", "llamacpp"]


def test_a_runtime_is_made_once_and_anew_when_its_address_or_key_changes(run: Run, machine) -> None:
    environ = {"OPENAI_API_KEY": KEY}

    async def use(runtimes: Runtimes) -> None:
        first, studio = runtimes.get("openai"), runtimes.get("lmstudio")
        assert runtimes.get("openai") is first
        environ["OPENAI_API_KEY"] = "sk-another"
        assert runtimes.get("openai") is not first
        runtimes.add("lmstudio", "http://127.0.0.1:9/v1")
        assert runtimes.get("lmstudio") is not studio

    run(use(machine(environ=environ)))


def test_an_unknown_runtime_gets_the_nearest(run: Run, machine) -> None:
    async def use() -> None:
        with pytest.raises(UnknownModel, match=r"no runtime 'olama'\. Did you mean 'ollama'\?"):
            machine().get("olama")

    run(use())


def test_each_loop_has_connections_of_its_own(machine, peer: Peer) -> None:
    runtimes = machine(vllm=peer.url("vllm"))

    async def use() -> list[str]:
        try:
            return [model.id for model in await runtimes.models("vllm")]
        finally:
            await runtimes.aclose()

    assert asyncio.run(use()) == asyncio.run(use()) == ["Qwen/Qwen3-8B"]


class Foreign:
    """A runtime as another package brings it."""

    name = "foreign"
    local = True

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo("one", "foreign")]

    async def aclose(self) -> None:
        pass


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runtimes of other packages are installed, of which one does not load, and one that wants a preset's name."""
    entries = [
        EntryPoint("foreign", f"{__name__}:Foreign", registry.GROUP),
        EntryPoint("broken", f"{__name__}:Missing", registry.GROUP),
        EntryPoint("openai", f"{__name__}:Foreign", registry.GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: [each for each in entries if each.group == group])
    registry._foreign.cache_clear()
    yield
    registry._foreign.cache_clear()


def test_another_package_brings_a_runtime(run: Run, machine, foreign) -> None:
    runtimes = machine()
    assert "foreign" in runtimes.names()
    assert chosen(run, runtimes, "foreign/one") == "foreign/one"
    assert [model.name for model in run(runtimes.models("foreign"))] == ["foreign/one"]
    with pytest.raises(UsageError, match="the runtime of another package"):
        runtimes.add("foreign", "http://127.0.0.1:1/v1")


def test_a_runtime_of_another_package_that_does_not_load_is_named(run: Run, machine, foreign) -> None:
    with pytest.raises(UsageError, match=r"'broken' of .* does not load"):
        run(machine().choose("broken/x"))


def test_another_package_cannot_take_the_name_of_a_preset(run: Run, machine, foreign) -> None:
    with pytest.raises(KeyMissing):
        run(machine().choose("openai/one"))


# keys


def test_a_hosted_runtime_without_its_key_says_where_to_put_it(run: Run, machine, tmp_path: Path) -> None:
    with pytest.raises(KeyMissing) as caught:
        run(machine().choose("openai/gpt-4o"))
    for place in ("OPENAI_API_KEY", str(tmp_path / ".env"), "keyring set alain_magics OPENAI_API_KEY"):
        assert place in str(caught.value)


def test_a_key_is_taken_from_the_environment_or_the_folders_env_file(run: Run, machine, tmp_path: Path) -> None:
    assert machine(environ={"OPENAI_API_KEY": KEY}).key("openai").origin == "OPENAI_API_KEY"
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    assert machine().key("openai").origin == ".env (OPENAI_API_KEY)"
    assert chosen(run, machine(), "openai/gpt-4o") == "openai/gpt-4o"


def test_a_key_goes_to_the_host_of_its_runtime_only(machine) -> None:
    key = machine(environ={"OPENAI_API_KEY": KEY}).key("openai")
    assert key.reveal("api.openai.com") == KEY
    with pytest.raises(KeyMisused):
        key.reveal("example.org")


def test_a_server_of_ones_own_gets_the_key_of_its_variable_and_no_other(run: Run, machine, peer: Peer) -> None:
    runtimes = machine(environ={"WORK_KEY": KEY, "TOGETHER_API_KEY": "sk-of-together"})
    runtimes.add("work", peer.url("together") + "/v1", key_variable="WORK_KEY")
    peer.forget("together")
    assert run(runtimes.models("work"))
    assert {request["headers"].get("authorization") for request in peer.seen("together")} == {f"Bearer {KEY}"}


def test_runtimes_of_this_machine_need_no_key_but_send_the_one_they_have(run: Run, machine, peer: Peer) -> None:
    peer.forget("lmstudio")
    run(machine(lmstudio=peer.url("lmstudio")).models("lmstudio"))
    assert not any("authorization" in request["headers"] for request in peer.seen("lmstudio"))
    run(machine(environ={"LM_API_TOKEN": KEY}, lmstudio=peer.url("lmstudio")).models("lmstudio"))
    assert peer.seen("lmstudio")[-1]["headers"]["authorization"] == f"Bearer {KEY}"


def test_a_hosted_runtime_without_an_address_says_how_to_give_it_one(run: Run, machine) -> None:
    with pytest.raises(NoRuntime, match=r"Azure OpenAI has no address\. .*alain runtimes add azure"):
        run(machine(environ={"AZURE_OPENAI_API_KEY": KEY}).choose("azure/mine"))


def test_a_project_cannot_say_where_a_runtime_is(run: Run, machine, tmp_path: Path, peer: Peer) -> None:
    elsewhere = peer.url("together").removeprefix("http://")
    runtimes = machine(environ={"OPENAI_API_KEY": KEY})
    project = f"OLLAMA_HOST={elsewhere}\nOPENAI_BASE_URL=http://{elsewhere}\nOPENAI_API_BASE=http://{elsewhere}\n"
    (tmp_path / ".env").write_text(project)
    (tmp_path / "alain-runtimes.toml").write_text(f'[mine]\nbase_url = "http://{elsewhere}/v1"')
    assert "mine" not in runtimes.names()
    assert elsewhere not in {provider.host for provider in runtimes.addresses.providers().values()}


def test_a_key_is_not_sent_unencrypted_through_the_internet(run: Run, machine, monkeypatch) -> None:
    runtimes = machine(environ={"WORK_KEY": KEY})
    exposed = Provider("work", "work", "openai", "http://llm.example.org/v1", ("WORK_KEY",))
    monkeypatch.setattr(runtimes.addresses, "providers", lambda: {"work": exposed})

    async def ask(make: Callable[[str], object]) -> None:
        with pytest.raises(KeyMisused, match=r"go to llm\.example\.org unencrypted"):
            make("work")

    run(ask(runtimes.get))
    run(ask(runtimes.http))


def test_a_slow_keyring_does_not_stop_the_loop(run: Run, machine, monkeypatch) -> None:
    keys._remembered.clear()
    monkeypatch.setattr(keys, "_ask_keyring", lambda name: time.sleep(0.5) or KEY)

    async def ask() -> float:
        longest, asking = 0.0, asyncio.ensure_future(machine().choose("openai/gpt-4o"))
        while not asking.done():
            begun = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - begun)
        assert asking.result()[1] == "gpt-4o"
        return longest

    _ = machine().names(), Http  # what is imported late is imported
    assert run(ask()) < 0.4
    keys._remembered.clear()


def test_looking_for_servers_that_take_no_key_asks_no_keyring(run: Run, machine, peer: Peer, monkeypatch) -> None:
    keys._remembered.clear()
    asked: list[str] = []
    monkeypatch.setattr(keys, "_ask_keyring", lambda name: asked.append(name) or "")
    runtimes = machine(**{name: peer.url(name) for name in ("lmstudio", "llamacpp", "vllm")})
    assert len(run(runtimes.discover())) == 3
    assert asked == []


# what is kept


def test_a_deadline_changes_without_a_new_runtime(run: Run, machine) -> None:
    wanted = [Settings()]

    async def use() -> None:
        runtimes = machine()
        runtimes._makers._settings = lambda: wanted[0]
        studio, local = runtimes.get("lmstudio"), runtimes.get("local")
        wanted[0] = Settings(first_token_seconds=7)
        assert runtimes.get("lmstudio") is studio
        assert runtimes.get("local") is local
        assert runtimes._makers._loop().made["lmstudio"].http.deadlines.first == 7
        wanted[0] = Settings(models_dir="elsewhere")
        assert runtimes.get("lmstudio") is studio
        assert runtimes.get("local") is not local

    run(use())


def test_looking_around_leaves_a_runtime_as_it_is(run: Run, machine, peer: Peer) -> None:
    async def use() -> None:
        runtimes = machine(vllm=peer.url("vllm"))
        runtime = runtimes.get("vllm")
        assert [each.runtime for each in await runtimes.discover(fresh=True)] == ["vllm"]
        assert runtimes.get("vllm") is runtime
        assert runtimes._makers._loop().made["vllm"].runtime is runtime

    run(use())


def test_a_runtime_that_is_replaced_is_closed(run: Run, machine) -> None:
    async def use() -> None:
        runtimes, closed = machine(), asyncio.Event()

        async def aclose() -> None:
            closed.set()

        runtimes.get("lmstudio").aclose = aclose
        runtimes.add("lmstudio", "http://127.0.0.1:9/v1")
        runtimes.get("lmstudio")
        await asyncio.wait_for(closed.wait(), 1)

    run(use())


# the default


def test_the_default_is_the_first_model_of_the_preferred_runtime(run: Run, machine, peer: Peer) -> None:
    places = {name: peer.url(name) for name in ("vllm", "ollama", "lmstudio")}
    assert chosen(run, machine(**places)) == "lmstudio/openai/gpt-oss-20b"
    assert chosen(run, machine(vllm=peer.url("vllm"))) == "vllm/Qwen/Qwen3-8B"


def test_a_loaded_model_goes_before_others_of_its_runtime_but_not_before_a_preferred_runtime() -> None:
    studio = found(
        info("lmstudio/a", kind="embedding", loaded=True), info("lmstudio/b"), info("lmstudio/c", loaded=True)
    )
    ollama = found(info("ollama/d", loaded=True))
    assert preferred([studio, ollama]).name == "lmstudio/c"
    assert preferred([found(info("lmstudio/b", loaded=False)), ollama]).name == "lmstudio/b"
    assert preferred([found(info("lmstudio/a", kind="embedding")), ollama]).name == "ollama/d"
    assert preferred([Found(PROVIDERS["lmstudio"])]) is None


def test_the_setting_is_asked_where_no_model_is_named(run: Run, machine, peer: Peer) -> None:
    runtimes = machine(Settings(model="ollama/qwen3:8b"), lmstudio=peer.url("lmstudio"), ollama=peer.url("ollama"))
    assert chosen(run, runtimes) == "ollama/qwen3:8b"
    assert chosen(run, runtimes, "lmstudio") == "lmstudio/openai/gpt-oss-20b"


def test_a_wrong_default_is_named_with_the_file_that_it_stands_in(run: Run, machine) -> None:
    runtimes = machine(Settings(model="nothing-like-it", origins={"model": "/home/me/alain.toml"}))
    with pytest.raises(UnknownModel, match=r"^/home/me/alain\.toml: No runtime"):
        run(runtimes.choose())


def test_a_folder_of_models_that_is_missing_is_told(run: Run, machine) -> None:
    require(find_spec("llama_cpp"), "reason: llama-cpp-python is not installed")
    settings = Settings(models_dir="/nowhere/models", origins={"models_dir": "ALAIN_MODELS_DIR"})
    with pytest.raises(NoRuntime, match=r"there is no folder /nowhere/models \(ALAIN_MODELS_DIR\)"):
        run(machine(settings).choose())


def test_what_is_installed_is_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: object())
    assert registry.steps_to(PROVIDERS["local"]).startswith("Download a model")
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    assert registry.steps_to(PROVIDERS["local"]).startswith("Install the extra")


def test_where_nothing_runs_the_two_steps_of_the_preferred_runtimes_are_told(run: Run, machine) -> None:
    with pytest.raises(NoRuntime) as caught:
        run(machine().choose())
    for name in ("lmstudio", "ollama", "llamacpp"):
        assert all(step.rstrip(".") in str(caught.value) for step in PROVIDERS[name].steps)
    assert str(caught.value).endswith("alain models names more ways.")


def test_a_runtime_without_models_says_how_to_get_one() -> None:
    error = nothing_found([Found(PROVIDERS["ollama"])])
    assert str(error).startswith("Ollama runs, but has no model to chat with.")
    assert "ollama pull" in str(error)


# names of models


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("ollama/qwen3:8b", "ollama/qwen3:8b"),
        ("qwen3:8b", "ollama/qwen3:8b"),
        ("llama3.2", "ollama/llama3.2:latest"),
        ("lmstudio/google/gemma-3-4b", "lmstudio/google/gemma-3-4b"),
        ("google/gemma-3-4b", "lmstudio/google/gemma-3-4b"),
        ("openai/gpt-oss-20b", "lmstudio/openai/gpt-oss-20b"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("ollama/not-there-yet", "ollama/not-there-yet"),
        ("vllm", "vllm/Qwen/Qwen3-8B"),
        ("scripted/echo", "scripted/echo"),
    ],
)
def test_a_model_is_chosen_by_runtime_and_id_by_id_or_by_runtime(
    run: Run, machine, peer: Peer, wanted: str, expected: str
) -> None:
    places = {name: peer.url(name) for name in ("vllm", "ollama", "lmstudio")}
    assert chosen(run, machine(environ={"OPENAI_API_KEY": KEY}, **places), wanted) == expected


def test_an_unknown_model_gets_the_nearest(run: Run, machine, peer: Peer) -> None:
    runtimes = machine(ollama=peer.url("ollama"))
    with pytest.raises(UnknownModel, match=r"'qwen3:7b'\. Did you mean 'qwen3:8b'\?"):
        run(runtimes.choose("qwen3:7b"))
    with pytest.raises(UnknownModel, match=r"Did you mean 'ollama/qwen3:8b'\?"):
        run(runtimes.choose("olama/qwen3:8b"))
    with pytest.raises(UnknownModel, match="a hosted model is written RUNTIME/MODEL"):
        run(runtimes.choose("something-else-entirely"))
    with pytest.raises(UnknownModel, match="Did you mean 'openai'"):
        run(runtimes.choose("openia/gpt-4o"))


def test_a_runtime_that_was_moved_to_another_port_is_asked_there(
    run: Run, machine, llama: Callable[[str], LlamaServer]
) -> None:
    server = llama("tiny-chatml")
    runtimes = machine(vllm=server.url)
    runtime, model = run(runtimes.choose("llamacpp/tiny-chatml"))
    turn = Turn(runtime, ChatRequest(model, (Message("user", "Say hello."),), max_tokens=8))
    assert run(turn.run()).usage.output > 0
    assert runtimes.provider("llamacpp").base_url == f"{server.url}/v1"


def test_a_runtime_that_does_not_answer_gives_its_two_steps(run: Run, machine) -> None:
    with pytest.raises(NoRuntime, match=r"LM Studio .*lms get .*, then: .*lms server start"):
        run(machine().models("lmstudio"))
    with pytest.raises(NoRuntime, match=r"llama\.cpp does not answer .*llama-server -hf"):
        run(machine().choose("llamacpp"))


# what is remembered


def test_what_runs_is_remembered_for_some_seconds_but_not_that_nothing_does(
    run: Run, machine, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtimes = machine()
    assert run(runtimes.discover()) == []
    runtimes.add("vllm", peer.url("vllm") + "/v1")
    first = run(runtimes.discover())
    assert [each.runtime for each in first] == ["vllm"]
    assert run(runtimes.discover()) is first
    assert run(runtimes.discover(fresh=True)) is not first
    monkeypatch.setattr(registry, "KEPT", 0.0)
    assert run(runtimes.discover()) is not first


def test_many_who_ask_at_once_look_once(run: Run, machine, peer: Peer) -> None:
    runtimes = machine(vllm=peer.url("vllm"))
    peer.forget("vllm")

    async def use() -> set[str]:
        return {model for _, model in await asyncio.gather(*(runtimes.choose() for _ in range(50)))}

    assert run(use()) == {"Qwen/Qwen3-8B"}
    assert len(peer.seen("vllm")) <= 3


def test_names_of_models_are_kept_for_completion(run: Run, machine, peer: Peer, tmp_path: Path) -> None:
    runtimes = machine(lmstudio=peer.url("lmstudio"), vllm=peer.url("vllm"))
    assert runtimes.remembered() == []
    run(runtimes.discover())
    names = ["lmstudio/openai/gpt-oss-20b", "lmstudio/google/gemma-3-4b", "vllm/Qwen/Qwen3-8B"]
    assert machine().remembered() == names
    for damage in (b"[", b"3", b'{"a": 1}', b"\xff"):
        (tmp_path / "data" / "models.json").write_bytes(damage)
        assert machine().remembered() == []


def test_a_folder_that_cannot_be_written_hinders_nobody(run: Run, machine, peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert run(machine(vllm=peer.url("vllm")).discover())


def test_a_server_of_ones_own_that_takes_a_key_is_not_asked_unless_named(run: Run, machine, peer: Peer) -> None:
    runtimes = machine(environ={"WORK_KEY": KEY})
    runtimes.add("work", "https://llm.example.org/v1", key_variable="WORK_KEY")
    assert "llm.example.org" not in {place.host for place in runtimes._places()}
    runtimes.add("lab", peer.url("vllm") + "/v1")
    assert [each.runtime for each in run(runtimes.discover())] == ["lab"]


def test_an_address_of_ones_own_is_not_found_a_second_time_as_a_preset(run: Run, machine, peer: Peer) -> None:
    runtimes = machine(vllm=peer.url("vllm"))
    runtimes.add("lab", peer.url("vllm").replace("127.0.0.1", "localhost") + "/v1")
    assert [each.runtime for each in run(runtimes.discover())] == ["lab"]


def test_different_paths_of_one_port_are_different_servers(run: Run, machine) -> None:
    models = '{"object": "list", "data": [{"id": "%s", "object": "model"}]}'
    with answering({"/a/v1/models": (200, models % "one"), "/b/v1/models": (200, models % "two")}) as url:
        runtimes = machine()
        for name in ("a", "b"):
            runtimes.add(name, f"{url}/{name}/v1")
        listed = [info.name for each in run(runtimes.discover()) for info in each.models]
    assert listed == ["a/one", "b/two"]


def test_models_that_run_in_this_process_come_last(run: Run, machine, peer: Peer, weights: Path) -> None:
    require(find_spec("llama_cpp"), "reason: llama-cpp-python is not installed")
    settings = Settings(models_dir=str(weights))
    runtimes = machine(settings, vllm=peer.url("vllm"))
    assert [each.runtime for each in run(runtimes.discover())] == ["vllm", "local"]
    assert chosen(run, machine(settings)).startswith("local/tiny-")


# replay


def test_recorded_turns_answer_in_place_of_models(run: Run, machine, tmp_path: Path) -> None:
    from alain_magics.runtimes.recording import Recorder

    question = ChatRequest("echo", (Message("user", "hello"),))
    runtimes = machine()
    runtime, _ = run(runtimes.choose("scripted/echo"))
    run(Turn(runtime, question, recorder=Recorder(tmp_path / "runs", "cell")).run())
    replaying = machine(replace(Settings(), replay="runs"))
    for wanted in (None, "echo", "scripted", "scripted/echo"):
        assert chosen(run, replaying, wanted) == "scripted/echo"
    runtime, model = run(replaying.choose())
    assert type(runtime).__name__ == "ReplayRuntime"
    assert run(Turn(runtime, replace(question, model=model)).run()).text == "hello"


def test_a_folder_without_recorded_turns_is_told(run: Run, machine) -> None:
    with pytest.raises(NoRuntime, match="no recorded turns"):
        run(machine(replace(Settings(), replay="nowhere")).choose())


def test_a_mistake_in_the_users_file_is_told(run: Run, machine, tmp_path: Path) -> None:
    runtimes = machine()
    (tmp_path / "runtimes.toml").write_text("[work]")
    with pytest.raises(SettingsError, match=r"runtimes\.toml: work: "):
        run(runtimes.choose("work/x"))
    assert chosen(run, runtimes, "scripted/echo") == "scripted/echo"
    assert json.dumps(runtimes.remembered()) == "[]"
