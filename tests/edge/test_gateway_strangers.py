from __future__ import annotations

import pytest

from golmok_drivers.api import CrcError, DriverError, Unplugged
from golmok_edge.gateway.strangers import explained

ONE, TWO, NEW, OTHER = "28-000000000001", "28-000000000002", "28-00000000000a", "28-00000000000b"
AWAY = Unplugged("it is away")


@pytest.mark.parametrize(
    ("error", "known", "present", "reason"),
    [
        (AWAY, [ONE, TWO], [TWO, NEW], "swapped"),
        (AWAY, [ONE, TWO], [TWO], "unplugged"),
        (AWAY, [ONE], ["10-0000000000ff"], "unplugged"),  # of another family: a DS18S20
        (AWAY, [ONE, TWO], [NEW, OTHER], "unplugged"),  # which stands for which?
        (AWAY, [ONE], [NEW, OTHER], "unplugged"),
        (AWAY, [ONE], [ONE, NEW], "unplugged"),  # it has come back since
        (AWAY, [], [NEW], "unplugged"),
        (CrcError("garbled"), [ONE], [NEW], "crc"),
    ],
)
def test_one_that_is_away_and_one_that_nobody_knows(
    error: DriverError, known: list[str], present: list[str], reason: str
) -> None:
    said = explained(error, known, present)
    assert said.reason == reason
    assert reason != "swapped" or (ONE in str(said) and NEW in str(said))
