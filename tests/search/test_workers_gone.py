"""No worker of a loader outlives a search."""

import multiprocessing

import pytest
from problems import data, loader, searcher, stopping
from torch.utils.data import DataLoader


@pytest.mark.parametrize("at", [0, 9])
def test_workers_of_a_loader_are_gone_when_fit_returns_or_is_interrupted(at):
    search, others = searcher(loss=stopping(at)) if at else searcher(), set(multiprocessing.active_children())
    train = DataLoader(data(), 8, shuffle=True, num_workers=2)
    try:
        search.fit(train, loader(24), epochs=4, progress=False)
    except KeyboardInterrupt:
        assert at
    assert set(multiprocessing.active_children()) <= others
