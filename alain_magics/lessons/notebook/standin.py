"""The set-up cell of a lesson: the package or, without it, a stand-in that needs only the standard library.

The stand-in draws a question exactly as :mod:`alain_magics.lessons.questions` does, and says of an exercise at least
whether it is solved: so "Run all" and strict nbval pass without the package too.
"""

from alain_magics.lessons.exercises import UNSOLVED

SETUP = r"""
# Values are shown as repr() writes them, as in the questions.
%config PlainTextFormatter.pprint = False
try:
    from alain_magics import check, question
except ImportError:  # not installed: a question becomes a list with a folded answer
    import base64, html, json, re

    class Shown:
        def __init__(self, text, markup):
            self.views = {"text/plain": text, "text/html": markup}

        def _repr_mimebundle_(self, **_):
            return self.views

    def rich(text):
        return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))

    def question(payload):
        q = json.loads(base64.b64decode(payload))
        texts = [o["text"] or "(nothing)" for o in q["options"]]
        if q["form"] == "numeric":
            asked, listed = f"Type a number ({q['unit']})." if q["unit"] else "Type a number.", ""
            key = "" if q["answer"] is None else f"{q['answer']:.15g} {q['unit']}".strip()
        else:
            asked = "\n".join(f"{n}. " + t.replace("\n", "\n   ") for n, t in enumerate(texts, 1))
            items = [f"<pre>{html.escape(t)}</pre>" if q["literal"] else rich(t) for t in texts]
            listed = '<ol type="1">' + "".join(f"<li>{item}</li>" for item in items) + "</ol>"
            key = next((str(n) for n, o in enumerate(q["options"], 1) if o["correct"]), "")
        answer = rich(f"{key}. {q['explanation']}".strip())
        folded = f"<details><summary>Answer</summary><p>{answer}</p></details>" if key else ""
        text = "\n\n".join(part for part in (q["stem"], q["code"], asked) if part)
        text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)
        return Shown(text, listed + folded)

    def check(payload):
        def passes(test):
            try:
                return repr(eval(test["call"])) == test["output"]
            except Exception:
                return False

        tests = json.loads(base64.b64decode(payload))["tests"]
        text = "Solved." if tests and all(map(passes, tests)) else UNSOLVED
        return Shown(text, f"<p>{text}</p>")
""".strip().replace("UNSOLVED", repr(UNSOLVED))
