"""Every wrong request is one line that says what is accepted, exit code 2, and nothing is written."""

import os
import subprocess
import sys

import pytest

TASK = ("--task", "noisy-labels-digits")
SCALE = ("--scale", "smoke")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("rum",), "unknown command 'rum'; did you mean 'run'?"),
        (("run",), "nothing to run: give a study file, or --method"),
        (("run", "--sees", "3"), "'--seeds'"),
        (("run", *TASK, "--method", "focl"), "unknown method 'focl'; did you mean 'focal'?"),
        (("run", "--task", "noisy-digits-labels", "--method", "focal"), "did you mean 'noisy-labels-digits'?"),
        (("run", *TASK, "--method", "focal[gama=1]"), "unknown parameter of focal 'gama'; did you mean 'gamma'?"),
        (("run", *TASK, "--method", "focal[gamma=high]"), "parameter 'gamma' of focal: expected a number, got 'high'"),
        (("run", *TASK, "--method", "focal[gamma=1"), "focal[gamma=1"),
        (("run", *TASK, "--method", "gce[q=7.0]"), "gce: q is 7; expected a number from 0 to 1"),
        (("run", "--task", "noisy-labels-digits[noise=2.0]", "--method", "gce"), "noise is 2; expected a number from"),
        (("run", "--task", "noisy-labels-digits[sym61]", "--method", "gce"), "did you mean 'sym60'?"),
        (("run", *TASK, "--method", "random-search"), "method random-search does not fit"),
        (("run", "--task", "posthoc-logit-bank", "--method", "gce"), "method gce does not fit"),
        (("run", *TASK, "--method", "temperature+gce"), "does not fit"),
        (("run", *TASK, "--method", "focal+gce"), "focal and gce would each be the main loss"),
        (("run", *TASK, "--method", "gce", "--seeds", "100000000"), "at most 100000"),
        (("run", *TASK, "--method", "gce", "--scale", "smal"), "did you mean 'small'?"),
        (("run", *TASK, "--method", "gce", "--seeds", "0"), "seeds: expected a count of 1 or more"),
        (("run", *TASK, "--method", "gce", "--seeds", "many"), "'many' is not a valid integer"),
        (("run", *TASK, "--method", "gce", "--jobs", "0"), "jobs: expected a number of workers"),
        (("run", *TASK, "--method", "gce", "--memory", "lots"), "--memory lots: expected a size such as"),
        (("run", *TASK, "--method", "gce", "--executor", "procesess"), "did you mean 'processes'?"),
        (("run", *TASK, "--method", "gce", "--mapping", "map"), "mapping: expected auto, loop, vmap"),
        (("run", *TASK, "--method", "gce", "--plugin", "./absent.py"), "absent.py"),
        (("run", *TASK, "--method", "gce", "--against", "basline"), "unknown method 'basline'"),
        (("run", "no-such-study.toml"), "cannot read study no-such-study.toml"),
        (("show", "focl"), "did you mean 'focal'?"),
        (("list", "method"), "methods"),
        (("list", "--field", "losss"), "did you mean 'loss'?"),
        (("board",), "run some first"),
        (("board", "--format", "xml"), "'xml' is not one of"),
        (("sql", "select 1"), "results"),
        (("store", "check"), "run something first"),
        (("store", "confirm"), "run something first"),
        (("export", "--format", "csv", "--out", "x.csv"), "results"),
    ],
)
def test_a_wrong_request_is_one_line(command, arguments, expected):
    done = command(*arguments, check=2)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert expected in lines[0]
    assert os.listdir(command.folder) == [], "something was written"


def test_a_study_file_with_a_misspelt_key_says_file_and_line(command):
    (command.folder / "mine.toml").write_text('[study]\nmethods = ["gce"]\n\nseed = 3\n')
    done = command("run", "mine.toml", check=2)
    assert done.stderr == "error: mine.toml:4: unknown key 'seed' of a study; did you mean 'seeds'?\n"


def test_a_study_file_that_is_not_toml_says_file_and_line(command):
    (command.folder / "mine.toml").write_text('[study]\nmethods = ["gce"\nseeds = 3\n')
    assert command("run", "mine.toml", check=2).stderr.startswith("error: mine.toml:3: not TOML")


def test_debug_shows_the_traceback(command):
    assert "Traceback" in command("--debug", "show", "focl").stderr


@pytest.mark.parametrize("store", ["/proc/store", "taken"])
def test_a_folder_that_cannot_be_written(command, store):
    (command.folder / "taken").write_text("a file is in the way")
    done = command("run", *TASK, "--method", "gce", *SCALE, "--seeds", 1, "--store", store, check=2)
    assert len(done.stderr.strip().splitlines()) == 1
    assert store in done.stderr


def test_torn_and_foreign_files_do_no_harm(command):
    command("run", *TASK, "--method", "gce", *SCALE, "--seeds", 2, check=0)
    trials = command.folder / "results" / "trials"
    part = next(trials.glob("part-*.parquet"))
    (trials / "part-00000000000000000000-torn.parquet").write_bytes(part.read_bytes()[:-100])
    (trials / "notes.csv").write_text("a,b\n")
    board = command("board", "--format", "csv", check=0)
    assert "gce" in board.stdout
    found = command("store", "check", check=1)
    assert "torn" in found.stdout
    again = command("run", *TASK, "--method", "gce", *SCALE, "--seeds", 2, check=0)
    assert "2 trials were there already" in again.stdout


def test_a_broken_plugin_hurts_no_other(command, tmp_path):
    site = tmp_path / "site"
    info = site / "bad_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[harness]\nbad = bad_plugin\n")
    (site / "bad_plugin.py").write_text("import not_installed_anywhere\n")
    listed = command("list", "plugins", site=site, check=0).stdout
    assert "bad-plugin" in listed
    assert "bad_plugin.py" in listed
    assert "not_installed_anywhere" in listed
    command("show", "focal", site=site, check=0)


def test_the_driver_imports_neither_torch_nor_the_method(command, loss_file):
    """`show` and `run --dry-run` in one process, then look at what was imported."""
    for arguments in (
        ["show", "poly-loss", "--plugin", str(loss_file)],
        ["show", "focal"],
        ["run", "--dry-run", "--plugin", str(loss_file), "--task", "noisy-labels-digits", "--method", "poly-loss+sgd"],
        ["run", *TASK, "--method", "gce", *SCALE, "--seeds", "1", "--quiet"],
    ):
        script = (
            "import sys\nfrom harness.cli.main import main\n"
            f"try:\n    main({arguments!r})\nexcept SystemExit as leave:\n    assert not leave.code, leave.code\n"
            "heavy = {'torch', 'sklearn', 'harness_losses.focal', 'harness_losses.gce', 'harness_local_my_loss'}\n"
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=command.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (arguments, done.stderr)
