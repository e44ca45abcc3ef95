"""Questions about examples: predict the output, which call, the first error, which object is documented so."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from alain_magics.lessons.document import ApiObject
from alain_magics.lessons.proving import Prover, run_of, stable
from alain_magics.lessons.schema import Difficulty, Option, Question, Run, content_hash
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.module.examples import Example, join_program, used_imports
from alain_magics.lessons.teachers.module.mutants import Mutant, Mutator
from alain_magics.lessons.teachers.module.siblings import Siblings, words
from alain_magics.lessons.values import parsed, same_value, shape, workable

LONGEST_KEY = 60
LONGEST_OPTION = 90
DISTRACTORS = 3
MUTANTS = 16
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
            self.drop("output not reproduced")
            return None
        key = outcome.output
        if not key or "\n" in key or len(key) > LONGEST_KEY:
            self.drop("output too long to choose from")
            return None
        if key in DULL:
            self.drop("key is True, False, None or empty")
            return None
        if not workable(key):
            self.drop("key is a number too long to work out")
            return None
        chosen = await self._wrong_outputs(example, key)
        if len(chosen) < DISTRACTORS - 1:
            self.drop("fewer than two distractors proven wrong")
            return None
        options = [Option(text=key, correct=True, feedback=self._explain(example))]
        runs = [run_of(example.program, outcome, option=0)]
        for mutant, output, run in chosen:
            options.append(Option(text=output, feedback=mutant_feedback(mutant), call=mutant.program))
            runs.append(run.model_copy(update={"option": len(options) - 1}))
        return self._question(
            example, form="predict", stem=self._predict_stem(example), code=example.shown, options=options, runs=runs
        )

    async def _wrong_outputs(self, example: Example, key: str) -> list[tuple[Mutant, str, Run]]:
        """Up to three mutants whose outputs differ from the key and from each other, one with other data at most."""
        mutants = self._mutator.mutants(example)[:MUTANTS]
        outcomes = await self._prover.run_spread([mutant.program for mutant in mutants])
        found: list[tuple[Mutant, str, Run]] = []
        for mutant, outcome in zip(mutants, outcomes, strict=True):
            output = outcome.output
            if not (outcome.ok and stable(outcome) and usable_option(output)):
                continue
            if any(same_value(output, other) for other in (key, *(text for _, text, _ in found))):
                continue
            if shape(output) != shape(key) and mutant.how != "printed, not shown":
                continue
            weak = mutant.how in ("other data", "printed, not shown")
            if weak and any(other.how in ("other data", "printed, not shown") for other, _, _ in found):
                continue
            found.append((mutant, output, run_of(mutant.program, outcome, how=mutant.how)))
        plain = [entry for entry in found if workable(entry[1])]
        found = plain if len(plain) >= DISTRACTORS - 1 else found
        return await self._reproduced(key, found, int(content_hash(example.program), 16))

    async def _reproduced(
        self, key: str, found: list[tuple[Mutant, str, Run]], number: int
    ) -> list[tuple[Mutant, str, Run]]:
        """The distractors that are chosen when those are left out that depend on the hash seed."""
        while True:
            chosen = spread_around(key, found, number)
            outcomes = await self._prover.reproduce([mutant.program for mutant, _, _ in chosen])
            unsteady = [mutant for (mutant, _, _), outcome in zip(chosen, outcomes, strict=True) if outcome is None]
            if not unsteady:
                return chosen
            found = [entry for entry in found if entry[0] not in unsteady]

    def _predict_stem(self, example: Example) -> str:
        last = example.source.splitlines()[-1]
        if last.startswith("print("):
            return "What does this code print?"
        node = ast.parse(example.source).body[-1]
        call = node.value.func if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
        name = ast.unparse(call) if isinstance(call, ast.Name | ast.Attribute) else ""
        known = {path.rpartition(".")[2] for path in example.calls}
        telling = name and len(name) < 40 and name.rpartition(".")[2] in known
        return f"What does `{name}` return here?" if telling else "What does the last line show?"

    def _explain(self, example: Example) -> str:
        item = self._document.object(example.calls[0]) if example.calls else None
        return f"`{item.name}`: {item.summary}" if item and item.summary else ""

    async def call(self, example: Example, others: Sequence[Example], avoid: Sequence[str] = ()) -> Question | None:
        """Which call gives this output? Wrong are siblings and mutants on the same data, and other documented calls.

        ``avoid`` lists outputs that stand next to their calls in the lesson already.
        """
        example = hoist(self._document, example)
        if "\n" in example.source or len(example.source) > LONGEST_KEY:
            return None
        wrong = [(m.source, m.program, m.how) for m in self._mutator.mutants(example) if m.setup == example.setup]
        wrong = [entry for entry in wrong if entry[2] not in ("other data", "printed, not shown")][:12]
        wrong += [
            (other.source, other.program, "another call")
            for other in others
            if other.setup == example.setup and other.imports == example.imports and other.source != example.source
        ]
        wrong = [entry for entry in wrong if "\n" not in entry[0] and len(entry[0]) <= LONGEST_OPTION]
        outcome, *outcomes = await self._prover.reproduce([example.program, *(program for _, program, _ in wrong)])
        if outcome is None or not outcome.ok:
            self.drop("output not reproduced")
            return None
        runs = [(example.source, run_of(example.program, outcome))]
        runs += [
            (source, run_of(program, result, how=how))
            for (source, program, how), result in zip(wrong, outcomes, strict=True)
            if result is not None and result.ok and usable_option(result.output)
        ]
        chosen = choose_calls(runs, avoid)
        if not chosen:
            self.drop("no calls that differ on this data")
            return None
        target = chosen[0][1].output
        options = [
            Option(text=text, correct=n == 0, feedback=_call_feedback(text, run, target), call=run.code)
            for n, (text, run) in enumerate(chosen)
        ]
        proven = [
            run.model_copy(update={"option": n, "how": "key" if n == 0 else "sibling" if run.how == "key" else run.how})
            for n, (_, run) in enumerate(chosen)
        ]
        stem = f"Which call gives `{target}`" + (" here?" if example.setup else f", with `{self._document.name}`?")
        subject = self._subject(chosen[0][0], example)
        return self._question(
            replace(example, calls=(subject,) if subject else ()),
            form="call",
            stem=stem,
            code="\n".join(example.setup),
            options=options,
            runs=proven,
        )

    def _subject(self, source: str, example: Example) -> str:
        """The public object that a changed call is about: the function it calls, or the method's near namesake."""
        known = {path.rpartition(".")[2]: path for path in reversed(example.calls)}
        for path in example.calls:
            known |= {near.name: near.path for near in self._siblings.of(path) if near.name not in known}
        for node in ast.walk(ast.parse(source)):
            name = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
            if name in known:
                return known[name]
        return ""

    async def error(self, example: Example, imports: tuple[str, ...], lines: Sequence[str]) -> Question | None:
        """Which line raises first? ``lines`` are statements of one line each, one of which raises.

        Each other line is shown not to raise by the program up to it without the line that does.
        """
        shown = "\n".join(lines)
        imports = used_imports(imports, shown)
        (whole,) = await self._prover.reproduce([join_program(imports, shown)])
        offset = len(imports) + 1 if imports else 0
        if whole is None or not whole.error or whole.line is None or not stable(whole):
            return None
        first = whole.line - offset - 1
        programs = [
            join_program(imports, "\n".join(line for m, line in enumerate(lines[: n + 1]) if m != first))
            for n in range(len(lines))
        ]
        results = await self._prover.reproduce(programs)
        options: list[Option] = []
        runs: list[Run] = []
        for n, (line, program, result) in enumerate(zip(lines, programs, results, strict=True)):
            if result is None or (n < first and result.error):
                return None
            if n > first and result.error and result.line != program.count("\n") + 1:
                return None
            if n == first:
                message = " ".join(whole.message.split()).rstrip(".")
                says = f"`{line}` raises `{whole.error}`" + (f": {message}." if message else ".")
                runs.append(run_of(join_program(imports, shown), whole, option=n))
            else:
                says = "Nothing is raised here."
                if result.error:
                    says = f"It would raise `{result.error}`, but an earlier line ends the program first."
                runs.append(run_of(program, result, how="without the line that raises", option=n))
            options.append(Option(text=line, correct=n == first, feedback=says))
        return self._question(
            replace(example, imports=imports),
            form="error",
            stem="Which line raises the first exception?",
            code=shown,
            options=options,
            runs=runs,
        )

    def single(self, item: ApiObject) -> Question | None:
        """Which object is documented so? The options are siblings; the key is cited."""
        if not 5 <= len(item.summary.split()) <= 30 or "`" in item.summary:
            return None
        others = [other for other in self._siblings.near(item.path) if other.summary]
        if len(others) < DISTRACTORS - 1:
            return None
        others = others[:DISTRACTORS]
        stem_words = words(item.summary)
        if any(share(item.name, stem_words) > share(other.name, stem_words) for other in others):
            self.drop("the summary gives the name away")
            return None
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
        foreign = tuple(line for line in example.imports if line.split()[1] != self._document.name)
        seen = "\n".join([code, *(option.text for option in options if form == "call")])
        return Question.model_validate(
            {
                "form": form,
                "stem": stem,
                "code": join_program(used_imports(foreign, seen), code).rstrip("\n"),
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


def choose_calls(runs: list[tuple[str, Run]], avoid: Sequence[str]) -> list[tuple[str, Run]]:
    """The key first, then up to three calls that give something else, siblings before the rest.

    The key is the first call whose output can be asked for and is not to be avoided; none if too few are left.
    """
    for text, run in runs:
        if run.output in avoid or not (usable_output(run.output) or run.output in ("True", "False")):
            continue
        if run.output.strip("'\"") in text:  # merely what was passed in
            continue
        others = {other[0]: other for other in runs if not same_value(other[1].output, run.output)}
        distinct: list[tuple[str, Run]] = []
        for other in others.values():
            again = any(same_value(other[1].output, known.output) for _, known in distinct)
            if not again or run.output in ("True", "False"):
                distinct.append(other)
        distinct.sort(key=lambda other: other[1].how in ("off by one", "key"))
        if len(distinct) >= DISTRACTORS - 1 and distinct[0][1].how not in ("off by one", "key"):
            return [(text, run), *distinct[:DISTRACTORS]]
    return []


def spread_around(key: str, found: list[tuple[Mutant, str, Run]], number: int) -> list[tuple[Mutant, str, Run]]:
    """Choose the distractors. Where options are numbers, shown sorted, the key's place must not be a habit.

    ``number`` decides how many of them should lie below the key.
    """
    value = parsed(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return found[:DISTRACTORS]
    below = [entry for entry in found if parsed(entry[1]) < value]
    above = [entry for entry in found if parsed(entry[1]) > value]
    wanted = number % (DISTRACTORS + 1)
    low = max(min(wanted, len(below)), DISTRACTORS - len(above))
    chosen = below[:low] + above[: DISTRACTORS - low]
    return [entry for entry in found if entry in chosen]


def usable_option(output: str) -> bool:
    """Whether an output can stand as an option: one line, not empty, not too long."""
    return 0 < len(output) <= LONGEST_OPTION and "\n" not in output


def usable_output(output: str) -> bool:
    """Whether an output can be asked for: short, one line, not a mere truth value, no number of many digits."""
    return (
        usable_option(output)
        and len(output) <= LONGEST_KEY
        and "`" not in output
        and (output not in DULL and workable(output))
    )


def share(name: str, summary: set[str]) -> float:
    """How much of a name a summary gives away: letters of its words whose beginnings stand in the name."""
    plain = name.lower()
    return sum(len(word) for word in summary if word[:4] in plain) / len(plain)


def _short(mutant: Mutant) -> bool:
    return 0 < len(mutant.changed) <= LONGEST_OPTION and "\n" not in mutant.changed


def mutant_feedback(mutant: Mutant) -> str:
    """What somebody who chose a mutant's output may have had in mind."""
    if mutant.how == "printed, not shown":
        return "That is how `print` shows it; the last line of a cell shows the repr."
    if not _short(mutant) or "`" in mutant.changed:
        return "That is the result of slightly different code."
    if mutant.how == "skipped line":
        return f"That would be right without the line `{mutant.changed}`."
    if mutant.how == "other data" or mutant.changed != mutant.source:
        return f"That would be right for `{mutant.changed}`."
    return f"That is what `{mutant.changed}` gives."


def _call_feedback(text: str, run: Run, target: str) -> str:
    if "`" in text + run.output:
        return ""
    return (
        f"`{text}` gives "
        + (f"`{run.output}`" if run.output else "nothing")
        + ("." if run.output == target else " here.")
    )


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
                name = _argument_name(document, example, node, position)
                node.args[position] = ast.Name(name, ast.Load())
                return Example(
                    example.ref,
                    example.span,
                    example.imports,
                    (f"{name} = {text}",),
                    ast.unparse(tree),
                    example.want,
                    example.raises,
                    example.calls,
                )
    return example


def _argument_name(document: ModuleDocument, example: Example, call: ast.Call, position: int) -> str:
    item = document.object(example.calls[0]) if example.calls else None
    called = item is not None and ast.unparse(call.func).rpartition(".")[2] == item.name
    parameters = item.parameters or () if item and called else ()
    names = [p.name if p.kind != "VAR_POSITIONAL" else "" for p in parameters if p.name not in ("self", "cls")]
    name = names[position] if position < len(names) else ""
    return name if len(name) > 2 and name.isidentifier() else "data"
