"""The house's style sheets: tokens only, logical properties only, layered, legible in both schemes, and none dead."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tinycss2  # type: ignore[import-untyped]

WEB = Path(__file__).parents[2] / "web"
SHEETS = sorted((WEB / "css").glob("*.css"))
TOKENS = WEB / "css/tokens.css"
LAYERS = ("reset", "tokens", "base", "components", "pages")

# A property that names a side of the screen instead of a side of the text, or a size along one.
PHYSICAL = re.compile(
    r"^(left|right|top|bottom|width|height|(min|max)-(width|height)"
    r"|(margin|padding|border|scroll-margin|scroll-padding)-(left|right|top|bottom)(-.+)?"
    r"|border-(top|bottom)-(left|right)-radius|float|clear)$"
)
PHYSICAL_VALUES = {"left", "right"}
SIDED_SHORTHANDS = {"margin", "padding", "inset", "border-width", "border-style", "border-color"}
COLOUR_FUNCTIONS = {"rgb", "rgba", "hsl", "hsla", "hwb", "lab", "lch", "oklab", "oklch", "color", "light-dark"}
COLOUR_NAMES = {"white", "black", "red", "green", "blue", "yellow", "orange", "purple", "gray", "grey", "silver"}

TEXT_CONTRAST, EDGE_CONTRAST = 4.5, 3.0
GROUNDS = ("canvas", "surface", "raised")
HUES = ("ok", "warn", "bad", "info")
TEXT_PAIRS = [
    *itertools.product(("ink", "ink-soft", "accent-ink", *HUES), (*GROUNDS, "hover")),
    *((hue, f"{hue}-soft") for hue in HUES),
    *itertools.product(("ink", "ink-soft"), [f"{hue}-soft" for hue in (*HUES, "accent")]),
    ("accent-ink", "accent-soft"),
    ("on-accent", "accent"),
    ("on-accent", "accent-strong"),
    ("on-bad", "bad-fill"),
]
EDGE_PAIRS = [*itertools.product(("edge", "focus", "accent", *HUES), GROUNDS), ("accent-ink", "accent-soft")]


def declarations(path: Path) -> Iterator[Any]:
    """Every declaration of a sheet, however deep."""
    yield from _inside(tinycss2.parse_stylesheet(path.read_text(), skip_comments=True, skip_whitespace=True), path)


def _inside(nodes: list[Any], path: Path) -> Iterator[Any]:
    for node in nodes:
        assert node.type != "error", f"{path.name}:{node.source_line} {node.message}"
        if node.type == "declaration":
            yield node
        elif node.type in ("qualified-rule", "at-rule") and node.content is not None:
            content = tinycss2.parse_blocks_contents(node.content, skip_comments=True, skip_whitespace=True)
            yield from _inside(content, path)


def tokens_in(nodes: list[Any]) -> Iterator[Any]:
    for node in nodes:
        yield node
        yield from tokens_in(getattr(node, "arguments", None) or getattr(node, "content", None) or [])


def where(path: Path, node: Any) -> str:
    return f"{path.name}:{node.source_line} {node.name}: {tinycss2.serialize(node.value).strip()}"


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_properties_are_logical(path: Path) -> None:
    wrong = []
    for node in declarations(path):
        words = [token for token in node.value if token.type not in ("whitespace", "comment")]
        sided = node.lower_name in SIDED_SHORTHANDS and len(words) == 4
        unequal = sided and tinycss2.serialize([words[1]]) != tinycss2.serialize([words[3]])
        sideways = any(token.type == "ident" and token.lower_value in PHYSICAL_VALUES for token in words)
        if PHYSICAL.match(node.lower_name) or unequal or sideways:
            wrong.append(where(path, node))
    assert wrong == []


@pytest.mark.parametrize("path", [sheet for sheet in SHEETS if sheet != TOKENS], ids=lambda path: path.name)
def test_colours_come_from_tokens(path: Path) -> None:
    wrong = []
    for node in declarations(path):
        for token in tokens_in(node.value):
            raw = token.type == "hash" or (token.type == "function" and token.lower_name in COLOUR_FUNCTIONS)
            named = token.type == "ident" and token.lower_value in COLOUR_NAMES
            if raw or named:
                wrong.append(where(path, node))
    assert wrong == []


def test_every_token_used_is_defined_and_every_one_defined_is_used() -> None:
    defined = {node.name for path in SHEETS for node in declarations(path) if node.name.startswith("--")}
    used = set(re.findall(r"var\((--[\w-]+)", " ".join(path.read_text() for path in SHEETS)))
    assert used - defined == set()
    assert defined - used == set()


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_everything_stands_in_a_layer(path: Path) -> None:
    rules = tinycss2.parse_stylesheet(path.read_text(), skip_comments=True, skip_whitespace=True)
    assert all(rule.type == "at-rule" and rule.lower_at_keyword == "layer" for rule in rules)
    names = [name.strip() for rule in rules for name in tinycss2.serialize(rule.prelude).split(",")]
    assert set(names) <= set(LAYERS)


def test_the_first_sheet_puts_the_layers_in_order() -> None:
    order = re.search(r"^@layer ([\w, ]+);", TOKENS.read_text(), re.MULTILINE)
    assert order is not None
    assert tuple(order[1].split(", ")) == LAYERS
    linked = re.search(r"for sheet in \[([^]]+)\]", (WEB / "pages/layout.html").read_text())
    assert linked is not None
    assert linked[1].startswith('"tokens"')


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_important_says_why(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert [line for line in lines if "!important" in line and "/* reason:" not in line] == []


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_nothing_is_fetched_by_a_sheet(path: Path) -> None:
    assert "@import" not in path.read_text()
    assert "url(" not in path.read_text()


def test_every_class_is_worn_somewhere() -> None:
    worn = " ".join(path.read_text() for folder in ("pages", "js") for path in (WEB / folder).rglob("*.*"))
    for path in SHEETS:
        for name in sorted(set(re.findall(r"\.([a-z][\w-]*)(?=[^{};]*\{)", path.read_text()))):
            variant = name.removeprefix("is-")
            assert re.search(rf"\b(is-)?{re.escape(variant)}\b", worn), f"{path.name}: .{name}"


def test_every_sheet_is_linked_by_a_page() -> None:
    pages = " ".join(path.read_text() for path in (WEB / "pages").rglob("*.html"))
    assert [path.name for path in SHEETS if f'"{path.stem}"' not in pages and f"css/{path.name}" not in pages] == []


# ---- Contrast: OKLCH to sRGB to the luminance of WCAG ----


def scheme(dark: bool) -> dict[str, tuple[float, float, float]]:
    """Every opaque colour token of one scheme as (lightness, chroma, hue)."""
    found = {}
    for node in declarations(TOKENS):
        text = tinycss2.serialize(node.value)
        both = re.match(r"\s*light-dark\(oklch\(([\d. ]+)\),\s*oklch\(([\d. ]+)\)\)\s*$", text)
        if both:
            parts = [float(part) for part in both[2 if dark else 1].split()]
            found[node.name.removeprefix("--")] = (parts[0], parts[1], parts[2])
    return found


def linear_rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def luminance(colour: tuple[float, float, float]) -> float:
    red, green, blue = (min(1.0, max(0.0, part)) for part in linear_rgb(*colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_reckoned_as_wcag_does() -> None:
    assert contrast((1, 0, 0), (0, 0, 0)) == pytest.approx(21, abs=0.01)
    # #767676 on white is the well-known edge of 4.5 : 1.
    assert contrast((0.5660, 0, 0), (1, 0, 0)) == pytest.approx(4.54, abs=0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("pairs", "least"), [(TEXT_PAIRS, TEXT_CONTRAST), (EDGE_PAIRS, EDGE_CONTRAST)], ids=["text", "edges"]
)
def test_tokens_are_legible(dark: bool, pairs: list[tuple[str, str]], least: float) -> None:
    colours = scheme(dark)
    weak = {
        f"{ink} on {ground}": round(contrast(colours[ink], colours[ground]), 2)
        for ink, ground in pairs
        if contrast(colours[ink], colours[ground]) < least
    }
    assert weak == {}
