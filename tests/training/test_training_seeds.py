"""Seeds that fail, diverge or stop end alone; rules and terms compose."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from recipes import CrossEntropy, Sharpness, cnn_recipe, data, gap, mlp_recipe, run, same_bits, sgd, weights
from torch import nn

from harness.interfaces import Loss, Network, PerExample, Term
from harness.training import Diverged, Request, train
from harness.training.alike import difference

MAPPINGS = pytest.mark.parametrize("mapping", ["loop", "vmap"])


@MAPPINGS
def test_a_seed_that_diverges_ends_alone_and_says_when(mapping):
    def make(seed):
        recipe = mlp_recipe(seed=seed)
        x = recipe.sources["labelled"].x.copy()
        if seed == 1:
            x[streams_order(1)[45]] = np.inf  # in the third batch of the first epoch
        return recipe.with_source("labelled", x=x)

    results = run(make, (0, 1, 2), mapping, "float32", strict=False)
    assert isinstance(results[1].error, Diverged)
    assert results[1].error.step == 2
    assert results[1].trained is None
    assert "step 2" in str(results[1].error)
    assert [r.mapping for r in results] == [mapping] * 3
    good = run(make, (0, 2), mapping, "float32")
    assert same_bits(results[0], good[0])
    assert same_bits(results[2], good[1])


def streams_order(seed):
    from harness import streams

    return streams.random(seed, "order/labelled", 0).permutation(90)


@MAPPINGS
def test_weights_that_overflow_in_the_last_step_are_a_divergence(mapping):
    recipe = mlp_recipe(optimizer=sgd(lr=1e300), epochs=None, steps=1)
    (result,) = run(recipe, (0,), mapping, "float32", strict=False)
    assert isinstance(result.error, Diverged)
    assert result.error.step == 1


@MAPPINGS
def test_a_seed_that_stops_early_keeps_its_weights_and_the_others_go_on(mapping):
    kept = {}

    def make(seed):
        def hook(view):
            if seed == 1 and view.epoch == 2:
                kept[seed] = view.parameters()
                view.stop("enough")

        return mlp_recipe(epochs=4).with_hook(hook)

    results = run(make, (0, 1, 2), mapping, "float32")
    assert [r.spent.steps for r in results] == [20, 10, 20]
    assert [len(r.curves["loss"]) for r in results] == [4, 2, 4]
    assert all((weights(results[1])[n] == v).all() for n, v in kept[1].items())
    plain = run(mlp_recipe(epochs=4), (0, 1, 2), mapping, "float32")
    assert same_bits(results[0], plain[0])
    assert same_bits(results[2], plain[2])
    assert not same_bits(results[1], plain[1])


@MAPPINGS
def test_training_ends_when_every_seed_has_stopped(mapping):
    calls = []

    def hook(view):
        calls.append(view.number)
        if view.number >= 3:
            view.stop()

    results = run(mlp_recipe(epochs=50).with_hook(hook, every=1), (0, 1), mapping)
    assert [r.spent.steps for r in results] == [3, 3]
    assert len(calls) == 6


@MAPPINGS
def test_a_hook_that_raises_ends_its_seed_only(mapping):
    def make(seed):
        def hook(view):
            view.log("seen", view.random("x").random())
            if seed == 0 and view.epoch == 2:
                raise ValueError("bad hook")

        return mlp_recipe().with_hook(hook)

    results = run(make, (0, 1), mapping, strict=False)
    assert isinstance(results[0].error, ValueError)
    assert results[1].error is None
    assert results[1].mapping == mapping
    assert [step for step, _ in results[1].curves["seen"]] == [5.0, 10.0, 15.0]
    assert len({value for _, value in results[1].curves["seen"]}) == 3


class Fragile(Loss):
    """Raises where a buffer says so; its control flow cannot be stacked."""

    vectorizable = True

    def __init__(self, bad):
        super().__init__()
        self.register_buffer("bad", torch.tensor(float(bad)))

    def forward(self, logits, target):
        if self.bad > 0:
            raise RuntimeError("this seed is broken")
        return F.cross_entropy(logits, target, reduction="none")


def test_what_raises_inside_a_stacked_program_is_found_by_training_seed_by_seed():
    class Counter:
        def __init__(self):
            self.calls = 0

        def __call__(self, view):
            self.calls += 1

    counters = [Counter() for _ in range(3)]
    results = run(lambda s: mlp_recipe(loss=Fragile(s == 1)).with_hook(counters[s]), (0, 1, 2), "vmap", strict=False)
    assert isinstance(results[1].error, RuntimeError)
    assert "broken" in str(results[1].error)
    assert [r.mapping for r in results] == ["loop"] * 3
    good = run(mlp_recipe(loss=CrossEntropy()), (0, 2), "loop")
    assert gap(results[0], good[0]) == gap(results[2], good[1]) == 0
    assert [counter.calls for counter in counters] == [3, 0, 3]


def test_a_failure_in_the_middle_of_a_stacked_program_puts_hooks_back():
    class LateFailure(Term):
        vectorizable = True

        def forward(self, step):
            if step.number == 7 and torch._C._functorch.maybe_current_level() is not None:
                raise RuntimeError("only when stacked")
            return 0 * step.output().logits.sum()

    class Counter:
        def __init__(self):
            self.calls = 0

        def __call__(self, view):
            self.calls += 1

    counter = Counter()
    results = run(mlp_recipe().with_term("late", LateFailure()).with_hook(counter), (0,), "vmap", strict=False)
    assert results[0].error is None
    assert results[0].mapping == "loop"
    assert counter.calls == 3


def test_exiting_is_an_error_of_the_seed():
    class Leaves(Loss):
        def forward(self, logits, target):
            raise SystemExit(3)

    results = run(mlp_recipe(loss=Leaves()), (0,), strict=False)
    assert isinstance(results[0].error, SystemExit)


def test_unlike_recipes_are_not_stacked():
    recipes = [mlp_recipe(), mlp_recipe(width=8), mlp_recipe(), mlp_recipe(optimizer=sgd(lr=0.2))]
    requests = [Request(i, recipe) for i, recipe in enumerate(recipes)]
    assert [difference(requests[0], r) for r in requests] == ["", "network 'model'", "", "optimizers"]
    results = train(requests, "vmap", precision="float64")
    assert [r.group_seeds for r in results] == [2, 1, 2, 1]
    alone = train(requests, "loop", precision="float64")
    assert max(gap(a, b) for a, b in zip(results, alone, strict=True)) < 1e-12


def test_rules_compose_the_first_one_outermost():
    order = []

    class Says(Sharpness):
        def gradients(self, gradient_at, parameters, step):
            order.append(self.rho)
            return gradient_at(parameters)

    recipe = cnn_recipe(epochs=None, steps=1).with_rule(Says(1)).with_rule(Says(2))
    base = run(cnn_recipe(epochs=None, steps=1), (0,))
    assert same_bits(run(recipe, (0,))[0], base[0])
    assert order == [1, 2]


def test_terms_can_be_asked_for_one_by_one():
    class Second(Term):
        vectorizable = True

        def forward(self, step):
            step.write("memory", step.output().logits.sum(1))
            return step.output().logits.pow(2).mean(1)

    class ByTerm(Sharpness):
        def gradients(self, gradient_at, parameters, step):
            step.log("rule", sum(p.sum() for p in parameters.values()))
            one, two = gradient_at(parameters, ("loss",)), gradient_at(parameters, ("second",))
            return {name: one[name] + two[name] for name in parameters}

    base = cnn_recipe().with_term("second", Second()).with_state("memory", PerExample())
    for mapping in ("loop", "vmap"):
        plain, ruled = run(base, (0, 1), mapping), run(base.with_rule(ByTerm(0)), (0, 1), mapping)
        assert max(gap(a, b) for a, b in zip(plain, ruled, strict=True)) < 1e-12
        assert ruled[0].spent.gradients == 2 * ruled[0].spent.steps
        assert np.allclose(ruled[1].curves["second"], plain[1].curves["second"], atol=1e-12)
        assert len(ruled[0].curves["rule"]) == 2


def test_a_recipe_that_makes_no_sense_fails_its_own_seed_only():
    results = train([Request(0, mlp_recipe(steps=3)), Request(1, mlp_recipe()), Request(2, mlp_recipe())], "vmap")
    assert "exactly one" in str(results[0].error)
    assert [r.group_seeds for r in results] == [1, 2, 2]
    assert "negative" in str(train([Request(0, mlp_recipe(), steps=-1)])[0].error)


def test_every_mapping_follows_the_flags():
    class Plain(CrossEntropy):
        vectorizable = False

    results = train([Request(s, mlp_recipe(width=64, loss=Plain())) for s in (0, 1)])
    assert [r.mapping for r in results] == ["loop", "loop"]
    forced = train([Request(s, mlp_recipe(loss=Plain())) for s in (0, 1)], "vmap")
    assert [r.mapping for r in forced] == ["loop", "loop"]


def test_data_that_may_not_be_written_are_trained_on(recwarn):
    recipe = mlp_recipe(epochs=1)
    x = recipe.sources["labelled"].x.copy()
    x.flags.writeable = False
    run(recipe.with_source("labelled", x=x), (0, 1), "vmap")
    assert not [w for w in recwarn if "writ" in str(w.message)]


class Embeds(nn.Module):
    """Logits by the class number that an input is."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(4, 4)

    def forward(self, x):
        return self.table(x)


