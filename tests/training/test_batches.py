"""Streams of batches, and what is done to a batch."""

import math
from collections import OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pytest
import torch
from problems import data, loader
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from torch.utils.data import DataLoader, IterableDataset

from asng.errors import InputError, RunError
from asng.training.data.nested import batch_size_of, expected_items, items_of, tensors_in, to_device
from asng.training.data.stream import BatchStream


def _take(stream, n):
    return [stream.next()[0] for _ in range(n)]


def _equal(left, right):
    return len(left) == len(right) and all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("kind", ["plain", "own generator", "batch sampler", "own generator within"])
@pytest.mark.parametrize("taken", [0, 1, 5, 6, 7, 12, 13])
def test_a_stream_goes_on_with_the_same_batches(kind, taken):
    torch.manual_seed(0)
    stream = BatchStream(loader(kind=kind), "train")
    _take(stream, taken)
    state, default = stream.state_dict(), torch.get_rng_state()
    rest, draw = _take(stream, 15), torch.rand(1)

    torch.manual_seed(99)
    again = BatchStream(loader(kind=kind), "train")
    again.load_state_dict(state)
    torch.set_rng_state(default)
    assert _equal(_take(again, 15), rest)
    assert torch.equal(torch.rand(1), draw)  # no draw more, none less


def test_a_stream_goes_on_with_workers():
    def make():
        return BatchStream(DataLoader(data(), 8, shuffle=True, num_workers=1), "train")

    torch.manual_seed(0)
    stream = make()
    _take(stream, 4)
    state, default = stream.state_dict(), torch.get_rng_state()
    rest = _take(stream, 4)
    again = make()
    again.load_state_dict(state)
    torch.set_rng_state(default)
    assert _equal(_take(again, 4), rest)


def test_loading_leaves_the_default_generator_alone():
    stream = BatchStream(loader(), "train")
    _take(stream, 3)
    state = stream.state_dict()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    stream.load_state_dict(state)
    assert torch.equal(torch.get_rng_state(), before)


def test_each_pass_holds_every_item_once():
    stream = BatchStream(loader(), "train")
    for _ in range(3):
        seen = torch.cat(_take(stream, len(stream)))
        assert _equal(list(seen.sum(dim=1).sort().values), list(data().tensors[0].sum(dim=1).sort().values))


def test_a_list_of_batches_will_do():
    stream = BatchStream([(torch.zeros(1),), (torch.ones(1),)], "train")
    assert [float(x) for x in _take(stream, 5)] == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("kind", ["plain", "own generator", "batch sampler", "own generator within"])
def test_the_first_batch_is_given_again_without_a_trace(kind):
    torch.manual_seed(0)
    stream, twin = BatchStream(loader(kind=kind), "train"), BatchStream(loader(kind=kind), "train")
    start = torch.get_rng_state()
    firsts = [stream.first()[0]]
    batches = _take(stream, 8)
    firsts.append(stream.first()[0])
    batches += _take(stream, 8)
    torch.set_rng_state(start)
    assert _equal(batches, _take(twin, 16))
    assert _equal(firsts, [batches[0]] * 2)


def test_the_first_batch_of_a_run_is_known_to_its_second_part():
    torch.manual_seed(0)
    stream = BatchStream(loader(kind="own generator"), "train")
    first = stream.first()[0]
    _take(stream, 7)
    other = loader(kind="own generator")
    other.generator.manual_seed(99)
    again = BatchStream(other, "train")
    again.load_state_dict(stream.state_dict())
    assert torch.equal(again.first()[0], first)


class _Endless(IterableDataset):
    def __iter__(self):
        yield from range(3)


class _Boastful(_Endless):
    def __len__(self):
        return 5


@pytest.mark.parametrize("endless", [DataLoader(_Endless()), iter([1])])
def test_a_loader_without_length_is_refused(endless):
    with pytest.raises(InputError, match="train: expected a loader with a length"):
        BatchStream(endless, "train")


