"""The order of the rooms: imports only go down, and what a room may know of the outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HUB = Path(__file__).resolve().parent.parent / "hub"

# Imports only go down this list; names on one line may not import each other. `console` shares the API's way of
# telling who calls, so it stands above it; `tables` gathers everybody's, so it stands above all who have some.
ORDER = """
__main__
cli
app | migrate | tables
console
api | scheduler | local | demo
canary | metrics
wiring
appointments
inbox
messages
templates
people
audit | idempotency
work | demo_clock
db
serve
realtime | channels | queue | guards
settings | errors | clock | endless | logs | crypto
"""
LEVELS = {name.strip(): level for level, line in enumerate(ORDER.split("\n")) for name in line.split("|") if line}

MIDDLE = {"people", "templates", "messages", "inbox", "appointments"}
NOT_IN_THE_MIDDLE = {"starlette", "uvicorn", "redis", "arq", "hub.realtime", "hub.queue"}
KNOW_ARQ = {"queue", "scheduler"}
LONGEST_FILE = 350
SAYS_NOTHING = {"utils", "util", "helpers", "common", "misc", "base", "manager"}
# A command imports what it needs when it runs: a start is five processes. A vendor is loaded where it is used.
MAY_IMPORT_LATE = {"hub.cli", "hub.channels.registry", "hub.channels.sns"}
# What a module that calls itself pure may not know.
NOT_PURE = {"sqlalchemy", "hub.db", "hub.work", "hub.clock", "starlette", "redis", "asyncio"}


@dataclass(frozen=True)
class Module:
    """One file of the house."""

    name: str
    path: Path

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text())

    @property
    def room(self) -> str:
        return room_of(self.name)


def modules() -> list[Module]:
    found = []
    for path in sorted(HUB.rglob("*.py")):
        parts = ["hub", *path.relative_to(HUB).with_suffix("").parts]
        found.append(Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imported(node: ast.AST) -> Iterator[str]:
    """Everything a tree imports, in full: `from hub import audit` counts as `hub.audit`."""
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            assert each.level == 0, "imports are absolute"
            assert each.module
            names = {module.name for module in MODULES}
            for alias in each.names:
                full = f"{each.module}.{alias.name}"
                yield full if full in names else each.module


MODULES = modules()


def test_every_room_has_its_place_in_the_order() -> None:
    assert {module.room for module in MODULES if module.room} == set(LEVELS)


@pytest.mark.parametrize("module", [m for m in MODULES if m.room], ids=lambda module: module.name)
def test_imports_only_go_down(module: Module) -> None:
    for name in imported(module.tree):
        if name.startswith("hub.") and room_of(name) != module.room:
            assert LEVELS[room_of(name)] > LEVELS[module.room], f"{module.name} imports {name}"


@pytest.mark.parametrize("module", [m for m in MODULES if m.room in MIDDLE], ids=lambda module: module.name)
def test_the_middle_knows_neither_web_nor_redis_nor_sockets(module: Module) -> None:
    for name in imported(module.tree):
        assert not within(name, NOT_IN_THE_MIDDLE), f"{module.name} imports {name}"


def test_only_the_queue_and_the_scheduler_know_arq() -> None:
    assert {m.room for m in MODULES for name in imported(m.tree) if within(name, {"arq"})} == KNOW_ARQ


def test_the_live_path_knows_no_database() -> None:
    for module in MODULES:
        if module.room == "realtime":
            assert not [name for name in imported(module.tree) if within(name, {"sqlalchemy", "asyncpg"})], module.name


def test_there_is_no_cycle() -> None:
    edges = {m.name: {name for name in imported(m.tree) if name.startswith("hub")} for m in MODULES}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " → ".join((*way, name))
        if name not in done:
            for each in sorted(edges.get(name, ())):
                visit(each, (*way, name))
            done.add(name)

    for name in edges:
        visit(name, ())


def test_nothing_is_imported_late_to_dodge_a_cycle() -> None:
    for module in MODULES:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and module.name not in MAY_IMPORT_LATE:
                assert not list(imported(node)), f"{module.name}.{node.name} imports when called"


def test_pure_modules_decide_without_waiting_or_asking() -> None:
    pure = [module for module in MODULES if "(pure)" in (ast.get_docstring(module.tree) or "").split("\n")[0]]
    assert {"hub.people.roles", "hub.appointments.states", "hub.inbox.kinds"} <= {module.name for module in pure}
    for module in pure:
        assert not any(isinstance(node, ast.AsyncFunctionDef | ast.Await) for node in ast.walk(module.tree))
        assert not [name for name in imported(module.tree) if within(name, NOT_PURE)], module.name


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_file_says_what_it_is_for_and_is_short(module: Module) -> None:
    assert ast.get_docstring(module.tree), "no docstring"
    assert module.name.rpartition(".")[2] not in SAYS_NOTHING
    assert len(module.path.read_text().splitlines()) <= LONGEST_FILE


def test_no_room_is_empty() -> None:
    for folder in {path.parent for path in HUB.rglob("*.py")}:
        contents = [module for module in MODULES if module.path.parent == folder and module.path.name != "__init__.py"]
        assert contents, f"{folder.name} is empty"
        for module in contents:
            assert len(module.tree.body) > 1, f"{module.name} has nothing but a docstring"


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)