def test_a_trained_model_predicts_from_arrays_that_may_not_be_written_and_from_small_integers(recwarn):
    (result,) = run(mlp_recipe(), (0,))
    x = data(90)[0]
    locked = x.copy()
    locked.flags.writeable = False
    for array in weights(result).values():
        array.flags.writeable = False
    assert (result.trained.predict(x)["logits"] == result.trained.predict(locked)["logits"]).all()
    assert not [w for w in recwarn if "writ" in str(w.message)]
    y = data(90)[1]
    (embedded,) = run(mlp_recipe().with_network("model", Network(Embeds)).with_source("labelled", x=y), (0,))
    expected = weights(embedded)["table.weight"][y]
    for dtype in (np.int64, np.int32, np.uint8):
        assert (embedded.trained.predict(y.astype(dtype))["logits"] == expected).all()


@MAPPINGS
def test_what_hooks_score_counts_as_examples(mapping):
    x = mlp_recipe().sources["labelled"].x

    def score(view):
        if view.epoch == 1:
            view.predict(x[:5])
            view.losses()

    plain = run(mlp_recipe(), (0, 1), mapping, "float32")
    scored = run(mlp_recipe().with_hook(score), (0, 1), mapping, "float32")
    for before, after in zip(plain, scored, strict=True):
        assert after.spent.examples == before.spent.examples + 5 + 90
        assert after.spent.gradients == before.spent.gradients
