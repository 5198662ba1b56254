"""The contract suite, on every optimizer."""

from typing import Any, ClassVar

from harness_optimizers.adam import Adam, AdamW
from harness_optimizers.sgd import SGD

from harness.testing import RecipeChangeContract


class TestSGD(RecipeChangeContract):
    method = SGD
    off: ClassVar[dict[str, Any]] = {}


class TestSGDNesterov(RecipeChangeContract):
    method = SGD
    params: ClassVar[dict[str, Any]] = {"lr": 0.02, "nesterov": True, "weight_decay": 0.01}


class TestAdam(RecipeChangeContract):
    method = Adam


class TestAdamW(RecipeChangeContract):
    method = AdamW
    params: ClassVar[dict[str, Any]] = {"weight_decay": 0.1}
