"""Real hyper-parameter tuning: models of scikit-learn on its own data, with three folds."""

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from asng import Categorical, Integer, Real, Space
from benchmarks.black_box.problems import Problem, Values

__all__ = ["boosting", "kernels", "network", "svm", "trees", "zoo"]


@lru_cache(maxsize=8)
def _data(name: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(5).permutation(len(y))[:rows]
    return X[order], y[order]


def _folds(
    make: Callable[[Values], Any], data: str, rows: int, *, regression: bool = False
) -> Callable[[Values], float]:
    """Return the mean error over three folds, squared for a regression."""

    def loss(a: Values) -> float:
        X, y = _data(data, rows)
        model, errors = make(a), []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from models that did not converge
            for fold in range(3):
                out = np.arange(len(y)) % 3 == fold
                guessed = model.fit(X[~out], y[~out]).predict(X[out])
                errors.append(np.mean((guessed - y[out]) ** 2) if regression else np.mean(guessed != y[out]))
        return float(np.mean(errors))

    return loss


def _scaled(a: Values, model: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    kinds = {"none": None, "standard": StandardScaler, "range": MinMaxScaler}
    kind = kinds[a["scale"]]
    return model if kind is None else make_pipeline(kind(), model)


_SCALES = Categorical(["none", "standard", "range"])


def svm(data: str, rows: int) -> Problem:
    """A support vector machine: scaling, kernel, and the variables of the kernel."""
    from sklearn.svm import SVC

    space = Space(
        {
            "scale": _SCALES,
            "kernel": Categorical(["linear", "rbf", "poly", "sigmoid"]),
            "C": Real(1e-3, 1e3, log=True),
            "gamma": Real(1e-5, 1e1, log=True),
            "degree": Integer(2, 5),
            "coef0": Real(-1.0, 1.0),
        }
    )

    def make(a: Values) -> Any:
        kernel = a["kernel"]
        given: dict[str, Any] = {"kernel": kernel, "C": a["C"], "max_iter": 3000}
        if kernel != "linear":
            given["gamma"] = a["gamma"]
        if kernel == "poly":
            given["degree"] = a["degree"]
        if kernel in ("poly", "sigmoid"):
            given["coef0"] = a["coef0"]
        return _scaled(a, SVC(**given))

    return Problem(space, _folds(make, data, rows))


def kernels(data: str, rows: int) -> Problem:
    """Kernel ridge regression with a kernel and its variables."""
    from sklearn.kernel_ridge import KernelRidge

    space = Space(
        {
            "scale": _SCALES,
            "kernel": Categorical(["linear", "rbf", "laplacian", "poly"]),
            "alpha": Real(1e-6, 1e2, log=True),
            "gamma": Real(1e-5, 1e1, log=True),
            "degree": Integer(2, 5),
            "coef0": Real(0.0, 2.0),
        }
    )

    def make(a: Values) -> Any:
        kernel = a["kernel"]
        given: dict[str, Any] = {"kernel": kernel, "alpha": a["alpha"]}
        if kernel != "linear":
            given["gamma"] = a["gamma"]
        if kernel == "poly":
            given |= {"degree": a["degree"], "coef0": a["coef0"]}
        return _scaled(a, KernelRidge(**given))

    return Problem(space, _folds(make, data, rows, regression=True))


def zoo(data: str, rows: int) -> Problem:
    """One of four kinds of classifiers, each with variables of its own."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    space = Space(
        {
            "scale": _SCALES,
            "model": Categorical(["neighbours", "tree", "logistic", "svm"]),
            "neighbours": Integer(1, 40, log=True),
            "p": Real(1.0, 4.0),
            "weights": Categorical(["uniform", "distance"]),
            "depth": Integer(1, 20),
            "leaf": Integer(1, 30, log=True),
            "criterion": Categorical(["gini", "entropy"]),
            "C": Real(1e-4, 1e3, log=True),
            "svm_C": Real(1e-3, 1e3, log=True),
            "svm_gamma": Real(1e-5, 1e1, log=True),
        }
    )

    def make(a: Values) -> Any:
        model: Any
        if a["model"] == "neighbours":
            model = KNeighborsClassifier(a["neighbours"], p=a["p"], weights=a["weights"])
        elif a["model"] == "tree":
            model = DecisionTreeClassifier(
                max_depth=a["depth"], min_samples_leaf=a["leaf"], criterion=a["criterion"], random_state=0
            )
        elif a["model"] == "logistic":
            model = LogisticRegression(C=a["C"], max_iter=30)
        else:
            model = SVC(C=a["svm_C"], gamma=a["svm_gamma"], max_iter=3000)
        return _scaled(a, model)

    return Problem(space, _folds(make, data, rows))


def trees(data: str, rows: int, *, regression: bool = False) -> Problem:
    """A few extremely random trees."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    space = Space(
        {
            "features": Real(0.05, 1.0),
            "depth": Integer(1, 24),
            "leaf": Integer(1, 30, log=True),
            "split": Integer(2, 30, log=True),
            "bootstrap": Categorical([False, True]),
            "share": Real(0.2, 1.0),
        }
    )

    def make(a: Values) -> Any:
        given: dict[str, Any] = {"n_estimators": 6, "random_state": 0, "max_features": a["features"]}
        given |= {"max_depth": a["depth"], "min_samples_leaf": a["leaf"], "min_samples_split": a["split"]}
        if a["bootstrap"]:
            given |= {"bootstrap": True, "max_samples": a["share"]}
        return (ExtraTreesRegressor if regression else ExtraTreesClassifier)(**given)

    return Problem(space, _folds(make, data, rows, regression=regression))


def boosting(data: str, rows: int) -> Problem:
    """A few boosted trees for a regression."""
    from sklearn.ensemble import GradientBoostingRegressor

    space = Space(
        {
            "rate": Real(1e-3, 1.0, log=True),
            "trees": Integer(5, 25),
            "depth": Integer(1, 6),
            "share": Real(0.3, 1.0),
            "features": Real(0.1, 1.0),
            "leaf": Integer(1, 30, log=True),
            "loss": Categorical(["squared_error", "absolute_error", "huber"]),
            "alpha": Real(0.5, 0.99),
        }
    )

    def make(a: Values) -> Any:
        given: dict[str, Any] = {
            "learning_rate": a["rate"],
            "n_estimators": a["trees"],
            "max_depth": a["depth"],
        }
        given |= {"subsample": a["share"], "max_features": a["features"], "min_samples_leaf": a["leaf"]}
        if a["loss"] == "huber":
            given["alpha"] = a["alpha"]
        return GradientBoostingRegressor(loss=a["loss"], random_state=0, **given)

    return Problem(space, _folds(make, data, rows, regression=True))


def network(data: str, rows: int) -> Problem:
    """A small perceptron trained by SGD or Adam, each with its own learning rates."""
    from sklearn.neural_network import MLPClassifier

    space = Space(
        {
            "scale": _SCALES,
            "width": Integer(2, 32, log=True),
            "activation": Categorical(["relu", "tanh", "logistic"]),
            "solver": Categorical(["sgd", "adam", "lbfgs"]),
            "rate": Real(1e-4, 1.0, log=True),
            "momentum": Real(0.0, 0.99),
            "alpha": Real(1e-6, 1.0, log=True),
            "epochs": Integer(3, 12),
        }
    )

    def make(a: Values) -> Any:
        given: dict[str, Any] = {"hidden_layer_sizes": (a["width"],), "activation": a["activation"]}
        given |= {"solver": a["solver"], "alpha": a["alpha"], "max_iter": a["epochs"], "random_state": 0}
        if a["solver"] != "lbfgs":
            given["learning_rate_init"] = a["rate"]
        if a["solver"] == "sgd":
            given["momentum"] = a["momentum"]
        return _scaled(a, MLPClassifier(**given))

    return Problem(space, _folds(make, data, rows))
