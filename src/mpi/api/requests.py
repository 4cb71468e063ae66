"""The published form of bodies with patient data.

:mod:`mpi.api.submissions` reads these bodies by hand for speed; both accept and reject the same
ones, which a property test proves. What is described here is shape only: a date that cannot be
read is no wrong body, it comes back as a warning.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mpi.domain.intake import MAX_ENTRIES, MAX_SOURCE, MAX_SOURCE_ID, parse_key
from mpi.domain.record import RecordKey
from mpi.errors import InvalidInput

MAX_SEARCH = 100
MAX_CORRELATION_ID = 128

JOHN_SMITH: dict[str, Any] = {
    "ssn": "123-45-6789",
    "first_name": "John",
    "last_name": "Smith",
    "dob": "1980-01-01",
}

Text = Annotated[
    str | int | float | None, Field(description="Text; a number counts as its digits.")
]
Entries = Field(default=None, max_length=MAX_ENTRIES)


class _Submitted(BaseModel):
    """Unknown fields are allowed: they are reported as warnings, not refused."""

    model_config = ConfigDict(extra="allow", strict=True, hide_input_in_errors=True)


class NameForm(_Submitted):
    """One name. ``use``: official, maiden, or anything else for a name the patient also goes by."""

    given: Text = None
    middle: Text = None
    family: Text = None
    suffix: Text = None
    use: Text = None


class AddressForm(_Submitted):
    """One postal address, as written."""

    line1: Text = None
    line2: Text = None
    city: Text = None
    state: Text = None
    zip: Text = None
    country: Text = None


class IdentifierForm(_Submitted):
    """A number given by ``system``; ``kind`` is for example MRN, DL or PASSPORT."""

    kind: Text = None
    value: Text = None
    system: Text = None


class PatientData(_Submitted):
    """What is known about the patient: flat fields, plural forms, or both."""

    ssn: Text = Field(default=None, examples=["123-45-6789"])
    first_name: Text = Field(default=None, examples=["John"])
    middle_name: Text = None
    last_name: Text = Field(default=None, examples=["Smith"])
    suffix: Text = None
    maiden_name: Text = None
    alias: Text = Field(
        default=None,
        description="Other names the patient goes by, as in HL7: `FAMILY^GIVEN^MIDDLE^SUFFIX`, with `~` between two.",
        examples=["King^Ada~Lovelace^Ada"],
    )
    mothers_maiden_name: Text = None
    dob: Text = Field(default=None, examples=["1980-01-01"])
    sex: Text = None
    address: Text = None
    address2: Text = None
    city: Text = None
    state: Text = None
    zip: Text = None
    country: Text = None
    phone: Text = None
    phone2: Text = None
    email: Text = None
    mrn: Text = None
    birth_order: Text = None
    multiple_birth: Annotated[
        Text | bool, Field(description="Yes or no, or the order within the birth.")
    ] = None
    deceased_date: Text = None
    gender: Text = Field(default=None, description="The same as `sex`.")
    birth_date: Text = Field(default=None, description="The same as `dob`.")
    date_of_birth: Text = Field(default=None, description="The same as `dob`.")
    postal_code: Text = Field(default=None, description="The same as `zip`.")
    family_name: Text = Field(default=None, description="The same as `last_name`.")
    given_name: Text = Field(default=None, description="The same as `first_name`.")
    names: list[NameForm | None] | None = Entries
    addresses: list[AddressForm | None] | None = Entries
    phones: list[Text] | None = Entries
    emails: list[Text] | None = Entries
    identifiers: list[IdentifierForm | None] | None = Entries


def _key(source: object, source_id: object) -> RecordKey | None:
    try:
        return parse_key(source, source_id)
    except InvalidInput as error:
        raise ValueError(error.detail) from None


class _Named(_Submitted):
    """Bodies that may name the record: both ids or neither."""

    source: Text = Field(default=None, description=f"At most {MAX_SOURCE} characters.")
    source_id: Text = Field(default=None, description=f"At most {MAX_SOURCE_ID} characters.")
    recorded_at: str | None = Field(
        default=None, description="When the source recorded it, ISO 8601; without zone it is UTC."
    )

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        _key(self.source, self.source_id)
        return self


class MatchRequest(_Named):
    """A patient; with both ids it is a registration, without them a question."""

    patient_data: PatientData
    enroll: bool | None = Field(default=None, description="Register it, or only ask.")
    explain: bool | None = None


class SearchRequest(_Named):
    """A patient to look for."""

    patient_data: PatientData
    limit: int | None = Field(default=10, ge=1, le=MAX_SEARCH)


class RegisterRequest(_Submitted):
    """The whole registration; its ids stand in the path."""

    patient_data: PatientData
    recorded_at: str | None = None
    explain: bool | None = None


class Side(_Named):
    """A record to compare: given in full, or stored and named by its ids."""

    patient_data: PatientData | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.patient_data is None and _key(self.source, self.source_id) is None:
            raise ValueError("patient_data, or source and source_id")
        return self


class ExplainRequest(_Submitted):
    """Two records to compare."""

    left: Side
    right: Side


class BatchPatient(PatientData, _Named):
    """One row: flat fields with the ids beside them."""

    correlation_id: str | None = Field(
        default=None, max_length=MAX_CORRELATION_ID, description="Comes back with the result."
    )


class BatchRequest(_Submitted):
    """Many patients. A row of another form fails alone, inside the 200."""

    patients: list[Any] = Field(description="Rows; at most MPI_BATCH_LIMIT.")
    source: Text = Field(default=None, description="For rows that name only their source_id.")
    enroll: bool | None = None
    explain: bool | None = None

    @model_validator(mode="after")
    def _source_is_usable(self) -> Self:
        if self.source is not None:
            _key(self.source, "0")
        return self


BODIES = (MatchRequest, SearchRequest, RegisterRequest, ExplainRequest, BatchRequest, BatchPatient)
"""Models that no route names by type, to be added to what OpenAPI publishes."""


def shown(example: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI entry that adds an example to a body which its route names by type."""
    return {"requestBody": {"content": {"application/json": {"example": example}}}}
