"""Optimise over a mixed space with a conditional variable."""

import optuna

import optunahub

module = optunahub.load_module("samplers/asng")


def objective(trial: optuna.Trial) -> float:
    """Return a value that is least for the kernel "poly" of degree 4."""
    if trial.suggest_categorical("kernel", ["linear", "poly"]) == "linear":
        return 3.0
    return abs(trial.suggest_int("degree", 1, 9) - 4)


if __name__ == "__main__":
    study = optuna.create_study(sampler=module.ASNGSampler(seed=0))
    study.optimize(objective, n_trials=30)
    print(study.best_params)
