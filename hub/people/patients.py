"""Patients' files at a clinic; the first appointment opens one."""

from __future__ import annotations

import uuid

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from hub.people.tables import Patient
from hub.work import Work


async def open_file(
    work: Work, *, name: str, language: str | None, usual_language: str, external_id: str | None
) -> Patient:
    """The patient's file at this clinic: the one with this external id, brought up to date, or a new one.

    A language that is not given leaves the one that is known.
    """
    values = {
        "id": uuid.uuid4(),
        "tenant_id": work.tenant,
        "external_id": external_id,
        "name": name,
        "language": language or usual_language,
    }
    news = {"name": name} | ({"language": language} if language else {})
    add = insert(Patient).values(**values, created_at=work.now)
    upsert = add.on_conflict_do_update(index_elements=["tenant_id", "external_id"], set_=news)
    file_id = (await work.session.execute(upsert.returning(Patient.id))).scalar_one()
    return (await work.session.execute(select(Patient).where(Patient.id == file_id))).scalar_one()
