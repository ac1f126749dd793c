"""Where the natural gradient begins after a model, and where it begins again."""

import numpy as np

from asng.distributions import Floats, Product, Theta
from asng.optim.model import Archive

__all__ = ["handed_over", "near"]


def handed_over(product: Product, archive: Archive) -> Theta:
    """Return where the natural gradient continues: around the best point, as wide as the best few."""
    first, gauss, family = product.initial(), product.gaussians, product.categoricals
    order = archive.order()
    few = order[: max(4, min(len(order) // 5, 20))]
    x, read = archive.x[few], archive.active[few]
    weights = np.log(len(few) + 0.5) - np.log(np.arange(1, len(few) + 1))
    p, mean, std = first
    if family.size:
        own = weights[:, None] * np.maximum(read[:, product.choice_columns], 1e-9)
        at = x[:, product.choice_columns].astype(np.intp) + family.starts
        hits = np.bincount(at.ravel(), weights=own.ravel(), minlength=len(p))
        share = hits / family.segments.spread(own.sum(axis=0))
        p = family.project(0.3 * first.p + 0.7 * share)
    if gauss.size:
        columns = product.ordered_columns
        own = weights[:, None] * np.maximum(read[:, columns], 1e-9)
        mean = x[0, columns]
        unit = np.ldexp(1.0, np.frexp(gauss.std_max)[1] - 1)  # an exact scale, so that squares stay finite
        squares = (own * (x[:, columns] / unit - mean / unit) ** 2).sum(axis=0) / own.sum(axis=0)
        least = np.maximum(0.02 * gauss.std_max, gauss.std_min(mean))
        std = np.clip(np.sqrt(squares) * unit, np.minimum(least, first.std), first.std)
    return Theta(p, mean, std)


def near(product: Product, best: Floats) -> Theta:
    """Return a distribution around a point, as wide as that of a search that begins to converge."""
    first, family, gauss = product.initial(), product.categoricals, product.gaussians
    p = first.p
    if family.size:
        sure = np.zeros(len(p))
        sure[best[product.choice_columns].astype(np.intp) + family.starts] = 1.0
        p = family.project(0.25 * first.p + 0.75 * sure)
    mean = best[product.ordered_columns]
    std = np.clip(0.2 * gauss.std_max, gauss.std_min(mean), gauss.std_max)
    return Theta(p, mean, std)
