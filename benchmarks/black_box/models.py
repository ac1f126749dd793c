"""More real hyper-parameter tuning, for the development half; rows and folds differ between instances."""

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from asng import Categorical, Integer, Real, Space
from benchmarks.black_box.problems import Problem, Values

__all__ = ["classical", "committee", "descent", "linear", "neighbours", "perceptron", "svr", "tree"]

_SCALES = Categorical(["none", "standard", "range", "quantile"])


@lru_cache(maxsize=64)
def _data(name: str, rows: int, instance: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    if name == "friedman":
        X, y = datasets.make_friedman1(400, n_features=10, noise=1.0, random_state=100 + instance)
    elif name == "made":
        X, y = datasets.make_classification(
            400,
            20,
            n_informative=5,
            n_redundant=5,
            n_clusters_per_class=3,
            flip_y=0.05,
            random_state=100 + instance,
        )
    else:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng([5, instance]).permutation(len(y))[:rows]
    return X[order], y[order]


def _problem(
    space: Space,
    make: Callable[[Values], Any],
    data: tuple[str, int, int],
    *,
    regression: bool = False,
    scaled: bool = True,
) -> Problem:
    """A model's mean error over three folds, squared for a regression; large if it cannot be fitted."""

    def loss(a: Values) -> float:
        X, y = _data(*data)
        model, errors = _scaled(a, make(a)) if scaled else make(a), []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from models that did not converge
            for fold in range(3):
                out = np.arange(len(y)) % 3 == fold
                try:
                    guessed = model.fit(X[~out], y[~out]).predict(X[out])
                except (np.linalg.LinAlgError, ValueError):
                    return 1e6 if regression else 1.0
                errors.append(np.mean((guessed - y[out]) ** 2) if regression else np.mean(guessed != y[out]))
        mean = float(np.mean(errors))
        return mean if np.isfinite(mean) else 1e12

    return Problem(space, loss)


def _scaled(a: Values, model: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler

    kind = a["scale"]
    if kind == "none":
        return model
    if kind == "quantile":
        return make_pipeline(QuantileTransformer(n_quantiles=20), model)
    return make_pipeline(StandardScaler() if kind == "standard" else MinMaxScaler(), model)


def tree(instance: int) -> Problem:
    """One decision tree."""
    from sklearn.tree import DecisionTreeClassifier

    space = Space(
        {
            "criterion": Categorical(["gini", "entropy", "log_loss"]),
            "splitter": Categorical(["best", "random"]),
            "depth": Integer(1, 20),
            "leaf": Integer(1, 40, log=True),
            "split": Integer(2, 40, log=True),
            "features": Real(0.05, 1.0),
            "alpha": Real(1e-5, 1e-1, log=True),
            "balanced": Categorical([False, True]),
        }
    )

    def make(a: Values) -> Any:
        return DecisionTreeClassifier(
            criterion=a["criterion"],
            splitter=a["splitter"],
            max_depth=a["depth"],
            min_samples_leaf=a["leaf"],
            min_samples_split=a["split"],
            max_features=a["features"],
            ccp_alpha=a["alpha"],
            class_weight="balanced" if a["balanced"] else None,
            random_state=0,
        )

    return _problem(space, make, ("breast_cancer", 300, instance), scaled=False)


def descent(instance: int) -> Problem:
    """A linear classifier by stochastic gradient descent; schedules and penalties have own variables."""
    from sklearn.linear_model import SGDClassifier

    space = Space(
        {
            "scale": _SCALES,
            "loss": Categorical(["hinge", "log_loss", "modified_huber", "perceptron"]),
            "penalty": Categorical(["l2", "l1", "elasticnet"]),
            "alpha": Real(1e-7, 1.0, log=True),
            "ratio": Real(0.0, 1.0),
            "schedule": Categorical(["optimal", "invscaling", "constant", "adaptive"]),
            "eta": Real(1e-5, 1.0, log=True),
            "power": Real(0.1, 1.0),
            "average": Categorical([False, True]),
            "epochs": Integer(2, 30, log=True),
        }
    )

    def make(a: Values) -> Any:
        given: dict[str, Any] = {"loss": a["loss"], "penalty": a["penalty"], "alpha": a["alpha"], "tol": None}
        given |= {"average": a["average"], "max_iter": a["epochs"], "learning_rate": a["schedule"]}
        if a["penalty"] == "elasticnet":
            given["l1_ratio"] = a["ratio"]
        if a["schedule"] != "optimal":
            given["eta0"] = a["eta"]
        if a["schedule"] == "invscaling":
            given["power_t"] = a["power"]
        return SGDClassifier(random_state=0, **given)

    return _problem(space, make, ("breast_cancer", 200, instance))


def linear(instance: int) -> Problem:
    """One of four linear regressions, with or without products of features."""
    from sklearn.linear_model import ElasticNet, HuberRegressor, Lasso, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures

    space = Space(
        {
            "scale": _SCALES,
            "products": Categorical([False, True]),
            "only": Categorical([False, True]),
            "model": Categorical(["ridge", "lasso", "net", "huber"]),
            "alpha": Real(1e-4, 1e3, log=True),
            "lasso_alpha": Real(1e-3, 1e2, log=True),
            "net_alpha": Real(1e-3, 1e2, log=True),
            "ratio": Real(0.0, 1.0),
            "huber_alpha": Real(1e-5, 1e2, log=True),
            "epsilon": Real(1.01, 3.0),
        }
    )
    kinds: dict[str, Callable[[Values], Any]] = {
        "ridge": lambda a: Ridge(alpha=a["alpha"]),
        "lasso": lambda a: Lasso(alpha=a["lasso_alpha"], max_iter=100),
        "net": lambda a: ElasticNet(alpha=a["net_alpha"], l1_ratio=a["ratio"], max_iter=100),
        "huber": lambda a: HuberRegressor(alpha=a["huber_alpha"], epsilon=a["epsilon"], max_iter=30),
    }

    def make(a: Values) -> Any:
        model = kinds[a["model"]](a)
        return (
            make_pipeline(PolynomialFeatures(2, interaction_only=a["only"]), model)
            if a["products"]
            else model
        )

    return _problem(space, make, ("diabetes", 150, instance), regression=True)


def neighbours(instance: int) -> Problem:
    """Nearest neighbours in all features, in the best, or in their principal components."""
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import SelectKBest
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    space = Space(
        {
            "scale": _SCALES,
            "reduce": Categorical(["none", "pca", "best"]),
            "components": Integer(1, 30),
            "whiten": Categorical([False, True]),
            "best": Integer(1, 60),
            "n": Integer(1, 40, log=True),
            "weights": Categorical(["uniform", "distance"]),
            "metric": Categorical(["minkowski", "cosine", "chebyshev"]),
            "p": Real(1.0, 4.0),
        }
    )

    def make(a: Values) -> Any:
        given = {"n_neighbors": a["n"], "weights": a["weights"], "metric": a["metric"]}
        if a["metric"] == "minkowski":
            given["p"] = a["p"]
        model = KNeighborsClassifier(**given)
        if a["reduce"] == "pca":
            return make_pipeline(PCA(a["components"], whiten=a["whiten"], random_state=0), model)
        return make_pipeline(SelectKBest(k=a["best"]), model) if a["reduce"] == "best" else model

    return _problem(space, make, ("digits", 150, instance))


def perceptron(instance: int) -> Problem:
    """A perceptron of one or two layers for a regression, trained by Adam."""
    from sklearn.neural_network import MLPRegressor

    space = Space(
        {
            "scale": _SCALES,
            "first": Integer(2, 24, log=True),
            "second": Integer(0, 12),
            "activation": Categorical(["relu", "tanh"]),
            "rate": Real(1e-3, 1.0, log=True),
            "alpha": Real(1e-5, 10.0, log=True),
            "batch": Integer(20, 80, log=True),
            "beta_1": Real(0.5, 0.99),
            "epochs": Integer(2, 8),
        }
    )

    def make(a: Values) -> Any:
        return MLPRegressor(
            hidden_layer_sizes=(a["first"], a["second"]) if a["second"] else (a["first"],),
            activation=a["activation"],
            solver="adam",
            learning_rate_init=a["rate"],
            alpha=a["alpha"],
            batch_size=a["batch"],
            beta_1=a["beta_1"],
            max_iter=a["epochs"],
            random_state=0,
        )

    return _problem(space, make, ("friedman", 120, instance), regression=True)


def svr(instance: int) -> Problem:
    """Support vector regression: scaling, kernel, and the variables of the kernel."""
    from sklearn.svm import SVR

    space = Space(
        {
            "scale": _SCALES,
            "kernel": Categorical(["linear", "rbf", "poly", "sigmoid"]),
            "C": Real(1e-3, 1e3, log=True),
            "epsilon": Real(1e-3, 3.0, log=True),
            "gamma": Real(1e-5, 1e1, log=True),
            "degree": Integer(2, 5),
            "coef0": Real(-1.0, 3.0),
            "shrinking": Categorical([False, True]),
        }
    )

    def make(a: Values) -> Any:
        kernel = a["kernel"]
        given: dict[str, Any] = {"kernel": kernel, "C": a["C"], "epsilon": a["epsilon"], "max_iter": 2000}
        if kernel != "linear":
            given["gamma"] = a["gamma"]
        if kernel == "poly":
            given["degree"] = a["degree"]
        if kernel in ("poly", "sigmoid"):
            given["coef0"] = a["coef0"]
        return SVR(shrinking=a["shrinking"], **given)

    return _problem(space, make, ("friedman", 150, instance), regression=True)


def classical(instance: int) -> Problem:
    """Discriminants, naive Bayes or centroids, on the best of the features."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
    from sklearn.feature_selection import SelectKBest
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import NearestCentroid
    from sklearn.pipeline import make_pipeline

    space = Space(
        {
            "scale": _SCALES,
            "k": Integer(1, 64),
            "model": Categorical(["linear", "quadratic", "bayes", "centroid"]),
            "solver": Categorical(["lsqr", "eigen"]),
            "shrinkage": Real(1e-3, 1.0),
            "quadratic_shrinkage": Real(1e-4, 1.0, log=True),
            "smoothing": Real(1e-10, 1.0, log=True),
            "threshold": Real(0.0, 2.0),
            "metric": Categorical(["euclidean", "manhattan"]),
        }
    )

    def classifier(a: Values) -> Any:
        if a["model"] == "linear":
            return LinearDiscriminantAnalysis(solver=a["solver"], shrinkage=a["shrinkage"])
        if a["model"] == "quadratic":
            return QuadraticDiscriminantAnalysis(solver="eigen", shrinkage=a["quadratic_shrinkage"])
        if a["model"] == "bayes":
            return GaussianNB(var_smoothing=a["smoothing"])
        near = a["metric"] == "euclidean"
        return NearestCentroid(metric=a["metric"], shrink_threshold=a["threshold"] if near else None)

    def make(a: Values) -> Any:
        return make_pipeline(SelectKBest(k=a["k"]), classifier(a))

    return _problem(space, make, ("digits", 150, instance))


def committee(instance: int) -> Problem:
    """A few small boosted trees, each fitted to the errors of those before it."""
    from sklearn.ensemble import AdaBoostClassifier
    from sklearn.tree import DecisionTreeClassifier

    space = Space(
        {
            "rate": Real(1e-2, 3.0, log=True),
            "rounds": Integer(2, 6),
            "depth": Integer(1, 8),
            "leaf": Integer(1, 30, log=True),
            "features": Real(0.1, 1.0),
            "criterion": Categorical(["gini", "entropy"]),
        }
    )

    def make(a: Values) -> Any:
        one = DecisionTreeClassifier(
            max_depth=a["depth"],
            min_samples_leaf=a["leaf"],
            max_features=a["features"],
            criterion=a["criterion"],
        )
        return AdaBoostClassifier(one, n_estimators=a["rounds"], learning_rate=a["rate"], random_state=0)

    return _problem(space, make, ("made", 200, instance), scaled=False)
