"""A wording as an administrator writes it: plain lines with placeables of Project Fluent, read into pieces (pure).

Of Fluent it takes `{ $name }`, `{ DATETIME($name, …) }`, `{ NUMBER($name, …) }`, `{ "text" }`, and choices by a number.
Everything else is refused when it is read, so that filling in cannot fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from unicodedata import normalize

from babel import Locale
from fluent.syntax import FluentParser, ast

LONGEST_WORDING = 20_000
# Parsed wordings kept: a clinic has some forty, each in two languages, with a subject for some.
KEPT = 2_000

# Round a link in a filled text, so that the layout of a mail finds it; no text may hold these.
LINK, LINK_END = "\ufdd0", "\ufdd1"
# Where a value has nothing to say; its line is left out.
NOTHING = "\ufdd2"

# What is never let through: controls, overrides and isolates of direction, halves of characters, our own marks.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
URL = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?()،؛؟]")
ONLY_A_URL_BEFORE = re.compile(r"https?://\S*$")

DATE_STYLES = ("short", "medium", "long", "full")
TIME_STYLES = ("short", "full")
OPTIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "DATETIME": {"dateStyle": DATE_STYLES, "timeStyle": TIME_STYLES},
    "NUMBER": {"minimumFractionDigits": tuple("0123456"), "maximumFractionDigits": tuple("0123456")},
}
# Which exact number stands for a whole plural form of Arabic.
STANDS_FOR = {Decimal(0): "zero", Decimal(1): "one", Decimal(2): "two"}


@dataclass(frozen=True, slots=True)
class Problem:
    """What cannot be read, and on which line (from 1)."""

    line: int
    detail: str


class Broken(Exception):
    """A wording that cannot be read."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"line {problem.line}: {problem.detail}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Shown:
    """A place where a variable's value stands; `function` and its options say in which style."""

    name: str
    function: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """Words that depend on a number: by its exact value, or by its plural form; the last resort is `otherwise`."""

    name: str
    cases: tuple[tuple[Decimal | str, tuple[Piece, ...]], ...]
    otherwise: tuple[Piece, ...]


Piece = str | Shown | Choice
Show = Callable[[Shown], str]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A wording that was read."""

    pieces: tuple[Piece, ...]
    locale: Locale

    @property
    def names(self) -> frozenset[str]:
        """The variables it names."""
        return frozenset(piece.name for piece in walk(self.pieces))

    def fill(self, show: Show, number_of: Callable[[str], Decimal]) -> str:
        """The wording with values in place."""
        return self._fill(self.pieces, show, number_of)

    def _fill(self, pieces: tuple[Piece, ...], show: Show, number_of: Callable[[str], Decimal]) -> str:
        said = []
        for piece in pieces:
            if isinstance(piece, str):
                said.append(piece)
            elif isinstance(piece, Shown):
                said.append(show(piece))
            else:
                said.append(self._fill(self._choose(piece, number_of(piece.name)), show, number_of))
        return "".join(said)

    def _choose(self, choice: Choice, number: Decimal) -> tuple[Piece, ...]:
        form = self.locale.plural_form(number)
        for key, pieces in choice.cases:
            if key in (form, number):
                return pieces
        return choice.otherwise


def walk(pieces: tuple[Piece, ...]) -> Iterator[Shown | Choice]:
    """Every place that names a variable."""
    for piece in pieces:
        if isinstance(piece, Choice):
            yield piece
            for words in (*(words for _, words in piece.cases), piece.otherwise):
                yield from walk(words)
        elif isinstance(piece, Shown):
            yield piece


@lru_cache(maxsize=KEPT)
def read_pattern(source: str, language: str) -> Pattern:
    """Read a wording; raises Broken with everything that is wrong.

    Kept by its very words, and not by a version's id: a draft's words change under the same id.
    """
    if len(source) > LONGEST_WORDING:
        raise Broken([Problem(1, f"at most {LONGEST_WORDING} characters")])
    if not source.strip():
        raise Broken([Problem(1, "is empty")])
    wrapped = _wrap(normalize("NFC", source).replace("\r\n", "\n").replace("\r", "\n"))
    reader = _Reader(wrapped, Locale.parse(language))
    try:
        pieces = reader.read()
    except RecursionError as error:
        raise Broken([Problem(1, "braces within braces, too many")]) from error
    if reader.problems:
        raise Broken(reader.problems)
    return Pattern(pieces, reader.locale)


def _wrap(source: str) -> str:
    """One Fluent message; a line that begins like Fluent's own syntax is told that it is text."""
    lines, depth = ["wording ="], 0
    for line in source.strip().split("\n"):
        plain = line.strip()
        if depth == 0 and plain[:1] in ("[", "*", ".") and plain:
            plain = f'{{ "{plain[0]}" }}{plain[1:]}'
        lines.append(f"    {plain}" if plain else "")
        depth = max(depth + _depth_of(plain), 0)
    return "\n".join(lines) + "\n"


