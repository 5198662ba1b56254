"""Beginners' mistakes in a stage are said in words."""

import numpy as np
import pytest

from harness import Estimator, HarnessError, RecipeChange, Split
from harness.execution.worker import instance
from harness.interfaces.pipeline import Pipeline
from harness.part import Part
from harness.testing.toys import bench, toy_recipe


class Forgetful(RecipeChange):
    def configure(self, recipe, context):
        recipe.with_source("labelled", batch=8)


class Misspelt(RecipeChange):
    def configure(self, recipe, context):
        return recipe.with_source("labeled", batch=8)


class Bare(Estimator):
    def fit(self, x, y, context):
        pass

    def predict(self, x):
        return x


def apply(stage):
    return bench(lambda c: Pipeline((stage,)).apply(toy_recipe(c.problem), c.problem, c), seeds=(0,))


def test_a_stage_that_returns_nothing():
    with pytest.raises(HarnessError, match="Forgetful returned nothing; did it forget to return"):
        apply(Forgetful())


def test_a_source_that_does_not_exist():
    with pytest.raises(HarnessError, match="unknown source 'labeled'; did you mean 'labelled'"):
        apply(Misspelt())


def test_an_estimator_that_predicts_a_bare_array():
    table = Split(np.zeros((4, 2)), np.zeros(4, int))
    (predictor,) = bench(lambda c: Pipeline((Bare(),)).apply(table, c.problem, c), seeds=(0,))
    with pytest.raises(HarnessError, match=r"Bare\.predict returned ndarray; it returns named arrays"):
        predictor.predict(np.zeros((3, 2)))


def test_a_module_without_super_init(tmp_path):
    path = tmp_path / "no_super.py"
    path.write_text("from harness import Loss\n\n\nclass NoSuper(Loss):\n    def __init__(self):\n        pass\n")
    with pytest.raises(HarnessError, match=r"must call super\(\).__init__\(\) first"):
        instance(Part("no-super", "", "harness_local_no_super:NoSuper", {}, str(path)))
