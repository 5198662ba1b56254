import json

import numpy as np
import pytest

from harness import HarnessError, Problem, Split
from harness.execution import wire
from harness.interfaces.budget import Budget


def test_arrays_and_note_come_back(tmp_path):
    arrays = {
        "float": np.arange(6, dtype=np.float32).reshape(2, 3),
        "transposed": np.arange(6).reshape(2, 3).T,
        "scalar": np.array(2.5),
        "flags": np.array([True, False]),
        "empty": np.zeros((0, 4)),
        "big-endian": np.arange(3, dtype=">f4"),
    }
    wire.save(tmp_path / "a.safetensors", arrays, {"x": [1, None]})
    back, note = wire.load(tmp_path / "a.safetensors")
    assert note == {"x": [1, None]}
    assert back.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(back[name], value)
        assert back[name].shape == value.shape


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([{}], dtype=object), "text", np.array([1j])])
def test_only_numbers_travel(tmp_path, value):
    with pytest.raises(HarnessError, match="'bad' is an array of"):
        wire.save(tmp_path / "a.safetensors", {"bad": value})
    assert list(tmp_path.iterdir()) == []


def test_problem_comes_back(tmp_path):
    problem = Problem(
        kind="classification",
        splits={
            "train": Split(np.ones((4, 2)), np.arange(4), {"group": np.zeros(4)}),
            "unlabelled": Split(np.zeros((3, 2))),
        },
        inputs={"test": np.ones((5, 2))},
        classes=4,
        budget=Budget(steps=10),
        info={"scale": "smoke", "widths": [1, 2]},
    )
    back = wire.load_problem(wire.save_problem(tmp_path / "p.safetensors", problem))
    assert (back.kind, back.classes, back.budget, back.info) == (problem.kind, 4, problem.budget, problem.info)
    assert back.splits["unlabelled"].y is None
    np.testing.assert_array_equal(back.splits["train"].extra["group"], np.zeros(4))
    assert back.shape == (2,)


def test_note_that_is_not_json_leaves_no_file(tmp_path):
    with pytest.raises(TypeError):
        wire.save(tmp_path / "a.safetensors", {"x": np.ones(1)}, {"bad": object()})
    assert list(tmp_path.iterdir()) == []
    assert json.dumps({}) == "{}"
