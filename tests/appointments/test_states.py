"""What an appointment can become."""

from __future__ import annotations

from itertools import product

import pytest

from hub.appointments.states import MOVES, State, check_move
from hub.errors import Conflict


@pytest.mark.parametrize(("now", "to"), list(product(State, State)))
def test_a_move_is_possible_only_when_it_is_listed(now: State, to: State) -> None:
    if to in MOVES[now]:
        check_move("2026-000001", now, to)
        return
    with pytest.raises(Conflict, match="2026-000001"):
        check_move("2026-000001", now, to)


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(State)
