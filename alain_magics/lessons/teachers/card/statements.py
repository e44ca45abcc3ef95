"""Statements that many cards make in the same words, each with the question that it answers.

The table is reviewed by hand: a pattern must be so specific that the item is right wherever it matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from alain_magics.lessons.document import Fact
from alain_magics.lessons.schema import Difficulty
from alain_magics.lessons.teachers.card.claims import cited, find, plain, sentence
from alain_magics.lessons.teachers.card.items import Cited, at
from alain_magics.lessons.teachers.card.model import Model


@dataclass(frozen=True)
class Statement:
    """A pattern and the item it stands for; ``{name}`` in the stem is the model.

    With ``code`` the pattern is sought in code.
    """

    about: str
    pattern: str
    stem: str
    key: str
    wrong: tuple[tuple[str, str], ...]
    difficulty: Difficulty = "beginner"
    code: bool = False


STATEMENTS = (
    Statement(
        "use",
        r"(?:has|have|needs?) to be fine.?tuned before it is use?able",
        "You want {name} to sort support tickets into classes. What must happen first, by its card?",
        "Its weights are trained further on labelled tickets",
        (
            (
                "A task name is written before the text of each ticket",
                "It had no supervised training, so it knows no task names.",
            ),
            (
                "A few labelled tickets are shown in front of each prompt",
                "It was NOT trained to follow prompts; the card asks for fine-tuning.",
            ),
            ("Its tokenizer is replaced by one made from tickets", "The tokenizer stays; the weights lack the task."),
        ),
        "intermediate",
    ),
    Statement(
        "use",
        r"dropout was turned off in pre-?training.{0,60}re-?enabled during fine-?tuning",
        "In which phase does the card of {name} want units of the network to be dropped at random?",
        "While it learns a task",
        (
            ("While it learns from raw text", "In pretraining it was turned off."),
            ("While it answers requests", "Dropout serves training; in use it would make answers random."),
            ("While its weights are quantised", "Quantising only rounds weights."),
        ),
    ),
    Statement(
        "use",
        r"recommend users evaluate and address potential concerns related to accuracy, safety, and fairness before",
        "A company wants to put {name} into a product. What does the card ask it to do beforehand?",
        "To test how accurate, safe and fair it is in that use",
        (
            ("To report to its makers how users rate its answers", "The card does NOT ask for reports."),
            ("To train it again on how its users talk", "The card does NOT ask for further training."),
            ("To limit the length of the texts that it writes", "The card sets no such limit."),
        ),
    ),
    Statement(
        "use",
        r"do not distinguish fact from fiction",
        "For which of these jobs is {name} unfit, by what its card cites?",
        "Writing what a medicine does",
        (
            ("Writing how a fairy tale goes on", "Invention is wanted there; the card names creative writing."),
            ("Writing lines for a poem", "Invention is wanted there; the card names poetry."),
            ("Writing names for figures in a game", "Invention is wanted there; the card names games."),
        ),
    ),
    Statement(
        "use",
        r"unless the deployers first carry out a study of biases",
        "A system that talks to people is to use {name}. What should be done first, by what its card cites?",
        "Its biases are studied for that use",
        (
            ("Its answers are made shorter in that use", "Length is NOT the concern; bias is."),
            ("Its temperature is lowered for that use", "Sampling does NOT remove biases of the training data."),
            ("Its context is cleared after each use", "The biases are in the weights, not in the context."),
        ),
    ),
    Statement(
        "use",
        r"exactly the same architecture and tokenizer as Llama 2",
        "A program runs Llama 2 with code of its own. What has to change in it for {name}, by the card?",
        "The weights that it reads",
        (
            ("The tokenizer that it calls", "The tokenizer is that of Llama 2."),
            ("The attention that it computes", "The architecture is that of Llama 2."),
            ("The activation that it applies", "The architecture is that of Llama 2."),
        ),
    ),
    Statement(
        "use",
        r"predict the string representation of a number instead of the number itself",
        "{name} is to rate how alike two sentences are, from 1 to 5. How does it give a rating such as 3.8?",
        "It writes the digits as text",
        (
            ("It returns the number as a float", "Input and output are text strings in any task."),
            ("It picks the class as an index", "Classes are text here too, and 3.8 is no class."),
            ("It gives the vector as an output", "It has no such output: input and output are text strings."),
        ),
    ),
    Statement(
        "use",
        r"^pre-?processing: normalization \+ SentencePiece",
        "A rare name stands in a text for {name}. What does the model read in its place, given how its card says that "
        "text is prepared?",
        "Pieces of it that the vocabulary has",
        (
            ("The word of the vocabulary most like it", "SentencePiece replaces no word; it cuts words into pieces."),
            (
                "A marker that the vocabulary has for unknown words",
                "A word that is not known as a whole is cut into known pieces.",
            ),
            (
                "The words around it that the vocabulary has",
                "SentencePiece leaves no word out; it cuts words into pieces.",
            ),
        ),
    ),
    Statement(
        "use",
        r"high reasoning use cases that fit into a single 80 ?GB GPU",
        "gpt-oss comes in two sizes. Which job does the card give to the other one, larger than {name}?",
        "Hard reasoning in production on a large GPU",
        (
            ("Quick answers on a laptop with a small GPU", "That is what the smaller one is for."),
            ("A special task on a machine without a GPU", "That is what the smaller one is for."),
            ("Fine-tuning for one task on a consumer GPU", "The card names the smaller one for that."),
        ),
    ),
    Statement(
        "prompt",
        r"reasoning level can be set in the system prompts?",
        "You want a quick answer from {name} to an easy question. What do you change, following its card?",
        "`Reasoning: low` goes into the system prompt",
        (
            ("`/no_think` goes into the prompt of the user", "That is how Qwen 3 is switched."),
            ("`enable_thinking=False` goes into the chat template", "That is how Qwen 3 is switched."),
            ("`temperature=0.1` goes into the sampling settings", "That makes answers more alike, not sooner thought."),
        ),
    ),
    Statement(
        "prompt",
        r"should only be used with the harmony format",
        "A program joins the messages for {name} in the ChatML format of Qwen, past the chat template. What follows, "
        "by its card?",
        "Its answers cannot be relied on",
        (
            ("Its answers are right but come later", "The card does NOT speak of speed: another format is wrong."),
            ("Its answers lack only the reasoning", "The whole conversation departs from what it was trained on."),
            ("Its answers stay just as they were", "It was trained on one format, and ChatML is another."),
        ),
    ),
    Statement(
        "prompt",
        r"trust in outputs\. .{0,6}s not intended to be shown to end users",
        "{name} gives its chain of thought beside its answer. Which use of it agrees with the card?",
        "A developer reads it to find a mistake",
        (
            ("A customer reads it before the answer", "The card does NOT want end users to see it."),
            ("A customer gets it in place of an answer", "The card does NOT want end users to see it."),
            ("A website publishes it below the answer", "The card does NOT want end users to see it."),
        ),
    ),
    Statement(
        "prompt",
        r"avoid adding a system prompt",
        "You tell {name} to answer in French. In which message does its card want that?",
        "In the message of the user",
        (
            ("In the message of the system", "The card advises against a system prompt."),
            ("In the message of the assistant", "That is what the model writes itself."),
            ("In the message of a tool", "That carries results of tools."),
        ),
    ),
    Statement(
        "prompt",
        r"enforcing the model to initiate its response with .{0,4}<think",
        "{name} answers at once and badly. What does its card recommend, so that it reasons first?",
        "Its answer is made to begin with a think tag",
        (
            ("Its system prompt is made to begin with a think tag", "The card advises against a system prompt."),
            (
                "Its context is made longer than its answers",
                "The length is NOT the cause: the model skips its thinking.",
            ),
            ("Its temperature is raised with every new answer", "The card recommends one range of temperatures."),
        ),
        "intermediate",
    ),
    Statement(
        "prompt",
        r"special tokens encapsulate.{0,200}token is given as a string",
        "A user types the characters [THINK] in a message to {name}. Why does that NOT start a chain of thought?",
        "The marker is one special token, the typed text is not",
        (
            (
                "The marker is looked for in the first message, the typed text is not",
                "Where it stands does NOT matter; how it is encoded does.",
            ),
            ("The typed text is removed before the model reads it", "It stays; it is encoded as ordinary text."),
            ("The model was trained to take the marker as text", "It was trained on the marker as a special token."),
        ),
        "intermediate",
    ),
    Statement(
        "prompt",
        r"historical model output should only include the final output",
        "A chat with {name} goes into its second turn. What of the first answer belongs in the history?",
        "Its final part, the thinking removed",
        (
            ("Its thinking, the final part removed", "It is the other way round."),
            ("Its thinking and its final part", "The card wants the thinking left out."),
            ("A summary that includes its thinking", "The card asks for the final output, which is no summary."),
        ),
        "intermediate",
    ),
    Statement(
        "prompt",
        r"when `enable_thinking=False`, the soft switches are not valid.{0,160}think content",
        "A program calls the chat template of {name} with `enable_thinking=False`, and a user ends the message with "
        "`/think`. What does the model write?",
        "An answer with no think block",
        (
            ("A think block, then an answer", "The switch in the message has no effect here."),
            ("An empty think block, then an answer", "That is what `/no_think` gives with `enable_thinking=True`."),
            ("A think block with no answer", "Thinking is off, and an answer follows in any mode."),
        ),
        "intermediate",
    ),
    Statement(
        "sample",
        r"do not use greedy decoding",
        "In thinking mode {name} repeats itself endlessly. Which way of choosing tokens does its card blame for that?",
        "Taking the likeliest token each time",
        (
            ("Taking one of the 20 likeliest tokens", "That is top-k 20, which the card asks for."),
            ("Taking one of the likeliest 95 per cent", "That is top-p 0.95, which the card asks for."),
            ("Taking one at a temperature of 0.6", "The card asks for temperature 0.6."),
        ),
    ),
    Statement(
        "load",
        r"trust_remote_code\s*=\s*True",
        "{name} is loaded as its card shows, with `trust_remote_code=True`, on a machine that holds secrets. What "
        "could read them?",
        "Python files of the model's repository",
        (
            ("Weights of the model in safetensors files", "That format holds numbers; nothing in it runs."),
            ("The vocabulary of the model's tokenizer", "It is a table of pieces of text; nothing in it runs."),
            ("The values of the model's configuration", "They are numbers and names; nothing in them runs."),
        ),
        code=True,
    ),
)


def statement_items(model: Model, about: str) -> Iterator[Cited]:
    """The items of all statements about a subject (``use``, ``load``, ``prompt``, ``sample``) that the card makes."""
    for statement in STATEMENTS:
        if statement.about == about:
            item = _in_code(model, statement) if statement.code else _in_text(model, statement)
            if item:
                yield item


def _in_text(model: Model, statement: Statement) -> Cited | None:
    found = find(model, statement.pattern)
    if not found:
        return None
    passage, match = found
    return _item(model, statement, cited(passage), (sentence(passage.text, match),))


def _in_code(model: Model, statement: Statement) -> Cited | None:
    for block in model.document.code_blocks:
        match = re.search(statement.pattern, block.code)
        if match:
            return _item(model, statement, (at(block.span, "card"),), (match[0],))
    return None


def _item(model: Model, statement: Statement, facts: tuple[Fact, ...], quotes: tuple[str, ...]) -> Cited:
    return Cited(
        stem=statement.stem.replace("{name}", model.name),
        key=statement.key,
        wrong=statement.wrong,
        facts=facts,
        explanation=f"The card says: “{plain(' '.join(quotes), 300)}”",
        difficulty=statement.difficulty,
        quotes=quotes,
    )