def _depth_of(line: str) -> int:
    """How many more braces a line opens than it closes, those in quoted text aside."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", line)
    return bare.count("{") - bare.count("}")


class _Reader:
    """Turns Fluent's tree into pieces, and gathers what it does not take."""

    def __init__(self, wrapped: str, locale: Locale) -> None:
        self.wrapped = wrapped
        self.locale = locale
        self.problems: list[Problem] = []

    def read(self) -> tuple[Piece, ...]:
        entries = FluentParser().parse(self.wrapped).body
        for entry in entries:
            if isinstance(entry, ast.Junk):
                for note in entry.annotations:
                    self._refuse(note, f"cannot be read: {note.message}. {HOW_TO_WRITE}")
        if self.problems or len(entries) != 1:
            self.problems = self.problems or [Problem(1, f"cannot be read. {HOW_TO_WRITE}")]
            return ()
        message = entries[0]
        if not isinstance(message, ast.Message) or message.value is None or message.attributes:
            self.problems.append(Problem(1, f"cannot be read. {HOW_TO_WRITE}"))
            return ()
        return self._pieces(message.value)

    def _refuse(self, node: ast.SyntaxNode, detail: str) -> None:
        start = node.span.start if node.span else 0
        line = self.wrapped.count("\n", 0, start)
        problem = Problem(min(max(line, 1), self.wrapped.count("\n") - 1), detail)
        if problem not in self.problems:
            self.problems.append(problem)

    def _pieces(self, pattern: ast.Pattern) -> tuple[Piece, ...]:
        pieces: list[Piece] = []
        for element in pattern.elements:
            found = self._text(element.value) if isinstance(element, ast.TextElement) else self._placeable(element)
            if isinstance(found, str) and pieces and isinstance(pieces[-1], str):
                pieces[-1] += found
            elif found is not None:
                if not isinstance(found, str) and pieces and _ends_in_url(pieces[-1]):
                    self._refuse(element, "a link made of text and a variable; give the whole link as one variable")
                pieces.append(found)
        return tuple(_with_links(piece) if isinstance(piece, str) else piece for piece in pieces)

    def _text(self, text: str) -> str:
        return UNSEEN.sub("", text)

    def _placeable(self, placeable: ast.Placeable) -> Piece | None:
        expression = placeable.expression
        if isinstance(expression, ast.Placeable):
            return self._placeable(expression)
        if isinstance(expression, ast.SelectExpression):
            return self._choice(expression)
        if isinstance(expression, ast.StringLiteral):
            return self._text(expression.parse()["value"])
        if isinstance(expression, ast.NumberLiteral):
            return expression.value
        if isinstance(expression, ast.VariableReference | ast.FunctionReference):
            return self._shown(expression)
        name = expression.id.name
        self._refuse(expression, f"{{ {name} }} is no variable; write {{ ${name} }}")
        return None

    def _shown(self, reference: ast.VariableReference | ast.FunctionReference) -> Shown | None:
        if isinstance(reference, ast.VariableReference):
            return Shown(reference.id.name)
        function, arguments = reference.id.name, reference.arguments
        if function not in OPTIONS:
            self._refuse(reference, f"{function} is unknown here; there are {' and '.join(OPTIONS)}")
            return None
        if len(arguments.positional) != 1 or not isinstance(arguments.positional[0], ast.VariableReference):
            self._refuse(reference, f"write {function}($name), with one variable")
            return None
        options = {}
        for named in arguments.named:
            option, value = named.name.name, str(named.value.parse()["value"])
            if value not in OPTIONS[function].get(option, ()):
                known = "; ".join(f"{name}: {', '.join(values)}" for name, values in OPTIONS[function].items())
                self._refuse(named, f"{function} does not take {option}: {value}; it takes {known}")
            options[option] = value
        return Shown(arguments.positional[0].id.name, function, options)

    def _choice(self, select: ast.SelectExpression) -> Choice | None:
        if not isinstance(select.selector, ast.VariableReference):
            self._refuse(select, "choose by a variable: { $days -> … }")
            return None
        cases: list[tuple[Decimal | str, tuple[Piece, ...]]] = []
        otherwise: tuple[Piece, ...] = ()
        for variant in select.variants:
            pieces = self._pieces(variant.value)
            if isinstance(variant.key, ast.NumberLiteral):
                cases.append((Decimal(variant.key.value), pieces))
            else:
                cases.append((variant.key.name, pieces))
            if variant.default:
                otherwise = pieces
                if cases[-1][0] != "other":
                    self._refuse(variant, "the last resort is *[other]")
        self._check_forms(select, [key for key, _ in cases])
        return Choice(select.selector.id.name, tuple(cases), otherwise)

    def _check_forms(self, select: ast.SelectExpression, keys: list[Decimal | str]) -> None:
        """A choice has each plural form of the language once, and nothing else."""
        needed = {*self.locale.plural_form.tags, "other"}
        forms = {key for key in keys if isinstance(key, str)}
        exact = {STANDS_FOR[key] for key in keys if key in STANDS_FOR and not isinstance(key, str)}
        if strange := sorted(forms - needed):
            self._refuse(select, f"no plural form here: {', '.join(strange)}; there are {', '.join(_in_order(needed))}")
        if missing := _in_order(needed - forms - exact):
            self._refuse(select, f"this language has other words for {', '.join(missing)}; say them too")
        if len(keys) != len(set(keys)):
            self._refuse(select, "says one form twice")


HOW_TO_WRITE = 'Write a variable as { $name }, and a brace as { "{" }'
FORMS = ("zero", "one", "two", "few", "many", "other")


def _in_order(forms: set[str]) -> list[str]:
    return [form for form in FORMS if form in forms]


def _ends_in_url(piece: Piece) -> bool:
    return isinstance(piece, str) and ONLY_A_URL_BEFORE.search(piece) is not None


def _with_links(text: str) -> str:
    """Mark the links that stand in the wording itself."""
    return URL.sub(lambda found: f"{LINK}{found[0]}{LINK_END}", text)
