"""When a child that ended is started again. Pure."""

from collections.abc import Sequence

FIRST, CAP = 0.5, 8.0
WINDOW = 60.0
LIMIT = 6


def next_try(ends: Sequence[float], now: float, limit: int = LIMIT) -> float | None:
    """Seconds to wait after the last of these ends, or None when there were too many of late."""
    recent = sum(1 for moment in ends if now - moment < WINDOW)
    if recent >= limit:
        return None
    return float(min(CAP, FIRST * 2 ** (recent - 1)))
