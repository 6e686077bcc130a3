"""Shell completion, asked of real shells."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from hft.cli import main


def bash_offers(line: str, cwd) -> list[str]:
    """What bash would offer for a line, from the completion function."""
    script = f"""
        eval "$(hft completion bash)"
        COMP_LINE='{line}'
        COMP_POINT=${{#COMP_LINE}}
        COMP_WORDS=($COMP_LINE)
        [[ "$COMP_LINE" == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        _hft_complete
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("hft tr", ["train"]),
        ("hft completion ", ["bash", "zsh", "fish"]),
        ("hft train lo", ["loss.", "loss="]),
        ("hft check lo", ["loss.", "loss="]),
        ("hft train loss=", ["cosine_prob_margin", "infonce", "margin", "prob_margin"]),
        ("hft train seed=1 loss=in", ["infonce"]),
        ("hft train -m seed=0,1 data/spl", ["data/splitter="]),
        ("hft train loss=margin params.not", ["params.not_irrelevant_only="]),
        ("hft evaluate mini", ["minilm", "minilm_two_towers"]),
    ],
)
def test_bash_completes(line, offered, hft_on_path, tmp_path):
    assert sorted(bash_offers(line, tmp_path)) == sorted(offered)


def test_options_of_the_users_own_folder_are_completed(hft_on_path, tmp_path):
    (tmp_path / "conf" / "loss").mkdir(parents=True)
    (tmp_path / "conf" / "loss" / "mine.yaml").write_text("_target_: hft.losses.InfoNCELoss\n")
    assert bash_offers("hft train loss=mi", tmp_path) == ["mine"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_is_valid_in_its_shell(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "@" not in script.replace("@f", "").replace("[@]", "")
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    checked = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
    assert checked.stderr == ""


def test_another_shell_is_refused(capsys):
    assert main(["completion", "tcsh"]) == 2
