"""The channels of the chosen network, by bisection."""

from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asng.errors import InputError
from asng.nn import Supernet
from asng.supernets import EnasCellNetwork
from asng.tasks.classification.channels import channels_within, greatest_within, largest_architecture
from asng.training import count_parameters


def _build(cells, nodes=2):
    def build(channels):
        return EnasCellNetwork(
            in_channels=3,
            classes=10,
            image_size=32,
            cells=cells,
            nodes=nodes,
            channels=channels,
            retraining=True,
        )

    return build


def _count(build, channels, architecture):
    return count_parameters(Supernet(build(channels)).extract(architecture))


@given(a=st.integers(0, 50), b=st.integers(1, 500), c=st.integers(0, 1000), bound=st.integers(1, 10**7))
def test_the_result_is_within_and_the_next_is_not(a, b, c, bound):
    def parameters(n):
        return a * n * n + b * n + c

    if parameters(1) > bound:
        with pytest.raises(InputError, match="max_parameters: expected room for a network of one channel"):
            greatest_within(parameters, bound)
    else:
        found = greatest_within(parameters, bound)
        assert parameters(found) <= bound < parameters(found + 1)


@given(bounds=st.tuples(st.integers(10, 10**6), st.integers(10, 10**6)))
def test_more_room_never_gives_fewer_channels(bounds):
    low, high = (greatest_within(lambda n: 9 * n * n + n, bound) for bound in sorted(bounds))
    assert low <= high


def test_the_extracted_network_is_within_and_one_channel_more_is_not():
    build = _build(cells=5)
    a = Supernet(build(1)).space.sample(Random(0))
    channels = channels_within(a, 60_000, build=build)
    assert _count(build, channels, a) <= 60_000 < _count(build, channels + 1, a)


def test_the_count_increases_with_the_channels():
    build = _build(cells=3)
    a = Supernet(build(1)).space.sample(Random(0))
    counts = [_count(build, channels, a) for channels in range(1, 6)]
    assert counts == sorted(set(counts))


def test_no_number_is_drawn():
    build = _build(cells=3)
    a = Supernet(build(1)).space.sample(Random(0))
    before = torch.get_rng_state()
    channels_within(a, 50_000, build=build)
    assert torch.equal(torch.get_rng_state(), before)


def test_too_small_a_bound_says_what_one_channel_has():
    build = _build(cells=3)
    a = Supernet(build(1)).space.sample(Random(0))
    least = _count(build, 1, a)
    with pytest.raises(InputError, match=rf"one channel, {least:,} weights, got {least - 1:,}\. Raise it"):
        channels_within(a, least - 1, build=build)
    assert channels_within(a, least, build=build) == 1


@pytest.mark.slow
def test_the_network_of_the_paper_has_almost_4_million_weights():
    build = _build(cells=20, nodes=5)
    a = Supernet(build(1)).space.sample(Random(0))
    channels = channels_within(a, 4_000_000, build=build)
    assert _count(build, channels, a) <= 4_000_000 < _count(build, channels + 1, a)
    assert channels > 30


def test_no_architecture_has_more_weights_than_the_largest():
    supernet = Supernet(_build(cells=3)(2))
    most = count_parameters(supernet.extract(largest_architecture(supernet.space)))
    for seed in range(12):
        assert count_parameters(supernet.extract(supernet.space.sample(Random(seed)))) <= most
