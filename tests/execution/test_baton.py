import random
import threading

import numpy as np
import pytest
import torch

from harness.execution.baton import take_turns


class FakeRequest:
    def __init__(self, seed, text):
        self.seed, self.text = seed, text


def group(bodies, seeds=None):
    """Runs bodies against a trainer that answers each request with its own text and the number of companions."""
    calls = []

    def train(requests):
        calls.append([request.text for request in requests])
        return [f"{request.text}!{len(requests)}" for request in requests]

    return take_turns(seeds or range(len(bodies)), bodies, train), calls


def test_recipes_of_all_live_seeds_are_trained_together():
    def body(seed, trainings):
        return lambda hand_over: [hand_over(FakeRequest(seed, f"{seed}.{i}")) for i in range(trainings)]

    turns, calls = group([body(0, 2), body(1, 1), body(2, 0)])
    assert calls == [["0.0", "1.0"], ["0.1"]]
    assert [turn.value for turn in turns] == [["0.0!2", "0.1!1"], ["1.0!2"], []]


def test_an_exception_ends_its_seed_only():
    def bad(hand_over):
        hand_over(FakeRequest(0, "a"))
        raise SystemExit("no")

    turns, _ = group([bad, lambda hand_over: hand_over(FakeRequest(1, "b"))])
    assert isinstance(turns[0].error, SystemExit)
    assert turns[1].value == "b!2"
    assert turns[1].error is None


def test_only_the_holder_of_the_baton_moves():
    inside, log = [], []

    def body(seed):
        def run(hand_over):
            for _ in range(3):
                inside.append(seed)
                log.append(len(inside))
                inside.remove(seed)
                hand_over(FakeRequest(seed, "x"))

        return run

    group([body(seed) for seed in range(4)])
    assert set(log) == {1}


def test_global_generators_depend_on_the_seed_only():
    def body(hand_over):
        first = (torch.rand(2).tolist(), np.random.rand(), random.random())
        hand_over(FakeRequest(0, "x"))
        return first, torch.rand(2).tolist(), np.random.rand(), random.random()

    together, _ = group([body, body, body], seeds=[3, 4, 5])
    alone, _ = group([body], seeds=[5])
    assert together[2].value == alone[0].value
    assert together[0].value != together[1].value


def test_the_callers_generators_are_left_alone():
    torch.manual_seed(1)
    np.random.seed(1)
    expected = (torch.rand(1).item(), np.random.rand())
    torch.manual_seed(1)
    np.random.seed(1)
    group([lambda hand_over: (torch.rand(5), np.random.rand(5))])
    assert (torch.rand(1).item(), np.random.rand()) == expected


def test_an_interrupt_leaves_no_thread_behind():
    def train(requests):
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        take_turns([0, 1], [lambda hand_over: hand_over(FakeRequest(0, "x"))] * 2, train)
    for thread in threading.enumerate():
        if thread.name == "seed":
            thread.join(5)
    assert threading.active_count() == before


def test_bodies_that_never_train_share_a_thread():
    turns, _ = group([lambda hand_over: threading.get_ident()] * 5)
    assert len({turn.value for turn in turns}) == 1
