from mpi.matching.record import StandardAddress, StandardRecord

SECRET = "SENTINEL"
HOME = StandardAddress._make([SECRET] * len(StandardAddress._fields))
FULL = StandardRecord._make(
    (
        (HOME,) if name == "addresses" else SECRET if value == "" else (SECRET,)
        for name, value in StandardRecord._field_defaults.items()
    )
)


def test_what_is_shown_of_a_record_is_which_fields_it_has() -> None:
    assert f"{FULL}" == f"<StandardRecord {' '.join(StandardRecord._fields)}>"
    assert f"{StandardRecord(dob=SECRET)!r}" == "<StandardRecord dob>"


def test_what_is_shown_of_an_address_is_which_fields_it_has() -> None:
    assert str(FULL.addresses) == f"(<StandardAddress {' '.join(StandardAddress._fields)}>,)"
