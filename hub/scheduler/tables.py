"""When each sweep is due next: asked of Postgres, so that a lost tick is only a late one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from hub.db import Base


class Sweep(Base):
    """A recurring job; belongs to no tenant."""

    __tablename__ = "sweeps"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    due_at: Mapped[datetime]