def test_an_empty_loader_is_refused():
    with pytest.raises(InputError, match=r"train: expected at least one batch, got none\. Give more data"):
        BatchStream(DataLoader(data(4), 8, drop_last=True), "train")


def test_a_loader_shorter_than_its_length_is_named():
    stream = BatchStream(DataLoader(_Boastful(), batch_size=None), "train")
    for _ in range(3):
        stream.next()
    with pytest.raises(InputError, match="train: expected 5 batches a pass, as its length says, got 3"):
        stream.next()


def test_a_loader_without_its_first_batch_is_named():
    class Empty(_Boastful):
        def __iter__(self):
            yield from ()

    stream = BatchStream(DataLoader(Empty(), batch_size=None), "train")
    with pytest.raises(InputError, match="train: expected 5 batches a pass, as its length says, got 0"):
        stream.first()


def test_a_state_of_another_loader_is_refused():
    state = BatchStream(loader(), "train").state_dict()
    with pytest.raises(RunError, match="train: expected the loader of the checkpoint, 6 batches"):
        BatchStream(loader(24), "train").load_state_dict(state)


Pair = namedtuple("Pair", "x y")


@dataclass(frozen=True)
class Record:
    x: torch.Tensor
    y: torch.Tensor


class Graph:
    """A batch of graphs, as libraries for them have it: nodes of all in one tensor."""

    def __init__(self, num_graphs, x):
        self.num_graphs, self.x = num_graphs, x

    def to(self, device):
        return Graph(self.num_graphs, self.x.to(device))

    def to_dict(self):
        return {"x": self.x}


def test_batches_of_all_shapes_go_to_the_device():
    meta, x = torch.device("meta"), torch.ones(2)
    moved = to_device({"a": [x, (x, "text")], "b": Pair(x, 3)}, meta)
    assert moved["a"][0].device == moved["a"][1][0].device == moved["b"].x.device == meta
    assert (moved["a"][1][1], moved["b"].y, type(moved["b"])) == ("text", 3, Pair)
    packed = to_device(pack_sequence([x, x]), torch.device("cpu"))
    assert isinstance(packed, PackedSequence)


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        (torch.ones(4, 2), 4),
        (torch.tensor(1.0), 1),
        ({"names": ["a", "b", "c"], "x": torch.ones(3)}, 3),
        ((["a"], [7, torch.ones(5)]), 5),
        (["a", "b"], 2),
        (UserDict(ids=torch.ones(6, 9), mask=torch.ones(6, 9)), 6),
        (([torch.ones(3, 8, 8)] * 5, [{"boxes": torch.ones(n, 4)} for n in range(5)]), 5),
        ({"images": [torch.ones(3, 8, 8)] * 2, "targets": [{"boxes": torch.ones(4)}] * 2}, 2),
        ([(torch.ones(3, 8, 8), 1), (torch.ones(3, 8, 8), 0)], 2),
        ([{"x": torch.ones(7)}] * 4, 4),
        (([torch.ones(6, 2), torch.ones(6, 5)], torch.ones(6)), 6),
        (Record(torch.ones(4, 2), torch.ones(4)), 4),
        (Graph(3, torch.ones(17, 2)), 3),
        ((Graph(3, torch.ones(17, 2)), torch.ones(3)), 3),
        (np.ones((8, 2)), 8),
        ([torch.ones(4, 2), torch.ones(4)], 4),
        ([torch.ones(4), torch.ones(2), torch.ones(7)], 3),
        (([torch.ones(4), torch.ones(2)], torch.ones(2)), 2),
        ((torch.ones(4), torch.ones(9)), 4),
        (pack_sequence([torch.ones(4), torch.ones(2), torch.ones(1)]), 3),
        ({"packed": pack_sequence([torch.ones(4), torch.ones(2)])}, 2),
        ([torch.tensor(1.0), torch.tensor(2.0)], 2),
        ("text", 1),
        ([], 1),
    ],
)
def test_the_size_of_a_batch_is_how_many_items_it_holds(batch, size):
    assert batch_size_of(batch) == size


