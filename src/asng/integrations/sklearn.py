"""scikit-learn estimators for tables, which search a multilayer perceptron and train the one found."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from asng.checks import integer_at_least, real_between
from asng.errors import InputError
from asng.nn import Supernet
from asng.search import OneShotSearch
from asng.supernets import TabularMLP
from asng.training import MakeOptimizer, adamw, recalibrate, supervised, train
from asng.training.data.random_state import seeded

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        f"asng.integrations.sklearn: expected the library scikit-learn, got: {error}. Install it: "
        "pip install 'asng[sklearn]'."
    ) from error

__all__ = ["ASNGClassifier", "ASNGRegressor"]

_FEW = 16
"""With fewer rows than this, all of them both train and score: a part would say next to nothing."""
_AT_ONCE = 4096
"""Rows predicted at a time, to limit memory."""


class _TabularSearch(BaseEstimator):
    """What both estimators share; each defines its outputs and its loss."""

    def __init__(
        self,
        *,
        epochs: int = 30,
        retrain_epochs: int = 30,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        validation_fraction: float = 0.25,
        final: float = 0.0,
        model: Callable[[int, int], nn.Module] | None = None,
        random_state: Any = None,
        device: str | None = None,
        verbose: bool = False,
    ) -> None:
        self.epochs = epochs
        self.retrain_epochs = retrain_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.final = final
        self.model = model
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _check(self) -> None:
        integer_at_least("epochs", self.epochs, 1)
        integer_at_least("retrain_epochs", self.retrain_epochs, 1)
        integer_at_least("batch_size", self.batch_size, 2)
        real_between("learning_rate", self.learning_rate, 0.0, np.inf, open_low=True)
        real_between("validation_fraction", self.validation_fraction, 0.0, 0.9, open_low=True)
        if self.model is not None and not callable(self.model):
            raise InputError(
                f"model: expected a function of the numbers of columns and outputs, got {self.model!r:.80}."
            )

    def _search(
        self,
        x: NDArray[np.float64],
        y: NDArray[Any],
        *,
        outputs: int,
        loss: Callable[..., torch.Tensor],
        classes: NDArray[Any] | None,
    ) -> None:
        """Search on a part of the rows, and train the found architecture on all of them.

        Args:
            x: Shape (rows, features).
            y: Class indices, shape (rows,), or targets, shape (rows, outputs).
            outputs: Number of outputs of the network.
            loss: Loss of output and target.
            classes: Classes by which to stratify the split; None for no stratification.
        """
        self._mean, spread = x.mean(axis=0), x.std(axis=0)
        self._spread = np.where(spread > 0.0, spread, 1.0)
        rows, targets = torch.from_numpy(self._scaled(x)), torch.from_numpy(y)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        device, criterion = torch.device(self.device or "cpu"), supervised(loss)
        fitted, held = self._split(len(x), classes, seed)
        with seeded(seed):
            supernet = self._supernet(x.shape[1], outputs, device)
            search = OneShotSearch(
                supernet, criterion, optimizer=self._optimizer(), final=self.final, seed=seed
            )
            result = search.fit(
                self._loader(rows[fitted], targets[fitted], seed),
                self._loader(rows[held], targets[held], seed),
                epochs=self.epochs,
                progress=self.verbose,
                check=self.model is not None,  # children of our own model are known to compute the same
            )
            anew = self._supernet(x.shape[1], outputs, device)
            example = rows[:2].to(device)
            child = anew.extract(result.architecture, example=example, fresh=True)
            loader = self._loader(rows, targets, seed)
            train(
                child,
                loader,
                loss=criterion,
                epochs=self.retrain_epochs,
                optimizer=self._optimizer(),
                title="found",
                progress=self.verbose,
            )
            recalibrate(child, loader, loss=criterion)
        self.architecture_, self.module_ = dict(result.architecture), child.cpu().eval()

    def _supernet(self, features: int, outputs: int, device: torch.device) -> Supernet:
        made = TabularMLP(features=features, outputs=outputs) if self.model is None else None
        return Supernet(made or self.model(features, outputs)).to(device)  # type: ignore[misc]

    def _optimizer(self) -> MakeOptimizer:
        return lambda parameters: adamw(parameters, learning_rate=self.learning_rate)

    def _split(
        self, count: int, classes: NDArray[Any] | None, seed: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows that train weights, and those that score architectures."""
        everything = np.arange(count)
        if count < _FEW:
            return everything, everything
        held = min(int(np.ceil(self.validation_fraction * count)), count - 2)  # a batch norm needs two rows
        if classes is not None:
            least = np.bincount(classes).min()
            if least < 2 or min(held, count - held) < len(np.unique(classes)):
                classes = None  # some class is in too few rows to be in both parts
        fitted, held_rows = train_test_split(everything, test_size=held, stratify=classes, random_state=seed)
        return fitted, held_rows

    def _loader(self, x: torch.Tensor, y: torch.Tensor, seed: int) -> DataLoader[Any]:
        # A batch norm needs two rows.
        alone = len(x) % self.batch_size == 1 and len(x) > self.batch_size
        generator = torch.Generator().manual_seed(seed)
        return DataLoader(
            TensorDataset(x, y), self.batch_size, shuffle=True, drop_last=alone, generator=generator
        )

    def _scaled(self, x: NDArray[np.float64]) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = ((x - self._mean) / self._spread).astype(np.float32)
        return scaled

    @torch.no_grad()
    def _outputs(self, X: Any) -> NDArray[np.float64]:
        """Return the outputs of the network, shape (rows, outputs)."""
        check_is_fitted(self)
        x = torch.from_numpy(self._scaled(validate_data(self, X, reset=False, dtype=np.float64)))
        # In double precision, so that the prediction for a row does not depend on the other rows.
        network = copy.deepcopy(self.module_).double()
        return torch.cat([network(part) for part in torch.split(x.double(), _AT_ONCE)]).numpy()


