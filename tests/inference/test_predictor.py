"""What a network returns, by the names of its outputs."""
import common  # noqa: F401

import pytest

from inference.predictor import as_predict_function

OUTPUTS = ["boxes", "scores", "labels", "image_index"]


@pytest.mark.parametrize("more", [[], ["masks"], ["keypoints"], ["masks", "keypoints"]])
def test_outputs_are_returned_by_their_names_whichever_there_are(more):
    names = [f"output/{name}" for name in [*OUTPUTS, *more]]
    found = as_predict_function(lambda *_: names, names)(None, None)
    assert found._asdict() == {**{name: f"output/{name}" for name in [*OUTPUTS, *more]},
                               **dict.fromkeys({"masks", "keypoints"} - {*more})}
