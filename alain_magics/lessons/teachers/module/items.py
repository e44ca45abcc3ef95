"""Questions about examples: predict the output, which call, the first error, which object is documented so."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from alain_magics.lessons.document import ApiObject
from alain_magics.lessons.proving import Prover, run_of, stable
from alain_magics.lessons.schema import Difficulty, Option, Question, Run
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.module.examples import Example, join_program, merge_imports
from alain_magics.lessons.teachers.module.mutants import Mutant, Mutator
from alain_magics.lessons.teachers.module.siblings import Siblings, words
from alain_magics.lessons.values import same_value, shape

LONGEST_KEY = 60
LONGEST_OPTION = 90
DISTRACTORS = 3
DULL = {"True", "False", "None", "[]", "()", "{}", "set()", "''", "NotImplemented", "Ellipsis"}


class ItemMaker:
    """Makes questions about one module; ``dropped`` counts the examples that gave none, by reason."""

    def __init__(self, document: ModuleDocument, prover: Prover, siblings: Siblings, difficulty: Difficulty) -> None:
        self._document = document
        self._prover = prover
        self._siblings = siblings
        self._mutator = Mutator(document, siblings)
        self._difficulty = difficulty
        self.dropped: dict[str, int] = {}

    def drop(self, reason: str) -> None:
        """Count something that was made and thrown away."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    async def predict(self, example: Example) -> Question | None:
        """What does the last line show? The distractors are outputs of mutants."""
        (outcome,) = await self._prover.reproduce([example.program])
        if outcome is None or not outcome.ok:
            return self.drop("output not reproduced")
        key = outcome.output
        if not key or "\n" in key or len(key) > LONGEST_KEY:
            return self.drop("output too long to choose from")
        if key in DULL:
            return self.drop("key is True, False, None or empty")
        chosen = await self._wrong_outputs(example, key)
        if len(chosen) < DISTRACTORS - 1:
            return self.drop("fewer than two distractors proven wrong")
        options = [Option(text=key, correct=True, feedback=self._explain(example))]
        runs = [run_of(example.program, outcome, option=0)]
        for mutant, output, run in chosen:
            options.append(
                Option(text=output, feedback=mutant_feedback(mutant), call=mutant.changed if _short(mutant) else "")
            )
            runs.append(run.model_copy(update={"option": len(options) - 1}))
        return self._question(
            example, form="predict", stem=self._predict_stem(example), code=example.shown, options=options, runs=runs
        )

    async def _wrong_outputs(self, example: Example, key: str) -> list[tuple[Mutant, str, Run]]:
        """Up to three mutants whose outputs differ from the key and from each other, one with other data at most."""
        mutants = self._mutator.mutants(example)[:24]
        outcomes = await self._prover.run_spread([mutant.program for mutant in mutants])
        chosen: list[tuple[Mutant, str, Run]] = []
        others = 0
        for mutant, outcome in zip(mutants, outcomes, strict=True):
            output = outcome.output
            usable = outcome.ok and stable(outcome) and output and "\n" not in output and len(output) <= LONGEST_OPTION
            if not usable or any(same_value(output, other) for other in (key, *(text for _, text, _ in chosen))):
                continue
            if shape(output) != shape(key) and mutant.how != "printed, not shown":
                continue
            if mutant.how in ("other data", "printed, not shown"):
                if others or (mutant.how == "printed, not shown" and not chosen):
                    continue
                others += 1
            chosen.append((mutant, output, run_of(mutant.program, outcome, how=mutant.how)))
            if len(chosen) == DISTRACTORS:
                break
        return chosen

    def _predict_stem(self, example: Example) -> str:
        last = example.source.splitlines()[-1]
        if last.startswith("print("):
            return "What does this code print?"
        tree = ast.parse(example.source)
        node = tree.body[-1].value if isinstance(tree.body[-1], ast.Expr) else None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            return f"What does `{ast.unparse(node.func)}` return here?" if len(ast.unparse(node.func)) < 40 else (
                "What does the last line show?"
            )
        return "What does the last line show?"

    def _explain(self, example: Example) -> str:
        item = self._document.object(example.calls[0]) if example.calls else None
        return f"`{item.name}`: {item.summary}" if item and item.summary else ""

    async def call(self, example: Example, avoid: Sequence[str] = ()) -> Question | None:
        """Which call gives this output? The distractors are siblings and mutants on the same data."""
        example = hoist(self._document, example)
        if "\n" in example.source or len(example.source) > LONGEST_KEY:
            return None
        allowed = {"sibling", "swapped arguments", "flipped default", "sibling operator", "off by one"}
        mutants = [
            mutant
            for mutant in self._mutator.mutants(example)
            if mutant.how in allowed and mutant.setup == example.setup and len(mutant.source) <= LONGEST_OPTION
        ][:16]
        (outcome,) = await self._prover.reproduce([example.program])
        outcomes = await self._prover.reproduce([mutant.program for mutant in mutants])
        if outcome is None or not outcome.ok:
            return self.drop("output not reproduced")
        runs: list[tuple[str, Run]] = [(example.source, run_of(example.program, outcome))]
        for mutant, result in zip(mutants, outcomes, strict=True):
            if result is None or not result.ok or not usable_output(result.output):
                continue
            if all(not same_value(result.output, run.output) for _, run in runs):
                runs.append((mutant.source, run_of(mutant.program, result, how=mutant.how)))
        runs = runs[: DISTRACTORS + 1]
        targets = [n for n, (_, run) in enumerate(runs) if run.output not in avoid and usable_output(run.output)]
        if len(runs) < DISTRACTORS or not targets or not any(run.how == "sibling" for _, run in runs):
            return self.drop("no siblings that differ on this data")
        key = targets[len(targets) // 2]
        target = runs[key][1].output
        options = [
            Option(text=text, correct=n == key, feedback=_call_feedback(text, run, target), call=text)
            for n, (text, run) in enumerate(runs)
        ]
        proven = [
            run.model_copy(update={"option": n, "how": "key" if n == key else run.how if run.how != "key" else "sibling"})
            for n, (_, run) in enumerate(runs)
        ]
        proven.insert(0, proven.pop(key))
        stem = f"Which call gives `{target}`" + (" here?" if example.setup else "?")
        return self._question(
            example, form="call", stem=stem, code="\n".join(example.setup), options=options, runs=proven
        )

    async def error(self, lines: Sequence[tuple[Example, str]]) -> Question | None:
        """Which line raises first, and with what? ``lines`` pairs examples with the lines made from them."""
        imports = merge_imports(tuple(line for example, _ in lines for line in example.imports))
        programs = [join_program(imports, line) for _, line in lines]
        shown = "\n".join(line for _, line in lines)
        whole, *alone = await self._prover.reproduce([join_program(imports, shown), *programs])
        if whole is None or not whole.error or any(outcome is None for outcome in alone):
            return None
        results = [outcome for outcome in alone if outcome is not None]
        first = next(n for n, outcome in enumerate(results) if outcome.error)
        options: list[Option] = []
        runs = [run_of(join_program(imports, shown), whole, option=0)]
        for n, ((_, line), outcome) in enumerate(zip(lines, results, strict=True)):
            error = outcome.error or results[first].error
            right = n == first
            if right:
                says = f"`{line}` raises `{error}`: {whole.message.rstrip('.')}." if whole.message else ""
            elif outcome.error:
                says = f"It would raise `{outcome.error}` too, but an earlier line ends the program first."
            else:
                says = f"It gives `{outcome.output or 'None'}`; nothing is raised." if len(outcome.output) < 60 else ""
            options.append(Option(text=f"{line}  # {error}", correct=right, feedback=says, call=line))
            if not right:
                runs.append(run_of(programs[n], outcome, how="the line alone", option=n))
        runs[0] = runs[0].model_copy(update={"option": first})
        example = lines[first][0]
        return self._question(
            example, form="error", stem="Which line raises the first exception, and which one?",
            code=shown, options=options, runs=runs,
        )

    def single(self, item: ApiObject) -> Question | None:
        """Which object is documented so? The options are siblings; the key is cited."""
        if not 5 <= len(item.summary.split()) <= 30 or "`" in item.summary:
            return None
        others = [other for other in self._siblings.of(item.path) if other.summary and other.kind == item.kind]
        if len(others) < DISTRACTORS - 1:
            return None
        others = others[:DISTRACTORS]
        stem_words = words(item.summary)
        if any(share(item.name, stem_words) > share(other.name, stem_words) for other in others):
            return self.drop("the summary gives the name away")
        if any(same_value(item.summary, other.summary) for other in others):
            return None
        noun = {"class": "class", "exception": "exception"}.get(item.kind, "method" if item.owner else "function")
        home = item.owner or self._document.name
        options = [Option(text=item.name, correct=True, feedback=f"`{item.name}`: {item.summary}")]
        options += [Option(text=other.name, feedback=f"`{other.name}`: {other.summary}") for other in others]
        return Question(
            form="single",
            stem=f"Which {noun} of `{home}` is documented with “{item.summary}”?",
            options=options,
            literal=True,
            explanation=f"This is how the documentation of `{item.path}` begins.",
            difficulty=self._difficulty,
            objective=item.path,
            citations=[self._document.cite(item.summary_span, item.path)],
        )

    def _question(
        self, example: Example, *, form: str, stem: str, code: str, options: list[Option], runs: list[Run]
    ) -> Question:
        item = self._document.object(example.calls[0]) if example.calls else None
        return Question.model_validate(
            {
                "form": form,
                "stem": stem,
                "code": code,
                "options": options,
                "literal": True,
                "explanation": self._explain(example),
                "hint": f"The documentation says: {item.summary}" if item and item.summary else "",
                "difficulty": self._difficulty,
                "objective": item.path if item else self._document.name,
                "citations": [self._document.cite(example.span, example.ref)],
                "proof": self._prover.proof(runs),
            }
        )


def usable_output(output: str) -> bool:
    """Whether an output can be asked for: short, one line, neither empty nor a mere truth value."""
    return 0 < len(output) <= LONGEST_KEY and "\n" not in output and "`" not in output and output not in DULL


def share(name: str, summary: set[str]) -> float:
    """Which part of a name's words a summary mentions."""
    parts = words(name)
    return len(parts & summary) / len(parts) if parts else 0.0


def _short(mutant: Mutant) -> bool:
    return 0 < len(mutant.changed) <= LONGEST_OPTION and "\n" not in mutant.changed


def mutant_feedback(mutant: Mutant) -> str:
    """What somebody who chose a mutant's output may have had in mind."""
    if mutant.how == "printed, not shown":
        return "That is how `print` shows it; the last line of a cell shows the repr."
    if not _short(mutant) or "`" in mutant.changed:
        return "That is the result of slightly different code."
    if mutant.how == "other data":
        return f"That would be right for `{mutant.changed}`."
    return f"That is what `{mutant.changed}` gives."


def _call_feedback(text: str, run: Run, target: str) -> str:
    if run.output == target:
        return f"`{text}` gives `{target}`."
    return f"`{text}` gives `{run.output}` here."


def hoist(document: ModuleDocument, example: Example) -> Example:
    """Name the first long literal argument of a bare call, so that all options can share it."""
    if example.setup or "\n" in example.source:
        return example
    tree = ast.parse(example.source, mode="exec")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        for position, argument in enumerate(node.args):
            if isinstance(argument, ast.List | ast.Tuple | ast.Dict | ast.Set | ast.Constant):
                text = ast.unparse(argument)
                if len(text) < 8:
                    continue
                name = _argument_name(document, example, position)
                node.args[position] = ast.Name(name, ast.Load())
                return Example(
                    example.ref, example.span, example.imports, (f"{name} = {text}",), ast.unparse(tree),
                    example.want, example.raises, example.calls,
                )
    return example


def _argument_name(document: ModuleDocument, example: Example, position: int) -> str:
    item = document.object(example.calls[0]) if example.calls else None
    names = [p.name for p in item.parameters or ()] if item else []
    name = names[position] if position < len(names) else ""
    return name if len(name) > 2 and name.isidentifier() and name not in ("self", "cls") else "data"
