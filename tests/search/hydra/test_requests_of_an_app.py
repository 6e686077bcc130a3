"""What is wrong with a request is told before the first trial: where, what was found, what is allowed."""

from __future__ import annotations

import re

import pytest
from hydra.errors import CompactHydraException

from running_apps import EXAMPLE

X = "x=interval(0,1)"
BUDGET = "hydra.sweeper.max_evals=2"

WRONG = [
    (["hft_hyperopt", "xx=interval(0,1)", BUDGET], "hydra.sweeper.space.xx: is no key of the config (did you mean x?)"),
    (["hft_hyperopt", "nothing_like_it=interval(0,1)", BUDGET], "to add it to the config: +nothing_like_it"),
    (["hft_optuna", "algorithm=fats,plain", BUDGET], "found fats; allowed: fast, plain (did you mean fast?)"),
    (["hft_hyperopt", "algorithm.speed=1,2", BUDGET], "algorithm.speed: is no key of the config"),
    (["hft_hyperopt", X], "hydra.sweeper.max_evals: missing"),
    (["hft_optuna", BUDGET], "there is nothing to search"),
    (["hft_optuna", X, "x=0.5", BUDGET], "there is nothing to search"),
    (["hft_hyperopt", X, BUDGET, "hydra.sweeper.algorithm=cmaes"], "allowed with hft_hyperopt: tpe, random, anneal"),
    (["hft_hyperopt", X, BUDGET, "hydra.sweeper.metric=[a,b]"], "hydra/sweeper=hft_optuna"),
    (["hft_hyperopt", X, BUDGET, "hydra.sweeper.metric=[]"], "hydra.sweeper.metric: "),
    (["hft_optuna", X, BUDGET, "hydra.sweeper.metric=[a,a]"], "each metric once"),
    (["hft_optuna", X, BUDGET, "hydra.sweeper.direction=up"], "hydra.sweeper.direction.0"),
    (["hft_optuna", X, BUDGET, "hydra.sweeper.n_parallel=0"], "hydra.sweeper.n_parallel"),
    (["hft_optuna", X, "hydra.sweeper.max_evals=0"], "hydra.sweeper.max_evals"),
    (["hft_optuna", X, BUDGET, "hydra.sweeper.pruner={kind: medium}"], "hydra.sweeper.pruner.kind"),
    (["hft_optuna", BUDGET, "hydra.sweeper.space={x: {low: 2, high: 1}}"], "hydra.sweeper.space.x"),
    (["hft_optuna", BUDGET, "hydra.sweeper.space={x: []}"], "hydra.sweeper.space.x"),
    (["hft_optuna", "algorithm=glob(none_like_it*)"], "nothing to enumerate"),
    (["hft_optuna", "x=1,2", "hydra.sweeper.max_batch_size=0"], "hydra.sweeper.max_batch_size"),
]


@pytest.mark.usefixtures("hydra_restore_singletons")
@pytest.mark.parametrize(("request_", "told"), WRONG, ids=[told for _, told in WRONG])
def test_a_wrong_request_is_told_before_any_trial(request_, told, hydra_sweep_runner, tmp_path):
    sweeper, *overrides = request_
    sweep = hydra_sweep_runner(
        calling_file=str(EXAMPLE),
        calling_module=None,
        task_function=lambda config: pytest.fail("a trial ran"),
        config_path="conf",
        config_name="config",
        overrides=[f"hydra/sweeper={sweeper}", *overrides],
        temp_dir=tmp_path / "sweep",
    )
    with pytest.raises(CompactHydraException, match=re.escape(told)), sweep:
        pass
    assert not (tmp_path / "sweep" / "0").exists()
