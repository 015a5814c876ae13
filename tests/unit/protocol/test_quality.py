from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.quality import is_acceptable, unified_score, weakest

NAMES = ("sharpness", "eyes_open", "head_pose_yaw")
points = st.floats(0, 100)
vectors = st.dictionaries(st.sampled_from(NAMES), points)
minima = st.dictionaries(st.sampled_from(NAMES), points, min_size=1)


def test_a_component_equal_to_its_minimum_reaches_it():
    assert is_acceptable({"sharpness": 40.0}, {"sharpness": 40.0})
    assert weakest({"sharpness": 40.0}, {"sharpness": 40.0}) is None


def test_what_reaches_the_least_part_of_its_minimum_is_what_lacks():
    minimum = {"sharpness": 40.0, "face_occlusion_prevention": 85.0}
    assert weakest({"sharpness": 4.0, "face_occlusion_prevention": 40.0}, minimum) == "sharpness"
    assert weakest({"sharpness": 30.0, "face_occlusion_prevention": 20.0}, minimum) == "face_occlusion_prevention"


def test_a_component_that_was_not_measured_reaches_no_minimum():
    assert not is_acceptable({}, {"sharpness": 0.0})
    assert weakest({"eyes_open": 0.0}, {"sharpness": 0.0}) == "sharpness"


def test_what_is_no_number_reaches_no_minimum_and_outranks_nothing():
    minimum = {"sharpness": 40.0, "eyes_open": 30.0}
    odd = {"sharpness": float("nan"), "eyes_open": 90.0}
    assert not is_acceptable(odd, minimum)
    assert weakest(odd, minimum) == "sharpness"
    assert unified_score(odd, minimum) < 0.0
    assert unified_score(odd, minimum) == unified_score({"eyes_open": 90.0}, minimum)


def test_rounding_is_made_up_for():
    assert is_acceptable({"sharpness": 39.96}, {"sharpness": 40.0}, rounding=0.05)
    assert not is_acceptable({"sharpness": 39.94}, {"sharpness": 40.0}, rounding=0.05)


def test_the_weakest_is_furthest_below_its_own_minimum_and_not_the_smallest():
    minimum = {"sharpness": 20.0, "head_pose_yaw": 55.0}
    assert weakest({"sharpness": 15.0, "head_pose_yaw": 40.0}, minimum) == "head_pose_yaw"
    assert weakest({"sharpness": 25.0, "head_pose_yaw": 60.0, "eyes_open": 0.0}, minimum) is None


def test_a_minimum_of_a_hundred_can_be_reached():
    assert unified_score({"sharpness": 100.0}, {"sharpness": 100.0}) == 100.0


@given(vectors, minima)
def test_acceptable_means_that_nothing_lacks_and_that_the_score_is_not_negative(components, minimum):
    acceptable = is_acceptable(components, minimum)
    assert acceptable == (weakest(components, minimum) is None)
    assert acceptable == (unified_score(components, minimum) >= 0.0)


@given(vectors, minima, st.sampled_from(NAMES), points)
def test_raising_a_component_never_lowers_the_score(components, minimum, name, value):
    better = {**components, name: max(value, components.get(name, 0.0))}
    assert unified_score(better, minimum) >= unified_score(components, minimum) - 1e-9
