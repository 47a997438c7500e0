"""The bundle against rigs that are known: whatever the seed, and however the motor steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from golmok_vision.scan.bundle import Bundle, Evidence, Solution, thinned
from golmok_vision.scan.guess import GuessError, guess_lens, guess_pose, guess_state
from tests.vision.scan_evidence import Witness, radial_error_mm

SIZE = 1640, 1232


def solve(witness: Witness, evidence: Evidence) -> Solution:
    lens = guess_lens(witness.views(evidence.hand), SIZE)
    hand = [guess_pose(lens, view) for view in witness.views(evidence.hand)]
    table = [guess_pose(lens, view) for view in witness.views(evidence.table)]
    start = guess_state(evidence, lens, hand, table)
    return Bundle(evidence, SIZE, 2, len(hand), len(start.placed)).solve(start)


@pytest.mark.parametrize(("seed", "per_turn"), [(1, 3200.0), (2, 6400.0), (3, -3200.0), (4, 1603.5)])
def test_the_rig_is_found_and_the_steps_of_a_turn_are_measured(seed: int, per_turn: float) -> None:
    witness = Witness(seed, steps_per_turn=per_turn)
    found = solve(witness, witness.evidence())
    rig = found.state.rig
    assert rig.turntable.steps_per_turn == pytest.approx(per_turn, rel=2e-4)
    assert rig.lens.fx_px == pytest.approx(witness.rig.lens.fx_px, rel=1e-3)
    assert np.allclose(rig.pose.centre_mm, witness.rig.pose.centre_mm, atol=0.15)
    assert radial_error_mm(witness.rig, rig) < 0.05
    assert np.sqrt(np.square(found.hand_px).mean()) == pytest.approx(witness.noise_px, rel=0.2)


def test_what_it_says_of_its_own_error_is_about_true() -> None:
    witness = Witness(5, noise_px=0.1)
    found = solve(witness, witness.evidence())
    points = np.array([[30.0, 20.0, 40.0]])
    points -= np.outer(witness.rig.lasers[0].distance_mm(points), witness.rig.lasers[0].normal)
    said = float(found.uncertainty_mm(points, 0)[0])
    really = float(np.linalg.norm(found.state.rig.triangulate(witness.rig.project(points), 0) - points))
    assert 0.001 < said < 0.05
    assert really < 4 * said


def test_one_picture_of_which_nothing_is_true_spoils_nothing() -> None:
    witness = Witness(6)
    evidence = witness.evidence()
    pixels = evidence.lines.pixels.copy()
    wrong = (evidence.lines.view == 30) & (evidence.lines.laser == 0)
    pixels[wrong] += [25.0, 3.0]
    spoilt = replace(evidence, lines=evidence.lines._replace(pixels=pixels))
    first = solve(witness, spoilt)
    cleaned = thinned(spoilt, first, 6.0)
    assert len(cleaned.lines.view) <= len(spoilt.lines.view) - wrong.sum()
    assert radial_error_mm(witness.rig, solve(witness, cleaned).state.rig) < 0.05


def test_too_little_is_told() -> None:
    witness = Witness(7)
    evidence = witness.evidence()
    lens = witness.rig.lens
    poses = [guess_pose(lens, view) for view in witness.views(evidence.table)]
    for wrong, code in (
        (replace(evidence, lying=()), "no-lying"),
        (replace(evidence, lines=evidence.lines._replace(laser=np.zeros_like(evidence.lines.laser))), "laser-unseen"),
    ):
        with pytest.raises(GuessError) as caught:
            guess_state(wrong, lens, [], poses)
        assert caught.value.code == code
    with pytest.raises(GuessError) as caught:
        guess_lens(witness.views(evidence.hand)[:2], SIZE)
    assert caught.value.code == "few-views"
