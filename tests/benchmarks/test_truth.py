"""The truth tables, and the searches that are measured by them."""

import math
import random
from dataclasses import replace
from functools import partial

import pytest
import torch
from scipy.stats import spearmanr
from torch.utils.data import TensorDataset

import asng
from asng.training import batch_statistics
from benchmarks.truth.distilled import FinalistsTaught
from benchmarks.truth.evolution import evolve
from benchmarks.truth.mixed import Alphas, mixed
from benchmarks.truth.paces import theta_paced
from benchmarks.truth.pilots import PILOTS
from benchmarks.truth.problems import OWN, PROBLEMS, all_architectures, key_of, supernet_of
from benchmarks.truth.proposer import Posterior, proposed
from benchmarks.truth.reinforce import Reinforce
from benchmarks.truth.run import Run
from benchmarks.truth.searches import SEARCHES, likeliest
from benchmarks.truth.tables import SEEDS, Table, batches
from benchmarks.truth.thetas import Averaged, Fair, Remembering
from benchmarks.truth.tied import tied
from benchmarks.truth.truth_pilots import beside, seconds_beside

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
    assert {len(scores) for scores in table.scores.values()} == {len(SEEDS)}


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


@pytest.mark.parametrize("pilot", PILOTS, ids=lambda pilot: pilot.names[0])
def test_a_pilot_finds_networks_within_its_cost(pilot):
    run = Run(FASHION, seed=0, budget=300.0)
    findings = pilot.search(run)
    assert len(findings) == len(pilot.names)
    for found in findings:
        run.supernet.space.check(found.architecture)
        assert 0.8 * run.budget < found.cost <= run.budget


def test_pilots_are_compared_seed_by_seed():
    table = Table({"a": (0.0,), "b": (0.5,), "c": (1.0,)})
    found = {"one": "bca", "other": "aab"}
    rows = [{"method": m, "seed": i, "found": key} for m in found for i, key in enumerate(found[m])]
    rows.append({"method": "one", "seed": 3, "found": "c"})  # the other has no such seed
    gains = beside(table, rows, "one", "other")
    assert gains == {"gain": 0.667, "error": 0.882, "better": 2, "worse": 1}


def test_seconds_are_compared_within_a_seed_and_a_commit():
    taken = {"one": [(0, "a", 6.0), (1, "a", 4.0), (2, "b", 9.0)], "other": [(0, "a", 2.0), (1, "b", 1.0)]}
    rows = [
        {"method": method, "seed": seed, "commit": commit, "cpu_seconds": seconds}
        for method, some in taken.items()
        for seed, commit, seconds in some
    ]
    assert seconds_beside(rows, "one", "other") == {"seconds_ratio": 3.0}
    assert seconds_beside(rows[2:], "one", "other") == {}


@pytest.mark.parametrize(
    ("pace", "expected"),
    [({}, 6), ({"of_steps": 2}, 3), ({"moves": 2}, 12), ({"moves": 2, "of_steps": 4}, 4)],
    ids=str,
)
def test_theta_moves_as_often_as_it_is_told(pace, expected):
    run = Run(FASHION, seed=0, budget=60.0)
    theta = asng.ASNG(run.supernet.space, lam=2, reuse=False)
    with theta_paced(**pace):
        run.fit(8, warmup=0.25, architecture_optimizer=theta, final=0.0)
    assert theta.generation == expected


def test_theta_is_averaged_after_the_last_update_and_not_before():
    plain, averaged = asng.ASNG(SPACE, lam=2, reuse=False), Averaged(SPACE, moves=4, seed=0)
    seen = []
    for _ in range(4):
        drawn, same = plain.ask(), averaged.ask()
        assert [c.architecture for c in same] == [c.architecture for c in drawn]
        losses = [_wrong(candidate.architecture) for candidate in drawn]
        plain.tell(drawn, losses)
        averaged.tell(same, losses)
        seen.append(plain.theta["a"])
    assert averaged.unaveraged == plain.best
    assert averaged.theta["a"] == pytest.approx((seen[2] + seen[3]) / 2)


def test_fair_paths_give_every_candidate_its_turn_in_every_deck():
    fair = Fair(SPACE, seed=0)
    for _ in range(3):
        deck = [fair.ask(1)[0].architecture for _ in range(4)]
        for name in SPACE:
            assert sorted(network[name] for network in deck) == [0, 1, 2, 3]


def test_former_losses_count_the_less_the_older_they_are():
    theta = Remembering(SPACE, seed=0, updates=2, fading=0.5)
    for _ in range(3):
        drawn = theta.ask()
        theta.tell(drawn, [_wrong(candidate.architecture) for candidate in drawn])
    older, newer = theta._former
    faded = theta._faded()
    assert len(faded.losses) == 4
    assert faded.losses.reshape(2, 2).sum(axis=1) == pytest.approx(0.0)
    expected = [*(older.density + 2 * math.log(2)), *(newer.density + math.log(2))]
    assert faded.density == pytest.approx(expected)


def test_remembering_finds_the_choices_that_lose_least():
    theta = Remembering(SPACE, seed=0)
    for _ in range(150):
        drawn = theta.ask()
        theta.tell(drawn, [_wrong(candidate.architecture) for candidate in drawn])
    assert _wrong(theta.best) == 0.0


def test_positions_are_tied_from_the_first_pass_on_until_the_first_weights_come_back():
    model = tied(FASHION.model())
    supernet = asng.nn.Supernet(model)
    first = {name: value.clone() for name, value in supernet.state_dict().items()}
    network = dict.fromkeys(supernet.space, "conv3")
    supernet(_few_images()[0], architecture=network).sum().backward()
    assert model.edge1.candidates["conv3"][0].weight.grad is not None
    assert all(p.grad is None for p in model.edge4.candidates["conv3"].parameters())
    supernet.load_state_dict(first)
    supernet(_few_images()[0], architecture=network).sum().backward()
    assert model.edge4.candidates["conv3"].own[0].weight.grad is not None


def test_finalists_learn_from_the_networks_of_the_search_and_those_from_labels_alone():
    run = Run(FASHION, seed=0, budget=300.0)
    network = run.supernet.space.sample(run.rng)
    forward, batch = partial(run.supernet, architecture=network), (_few_images()[0], _few_images()[1])
    taught = FinalistsTaught(run.supernet, steps=1, teachers=1)
    with batch_statistics(run.supernet):
        alone = taught(forward, batch)
        said = torch.softmax(forward(batch[0]), dim=1)
        expected = 0.5 * alone + 0.5 * torch.nn.functional.cross_entropy(forward(batch[0]), said)
        torch.testing.assert_close(taught(forward, batch), expected)


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
