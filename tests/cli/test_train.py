"""`hft train`: checked first, run by Hydra, and clear about what failed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hft.train
from hft.cli import main
from hft.errors import DataError, Terminated, TrainingError
from hft.metrics import Report

# A stand-in for the training itself, which tests/end_to_end covers: here it is about what surrounds it.

REPORT = Report("ndcg@10", "maximize", "shown", test={}, curves={"validation_ndcg@10": [(0, 0.5)]})


@pytest.fixture
def trained(folder, monkeypatch):
    """Configs that training was asked for, one a job."""
    configs = []
    module = sys.modules["hft.train"]

    def train(config, **_):
        configs.append(config)
        return REPORT

    monkeypatch.setattr(module, "train", train)
    return configs


@pytest.fixture
def failing(folder, monkeypatch):
    """Training that raises what `failing(error, when=...)` says."""
    module = sys.modules["hft.train"]

    def arrange(error, when=lambda config: True):
        def train(config, **_):
            if when(config):
                raise error
            return REPORT

        monkeypatch.setattr(module, "train", train)

    return arrange


def test_overrides_and_options_come_in_any_order(trained):
    assert main(["train", "seed=4", "-m", "params.items_lr=1e-5,3e-5"]) == 0
    assert [(config.seed, config.params.items_lr) for config in trained] == [(4, 1e-5), (4, 3e-5)]


def test_a_single_run_gets_the_overrides(trained):
    assert main(["train", "loss=margin", "seed=9"]) == 0
    assert [(config.seed, config.loss._target_) for config in trained] == [(9, "hft.losses.MarginRankingLoss")]


def test_argv_and_the_environment_are_as_before_afterwards(trained, monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    before = list(sys.argv)
    main(["train"])
    assert sys.argv == before
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_a_wrong_request_is_refused_before_anything_runs(trained, folder, capsys):
    assert main(["train", "loss=infonse", "params.margim=1"]) == 2
    printed = capsys.readouterr().err
    assert "did you mean loss=infonce?" in printed
    assert "did you mean params.margin?" in printed
    assert trained == []
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["=3"], "=3: this override names no key"),
        ([""], "'': an empty argument"),
        (["--", "seed=1"], "a bare -- is not"),
    ],
)
def test_what_names_no_key_gets_one_clear_message(trained, capsys, arguments, says):
    assert main(["train", *arguments]) == 2
    printed = capsys.readouterr().err
    assert says in printed
    assert "_dummy" not in printed
    assert printed.count("error:") + printed.count("hft train:") == 1
    assert trained == []


def test_hydras_advice_to_add_a_plus_is_not_what_a_typo_gets(trained, capsys):
    assert main(["train", "params.margim=1"]) == 2
    captured = capsys.readouterr()
    assert "+params.margim" not in captured.err + captured.out


def test_a_sweep_without_the_flag_is_refused(trained, capsys):
    assert main(["train", "seed=1,2"]) == 2
    assert "add -m" in capsys.readouterr().err


def test_warnings_go_to_stderr_and_the_run_goes_on(trained, capsys):
    assert main(["train", "loss=infonce", "params.margin=0.3"]) == 0
    assert "params.margin: is set, but the loss" in capsys.readouterr().err
    assert len(trained) == 1


def test_a_slip_found_while_running_is_told_without_a_traceback(failing, capsys):
    failing(DataError("data.source: no session has an event"))
    assert main(["train"]) == 2
    printed = capsys.readouterr().err
    assert "hft: data.source: no session has an event" in printed
    assert "Traceback" not in printed


def test_a_failed_training_exits_with_1(failing):
    failing(TrainingError("loss is not a number at step 3"))
    assert main(["train"]) == 1


def test_a_bug_keeps_its_traceback(failing, capsys):
    failing(ZeroDivisionError("division by zero"))
    assert main(["train"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("signal", "status", "says"),
    [(KeyboardInterrupt(), 130, "hft: stopped\n"), (Terminated("SIGTERM"), 143, "hft: stopped by SIGTERM\n")],
)
def test_what_is_stopped_before_it_has_begun_says_so_and_leaves_no_folder(
    failing, folder, capsys, signal, status, says
):
    failing(signal)
    assert main(["train"]) == status
    assert capsys.readouterr().err.endswith(says)
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_every_job_of_a_sweep_runs_and_the_failed_ones_are_listed(failing, capsys):
    failing(TrainingError("not a number"), when=lambda config: config.seed in (1, 2))
    assert main(["train", "-m", "seed=0,1,2,3"]) == 1
    printed = capsys.readouterr().err
    assert "2 of 4 jobs failed" in printed
    assert "seed=1\n    not a number" in printed
    assert "seed=2\n    not a number" in printed


def test_cfg_shows_the_config_and_runs_nothing(trained, capsys):
    assert main(["train", "seed=8", "--cfg", "job", "-p", "seed"]) == 0
    assert capsys.readouterr().out == "8\n"
    assert trained == []


def test_cfg_of_a_wrong_request_gets_the_report(trained, capsys):
    assert main(["train", "loss=infonse", "--cfg", "job"]) == 2
    assert "did you mean loss=infonce?" in capsys.readouterr().err


def test_help_lists_groups_with_their_options_and_the_users_own(trained, folder, capsys):
    (folder / "conf" / "loss").mkdir(parents=True)
    (folder / "conf" / "loss" / "mine.yaml").write_text("_target_: hft.losses.InfoNCELoss\n")
    assert main(["train", "--help"]) == 0
    printed = capsys.readouterr().out
    assert "loss: cosine_prob_margin, infonce, margin, mine, prob_margin" in printed
    assert "data/splitter: by_group, by_item, by_query, by_time, by_user, given, stratified" in printed
    assert "$" not in printed


def test_info_shows_the_defaults_list(trained, capsys):
    assert main(["train", "--info", "defaults"]) == 0


def test_config_dir_is_honoured(trained, folder):
    (folder / "more" / "loss").mkdir(parents=True)
    (folder / "more" / "loss" / "other.yaml").write_text("_target_: hft.losses.InfoNCELoss\ntemperature: 0.7\n")
    assert main(["train", "--config-dir", "more", "loss=other"]) == 0
    assert trained[0].loss.temperature == 0.7


def test_python_dash_m_is_the_same_command(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "hft.train", "loss=infonse"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "did you mean loss=infonce?" in done.stderr


def test_hft_train_is_the_module_and_can_be_called(folder):
    from hft.errors import ConfigError

    config = hft.compose()
    config.params.items_lr = 9.0
    with pytest.raises(ConfigError, match=r"params\.items_lr: found 9\.0"):
        hft.train(config)


@pytest.mark.parametrize("arguments", [[], ["-m", "seed=0,1"]])
def test_no_line_of_hydras_precedes_a_message(failing, capsys, arguments):
    failing(DataError("data.source: no session has an event"))
    assert main(["train", *arguments]) != 0
    printed = capsys.readouterr().err
    assert "data.source: no session has an event" in printed
    assert "Error executing job" not in printed


def test_outputs_that_cannot_be_written_are_refused_before_anything_runs(trained, folder, capsys):
    (folder / "taken").write_text("")
    assert main(["train", "outputs=taken"]) == 2
    assert "error: outputs: cannot write to taken" in capsys.readouterr().err
    assert trained == []
