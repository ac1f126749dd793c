"""The truth tables, and the searches that are measured by them."""

import random
from dataclasses import replace
from functools import partial

import pytest
import torch
from scipy.stats import spearmanr
from torch.utils.data import TensorDataset

import asng
from asng.training import batch_statistics
from benchmarks.truth.evolution import evolve
from benchmarks.truth.mixed import Alphas, mixed
from benchmarks.truth.problems import OWN, PROBLEMS, all_architectures, key_of, supernet_of
from benchmarks.truth.proposer import Posterior, proposed
from benchmarks.truth.reinforce import Reinforce
from benchmarks.truth.run import Run
from benchmarks.truth.searches import SEARCHES, likeliest
from benchmarks.truth.tables import Table, batches

SPACE = asng.Space({name: asng.Categorical(range(4)) for name in "abcd"})


def _wrong(network):
    return float(sum(value != 2 for value in network.values()))


def _few_images():
    draw = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(80, 1, 14, 14, generator=draw), torch.arange(80) % 10
    return inputs, labels, inputs, labels


FASHION = replace(PROBLEMS["fashion"], data=_few_images, batch=20, steps=40)


@pytest.mark.parametrize("name", OWN)
def test_the_table_has_every_network_of_the_space_under_every_seed(name):
    table, problem = Table.read(name), OWN[name]
    networks = all_architectures(supernet_of(problem).space)
    assert list(table.scores) == [key_of(network) for network in networks]
    assert {len(scores) for scores in table.scores.values()} == {2 if name.endswith("_long") else 4}


@pytest.mark.parametrize("name", OWN)
def test_networks_differ_by_twice_the_noise(name):
    noise = Table.read(name).noise()
    assert noise["sd_between_networks"] > 2 * noise["sd_of_noise_of_mean"]


@pytest.mark.parametrize("name", ["fashion", "osuleaf"])
def test_the_largest_choice_everywhere_is_not_the_best(name):
    table, space = Table.read(name), supernet_of(OWN[name]).space
    largest = {name: variable.choices[-1] for name, variable in space.items() if len(variable.choices) > 2}
    scores = [table[n] for n in all_architectures(space) if largest.items() <= dict(n).items()]
    assert max(scores) < table.best


def test_the_share_closed_is_0_at_the_median_and_1_at_the_best():
    table = Table({"a": (0.1, 0.3), "b": (0.4, 0.4), "c": (0.8, 0.8)})
    assert table.closed(0.4) == 0.0
    assert table.closed(0.8) == 1.0


@pytest.mark.parametrize("method", SEARCHES)
def test_a_search_finds_a_network_within_its_cost(method):
    run = Run(FASHION, seed=0, budget=FASHION.budget(2))
    found = SEARCHES[method](run)
    run.supernet.space.check(found.architecture)
    assert 0.5 * run.budget < found.cost <= run.budget


def test_a_gaussian_process_proposes_what_is_near_to_the_best():
    networks = all_architectures(SPACE)
    known = random.Random(0).sample(networks, 30)
    posterior = Posterior(known, [_wrong(network) for network in known])
    mean, std = posterior.of(networks)
    truth = [_wrong(network) for network in networks]
    assert spearmanr(mean, truth).statistic > 0.7
    assert std[networks.index(known[0])] < min(std[i] for i, n in enumerate(networks) if n not in known)
    assert _wrong(proposed(known[:8], networks, 40, _wrong)) == 0.0


def test_evolution_needs_fewer_evaluations_than_there_are_networks_and_repeats_none():
    asked = []

    def losses(networks):
        asked.extend(networks)
        return [_wrong(network) for network in networks]

    ranked = evolve(SPACE, losses, 150, random.Random(0))
    assert _wrong(ranked[0]) == 0.0
    assert [_wrong(network) for network in ranked] == sorted(_wrong(network) for network in ranked)
    assert len(set(asked)) == len(asked) == 150


def test_reinforce_finds_the_choices_that_lose_least():
    opt = Reinforce(SPACE, learning_rate=0.1, seed=0)
    for _ in range(300):
        candidates = opt.ask()
        opt.tell(candidates, [_wrong(candidate.architecture) for candidate in candidates])
    assert _wrong(opt.best) == 0.0


def test_a_mixed_supernet_of_one_certain_candidate_is_that_network():
    supernet = supernet_of(FASHION).eval()
    network = supernet.space.sample(random.Random(1))
    images = _few_images()[0]
    expected = supernet(images, architecture=network)
    for hard in (False, True):
        alphas = Alphas(supernet.space, hard=hard)
        with torch.no_grad():
            for (name, variable), logits in zip(supernet.space.items(), alphas.logits, strict=True):
                logits[variable.choices.index(network[name])] = 1e4
        alphas.draw()
        with mixed(supernet.model, alphas):
            torch.testing.assert_close(supernet.model(images), expected)
        assert likeliest(FASHION, supernet.space, alphas.logs()) == network
    torch.testing.assert_close(supernet(images, architecture=network), expected)


def test_scores_on_shared_weights_leave_the_averages_of_batch_norms_alone():
    run = Run(FASHION, seed=0, budget=60.0)
    before = {name: tensor.clone() for name, tensor in run.supernet.state_dict().items()}
    network = run.supernet.space.sample(run.rng)
    (loss,) = run.losses([network], run.valid_items())
    run.supernet.train()
    with batch_statistics(run.supernet), torch.no_grad():
        forward = partial(run.supernet, architecture=network)
        expected = torch.nn.functional.cross_entropy(forward(run.valid.tensors[0]), run.valid.tensors[1])
    assert loss == pytest.approx(float(expected))
    for name, tensor in run.supernet.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_batches_go_through_all_items_before_they_repeat_one():
    data = TensorDataset(torch.arange(6), torch.arange(6))
    items = [int(item) for inputs, _ in batches(data, 2, steps=6) for item in inputs]
    assert sorted(items[:6]) == sorted(items[6:]) == list(range(6))