@pytest.mark.parametrize(
    ("batch", "expected", "size"),
    [
        ([torch.ones(3, 8, 8)] * 5, 5, 5),  # of images alone
        ([torch.ones(3, 8, 8)] * 5, 3, 3),  # inputs and targets of three
        ((torch.ones(9, 4, 2), torch.ones(4)), 4, 4),  # sequences along the first dimension
        ({"weights": torch.ones(10), "x": torch.ones(4, 2)}, 4, 4),
        ([(torch.ones(4), torch.ones(1))] * 3, 3, 3),
        (torch.ones(7, 2), 8, 7),  # a broken item was left out
    ],
)
def test_what_the_loader_was_to_give_decides_between_readings(batch, expected, size):
    assert batch_size_of(batch, expected) == size


def test_a_loader_says_how_many_items_its_last_batch_has():
    assert [expected_items(loader(20), number) for number in (0, 1, 2)] == [8, 8, 4]
    assert expected_items(DataLoader(_Endless(), batch_size=2), 0) is None
    stream = BatchStream(DataLoader(torch.arange(5), 2), "valid")
    assert [len(stream.next()) == stream.expected() for _ in range(6)] == [True] * 6


@pytest.mark.parametrize("count", [-1, math.nan, "many", None, True])
def test_a_count_of_ones_own_that_is_none_is_refused(count):
    with pytest.raises(InputError, match=r"items: expected how many items a batch has, a number >= 0"):
        items_of(torch.ones(3), 3, lambda batch: count)


@pytest.mark.parametrize("count", [7, 2.5, 0, torch.tensor(4), np.int64(3)])
def test_a_count_of_ones_own_goes_before_all_else(count):
    assert items_of(torch.ones(3), 3, lambda batch: count) == count


def test_mappings_and_records_keep_their_kind_on_the_device():
    meta, x = torch.device("meta"), torch.ones(2)
    batches = [UserDict(x=x), OrderedDict(x=x), defaultdict(list, x=x), MappingProxyType({"x": x})]
    for batch in batches:
        moved = to_device(batch, meta)
        assert moved["x"].device == meta
        assert batch["x"].device.type == "cpu"
        assert type(moved) is (dict if type(batch) is MappingProxyType else type(batch))
    record = to_device(Record(x, x), meta)
    assert (type(record), record.y.device) == (Record, meta)
    assert len(list(tensors_in([UserDict(x=x), record, Graph(1, x)]))) == 4


@pytest.mark.parametrize("kind", ["plain", "own generator", "own generator within"])
@pytest.mark.parametrize("taken", [0, 3])
def test_a_few_items_are_the_same_each_time_and_change_no_draw(kind, taken):
    torch.manual_seed(0)
    stream = BatchStream(loader(kind=kind), "train")
    _take(stream, taken)
    few, again = stream.few(4), stream.few(4)
    rest, draw = _take(stream, 9), torch.rand(1)
    assert torch.equal(few[0], again[0])
    assert {tuple(row) for row in few[0].tolist()} <= {tuple(row) for row in data().tensors[0].tolist()}
    assert len(few[0]) == len(few[1]) == 4

    torch.manual_seed(0)
    other = BatchStream(loader(kind=kind), "train")
    _take(other, taken)
    assert _equal(rest, _take(other, 9))
    assert torch.equal(draw, torch.rand(1))


def test_no_few_items_are_made_where_a_batch_is_as_small_or_data_come_one_by_one():
    class Endless(IterableDataset):
        def __iter__(self):
            return iter(torch.arange(16))

        def __len__(self):
            return 16

    assert BatchStream(loader(), "train").few(8) is None
    assert BatchStream(loader(kind="batch sampler"), "train").few(4) is None
    assert BatchStream(DataLoader(Endless(), batch_size=8), "train").few(4) is None
