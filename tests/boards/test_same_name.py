"""Two packages may offer a method of one name: they stay two methods on a board."""

from result_rows import TASK, row

from harness.boards.plain import board
from harness.boards.render import render
from harness.storage.store import Store


def test_methods_of_one_name_from_two_packages_are_two_cells(tmp_path):
    store = Store(tmp_path)
    store.register_task(TASK)
    for package, offset in (("mine", 0.1), ("theirs", 0.2)):
        methods = [{"name": "focal", "package": package, "field": "loss", "params": {}}]
        store.commit(
            [row(seed, value=offset + 0.01 * seed, methods=methods, trial_id=f"{package}{seed}") for seed in range(4)]
        )
    rows = board(store)
    assert [(cell.package, cell.n) for cell in rows] == [("theirs", 4), ("mine", 4)]
    assert "focal (mine)" in render(rows, "table")


def test_rows_of_different_code_are_said(tmp_path):
    store = Store(tmp_path)
    store.register_task(TASK)
    store.commit([row(seed, value=0.1 * seed, code_id="old" if seed < 2 else "new", minutes=seed) for seed in range(4)])
    (cell,) = board(store)
    assert cell.mixed
    assert "rows of different code: focal" in render([cell], "table")
    store.confirm("t", "default", "small", "focal", "old", "new")
    assert not board(store)[0].mixed


def test_a_metric_over_the_whole_group_is_on_the_board(tmp_path):
    store = Store(tmp_path)
    store.register_task(TASK)
    metrics = [{"name": "accuracy", "split": "group", "at": {}, "value": 0.5}]
    store.commit([row(seed, metrics=metrics) for seed in range(3)])
    assert [(cell.n, cell.failed) for cell in board(store)] == [(3, 0)]
