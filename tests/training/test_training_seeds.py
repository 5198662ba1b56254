"""Seeds that fail, diverge or stop end alone; what a person gets wrong is said in one line."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from recipes import CrossEntropy, Sharpness, cnn_recipe, data, gap, mlp_recipe, run, same_bits, sgd, weights
from torch import nn

from harness.errors import HarnessError, UnknownName
from harness.interfaces import FunctionLoss, Loss, Network, Optimizer, PerExample, Phase, Term
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


def first_error(recipe, mapping="vmap", **extra):
    (result,) = run(recipe, (0,), mapping, strict=False, **extra)
    assert isinstance(result.error, HarnessError), result.error
    assert result.trained is None
    assert "\n" not in str(result.error)
    return str(result.error)


class Returns(Loss):
    vectorizable = True

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, logits, target):
        return {
            "matrix": lambda: logits,
            "integers": lambda: logits.argmax(1),
            "number": lambda: 1.0,
            "short": lambda: logits[1:, 0],
        }[self.kind]()


@MAPPINGS
@pytest.mark.parametrize("kind", ["matrix", "integers", "number", "short"])
def test_a_term_that_returns_something_else(kind, mapping):
    message = first_error(mlp_recipe(loss=Returns(kind)), mapping)
    assert "term 'loss' (Returns) returned" in message


class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(12, 4))

    def forward(self, x):
        return x @ self.table


class Adapting(Term):
    """A loss that sees the whole step."""

    vectorizable = True
    role = "loss"

    def forward(self, step):
        return F.cross_entropy(step.output().logits, step.batch["labelled"].target, reduction="none")


class Ignoring(Adapting):
    ignore_index = -100


@MAPPINGS
@pytest.mark.parametrize("loss", [Ignoring(), FunctionLoss(F.cross_entropy, ignore_index=-100)])
def test_a_term_may_allow_one_label_for_what_is_not_labelled(loss, mapping):
    x, y = data(90)
    y = np.where(np.arange(90) % 3 == 0, -100, y)
    spoilt = np.where(y[:, None] == -100, 1e3, x)
    results = run(mlp_recipe(loss=loss).with_source("labelled", y=y), (0, 1), mapping)
    others = run(mlp_recipe(loss=loss).with_source("labelled", x=spoilt, y=y), (0, 1), mapping)
    assert all(same_bits(a, b) for a, b in zip(results, others, strict=True))


def test_labels_of_a_term_that_is_no_loss_are_its_own_business():
    class Penalty(Adapting):
        role = "penalty"

        def forward(self, step):
            return step.output().logits.pow(2).mean(1)

    recipe = mlp_recipe()
    recipe = recipe.replace(terms={"penalty": Penalty()}).with_source("labelled", y=np.full(90, 1000))
    assert run(recipe, (0,))[0].error is None


def test_a_model_that_refuses_evaluation_is_trained_without_a_look_at_its_logits():
    class Supernet(nn.Module):
        def __init__(self):
            super().__init__()
            self.paths = nn.Linear(12, 4)

        def forward(self, x):
            if not self.training:
                raise HarnessError("choose a path first")
            return self.paths(x)

    assert run(mlp_recipe().with_network("model", Network(Supernet)), (0,))[0].error is None


@pytest.mark.parametrize("batch", [0, -3])
def test_a_batch_of_nothing_is_an_error_where_its_number_is_asked_for(batch):
    recipe = mlp_recipe().with_source("labelled", batch=batch)
    for ask in (lambda: recipe.length, lambda: recipe.sources["labelled"].batches):
        with pytest.raises(HarnessError, match=f"batch {batch}; it must be at least 1"):
            ask()


def misspelt():
    r = mlp_recipe()
    _, y = data(90)
    source = r.sources["labelled"]
    return {
        "no optimizer takes parameter 'model.body.0.weight'": r.replace(optimizers=(("model.head.*", sgd()),)),
        "selector 'model.haed.*' matches no": r.replace(optimizers=(("model.haed.*", sgd()), ("*", sgd()))),
        "did you mean 'model.head.bias'": r.replace(masks={"model.head.bais": np.ones(4)}),
        "the mask of 'model.head.bias' has shape (3,)": r.replace(masks={"model.head.bias": np.ones(3)}),
        "holds other values than 0 and 1": r.replace(masks={"model.head.bias": np.full(4, 0.5)}),
        "define reset_parameters()": r.with_network("model", Network(Fixed)),
        "labels reach from 0 to 7, but the model has 4": r.with_source("labelled", y=np.r_[y[:-1], 7]),
        "term 'loss' (Adapting): labels reach from 0 to 7": r.replace(terms={"loss": Adapting()}).with_source(
            "labelled", y=np.r_[y[:-1], 7]
        ),
        "labels reach from -100 to 3": r.with_source("labelled", y=np.r_[y[:-1], -100]),
        "labels reach from -1 to 3": r.replace(terms={"loss": Ignoring()}).with_source("labelled", y=np.r_[y[:-1], -1]),
        "unknown view of source 'labelled' 'wek'; did you mean 'weak'": r.replace(
            views={"weak": lambda x, draws: x}
        ).with_source("labelled", view="wek"),
        "source 'labelled' has none": r.with_source("labelled", y=None),
        "needs a network 'model'": r.replace(networks={"modle": r.networks["model"]}),
        "needs a source 'labelled'": r.replace(sources={"other": source}),
        "exactly one of epochs and steps": r.replace(steps=3),
        "gives no batch": r.with_source("labelled", batch=100, drop_last=True),
        "has batch 0": r.with_source("labelled", batch=0),
        "reaches from 0 to 90": r.with_source("labelled", index=np.array([0, 90])),
        "90 inputs and 89 labels": r.with_source("labelled", y=y[:-1]),
        "the phases take 3 steps, the recipe 15": r.replace(phases=(Phase(3),)),
        "unknown network to train in a phase 'modle'; did you mean": r.replace(phases=(Phase(15, ("modle",)),)),
        "unknown term of a phase 'los'; did you mean": r.replace(phases=(Phase(15, (), ("los",)),)),
        "weight other than zero": r.replace(weights={"loss": 0.0}),
        "unknown term in the weights": r.replace(weights={"lss": 1.0}),
        "unknown source of per-example state": r.with_state("m", PerExample("nowhere")),
        "unknown network that 'ema' averages": r.with_network("ema", Network(Fixed, average_of="modl")),
        "needs a closure": r.with_optimizer(Optimizer(torch.optim.LBFGS)),
        "the start of network 'model': 'head.bias' has shape (5,)": r.with_network(
            "model", Network(r.networks["model"].factory, r.networks["model"].options, start={"head.bias": np.ones(5)})
        ),
    }


@pytest.mark.parametrize("words", misspelt())
def test_what_is_wrong_with_a_recipe_is_said_in_one_line(words):
    assert words in first_error(misspelt()[words])


class Asks(Term):
    def __init__(self, what):
        super().__init__()
        self.what = what

    def forward(self, step):
        return {
            "network": lambda: step.output("techer").logits[:, 0],
            "source": lambda: step.output("model", "unlabeled").logits[:, 0],
            "view": lambda: step.view("weak")[:, 0],
            "per-example state": lambda: step.state("last"),
            "shape": lambda: step.write("memory", torch.zeros(3)),
        }[self.what]()


@pytest.mark.parametrize("what", ["network", "source", "view", "per-example state", "shape"])
def test_what_a_term_asks_for_in_vain(what):
    recipe = mlp_recipe().with_term("asks", Asks(what)).with_state("memory", PerExample())
    message = first_error(recipe)
    assert ("state 'memory' is written with shape (3,)" if what == "shape" else f"unknown {what}") in message


def test_what_a_hook_asks_for_in_vain():
    asks = {
        "unknown network": lambda view: view.predict(np.zeros((1, 12)), "teacher"),
        "unknown term": lambda view: view.losses(term="los"),
        "unknown source": lambda view: view.set_weights("x", np.ones(90)),
        "got weights of shape (3,)": lambda view: view.set_weights("labelled", np.ones(3)),
        "must be finite": lambda view: view.set_weights("labelled", -np.ones(90)),
        "unknown per-example state": lambda view: view.state("x"),
    }
    for words, ask in asks.items():
        assert words in first_error(mlp_recipe().with_hook(ask))


def test_a_rule_that_forgets_a_parameter_or_asks_for_an_unknown_term():
    class Forgets(Sharpness):
        def gradients(self, gradient_at, parameters, step):
            return dict(list(gradient_at(parameters).items())[1:])

    class Misspells(Sharpness):
        def gradients(self, gradient_at, parameters, step):
            return gradient_at(parameters, ("los",))

    assert "returned no gradient for 'model.body.0.weight'" in first_error(mlp_recipe().with_rule(Forgets(0)))
    assert "unknown term in use 'los'" in first_error(mlp_recipe().with_rule(Misspells(0)))


def test_what_train_itself_does_not_know():
    request = Request(0, mlp_recipe())
    with pytest.raises(UnknownName, match="did you mean 'vmap'"):
        train([request], "vmp")
    with pytest.raises(UnknownName, match="float32"):
        train([request], precision="float16")
    with pytest.raises(UnknownName, match="device"):
        train([request], device="tpu")
    assert train([]) == []


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