class ASNGClassifier(ClassifierMixin, _TabularSearch):
    """A classifier for tables: `fit` searches a network, then trains the one found from scratch.

    The network is an `asng.supernets.TabularMLP`: its width, depth, activation, norm and residuals are
    searched. Columns must be numeric, and are standardised; encode others before, for instance by
    scikit-learn's `OneHotEncoder` in a pipeline. Labels may be of any kind.

    Args:
        epochs: Epochs of the search, >= 1.
        retrain_epochs: Epochs of the training from scratch, on all rows, >= 1.
        batch_size: Rows per step, >= 2.
        learning_rate: Learning rate of AdamW, > 0.
        validation_fraction: Share of the rows on which architectures are scored, in (0, 0.9]. With fewer than
            16 rows, all of them are used.
        final: Share of the search's cost for training finalists alone, in [0, 0.9].
        model: Makes another searchable network from the numbers of columns and outputs.
        random_state: Seed, or `numpy.random.RandomState`. Default: another search each time.
        device: Where to search and train, for instance "cuda". Default: the CPU.
        verbose: Whether to show progress bars.

    Attributes:
        classes_: The labels, sorted.
        architecture_: The found architecture, from names to values.
        module_: The network, plain torch, on standardised columns; its outputs are logits.
        n_features_in_: Number of columns.
        feature_names_in_: Their names, if the table had names.

    Raises:
        InputError: In `fit`, if an argument is not as described.
        ValueError: In `fit` and predictions, from scikit-learn, if the table is not numeric.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> found = ASNGClassifier(epochs=4, retrain_epochs=8, random_state=0).fit(x[::2], y[::2])
        >>> found.score(x[1::2], y[1::2]) > 0.8
        True
    """

    def fit(self, X: Any, y: Any) -> "ASNGClassifier":
        """Search and train.

        Args:
            X: Table of shape (rows, columns), two rows at least.
            y: Labels, shape (rows,).
        """
        self._check()
        x, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        numbers = numbers.astype(np.int64)
        self._search(x, numbers, outputs=len(self.classes_), loss=functional.cross_entropy, classes=numbers)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probabilities of the classes, shape (rows, classes), each row summing to 1."""
        logits = self._outputs(X)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
        return shares

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest labels, shape (rows,)."""
        best = self._outputs(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels


class ASNGRegressor(RegressorMixin, _TabularSearch):
    """A regressor for tables: `fit` searches a network, then trains the one found from scratch.

    It works like `ASNGClassifier`. Targets are standardised for the training, and there may be several.

    Args:
        epochs: Epochs of the search, >= 1.
        retrain_epochs: Epochs of the training from scratch, on all rows, >= 1.
        batch_size: Rows per step, >= 2.
        learning_rate: Learning rate of AdamW, > 0.
        validation_fraction: Share of the rows on which architectures are scored, in (0, 0.9]. With fewer than
            16 rows, all of them are used.
        final: Share of the search's cost for training finalists alone, in [0, 0.9].
        model: Makes another searchable network from the numbers of columns and outputs.
        random_state: Seed, or `numpy.random.RandomState`. Default: another search each time.
        device: Where to search and train, for instance "cuda". Default: the CPU.
        verbose: Whether to show progress bars.

    Attributes:
        architecture_: The found architecture, from names to values.
        module_: The network, plain torch, from standardised columns to standardised targets.
        n_features_in_: Number of columns.
        feature_names_in_: Their names, if the table had names.

    Raises:
        InputError: In `fit`, if an argument is not as described.
        ValueError: In `fit` and predictions, from scikit-learn, if the table is not numeric.

    Example:
        >>> from sklearn.datasets import load_diabetes
        >>> x, y = load_diabetes(return_X_y=True)
        >>> found = ASNGRegressor(epochs=8, retrain_epochs=8, random_state=0).fit(x[::2], y[::2])
        >>> found.score(x[1::2], y[1::2]) > 0.2
        True
    """

    def __sklearn_tags__(self) -> Any:
        """Declare that there may be several targets."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> "ASNGRegressor":
        """Search and train.

        Args:
            X: Table of shape (rows, columns), two rows at least.
            y: Targets, shape (rows,) or (rows, targets).
        """
        self._check()
        x, y = validate_data(
            self, X, y, dtype=np.float64, ensure_min_samples=2, multi_output=True, y_numeric=True
        )
        targets = np.asarray(y, dtype=np.float64)
        self._flat = targets.ndim == 1
        targets = targets.reshape(len(targets), -1)
        self._target_mean, spread = targets.mean(axis=0), targets.std(axis=0)
        self._target_spread = np.where(spread > 0.0, spread, 1.0)
        scaled = ((targets - self._target_mean) / self._target_spread).astype(np.float32)
        self._search(x, scaled, outputs=scaled.shape[1], loss=functional.mse_loss, classes=None)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the predicted targets, shape (rows,) or (rows, targets) as in `fit`."""
        values: NDArray[np.float64] = self._outputs(X) * self._target_spread + self._target_mean
        return values.ravel() if self._flat else values
