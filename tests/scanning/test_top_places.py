"""What waits to be ranked does not grow with the corpus, whether anything in it is worth keeping or not."""

import numpy as np
import torch

from optigram.scanning.chunks import NARROW, Chunk, Queue
from optigram.scanning.plan import ScanSettings
from optigram.scanning.statistics import BINS, EDGES
from optigram.scanning.tally import _bin_of, _bins
from optigram.scanning.top_places import LISTS, Candidates, Entries

NONE = np.zeros(0, np.int64)


def chunk(document: int, chunks: int = 1, length: int = 2) -> Chunk:
    return Chunk(document, 0, chunks, 0, np.zeros(length, np.int64), np.ones(length, dtype=bool))


def entry(document: int) -> Entries:
    one = np.zeros(1, np.int64)
    return Entries(one, np.array([document], np.float32), one + document, one, one + document + 1)


def test_batches_without_candidates_leave_nothing_behind():
    candidates = Candidates(1, ScanSettings(top=3))
    for document in range(1000):
        candidates.add(Entries(NONE, NONE.astype(np.float32), NONE, NONE, NONE), [chunk(document)])
        candidates.add(Entries(NONE, NONE.astype(np.float32), NONE, NONE, NONE), [chunk(5000 + document, 2), chunk(5000 + document, 2)])
    assert not candidates.ready
    assert not candidates.open
    assert not candidates.missing


def test_few_candidates_a_batch_are_ranked_now_and_then():
    candidates = Candidates(1, ScanSettings(top=3))
    for document in range(1000):
        candidates.add(entry(document), [chunk(document)])
        assert len(candidates.ready) < LISTS
    candidates.settle()
    assert candidates.top_places.score[0].tolist() == [999, 998, 997]


def test_short_pieces_wait_for_no_more_than_those_of_32_tokens():
    queue = Queue(16384, 0)
    assert queue.rows(2) == queue.rows(NARROW) == 512
    full = [made for document in range(512) if (made := queue.put(chunk(document))) is not None]
    assert [len(chunks) for _, chunks in full] == [512]


def test_bins_are_those_of_a_search_among_the_edges():
    rng = np.random.default_rng(0)
    near = [np.nextafter(EDGES, np.float32(side)) for side in (-np.inf, np.inf)]
    drawn = np.float32(2.0) ** rng.uniform(-14, 14, 500).astype(np.float32)
    values = np.concatenate([EDGES, *near, drawn, -drawn, np.array([0, -0.0, np.inf, -np.inf, 1e-45, -1e-45, 3e38, -3e38], np.float32)])
    table, finite = torch.from_numpy(_bin_of()), np.isfinite(values)
    assert (_bins(torch.from_numpy(values[finite])[:, None], table, True)[:, 0].numpy() == np.searchsorted(EDGES, values[finite])).all()
    values = np.append(values, np.float32(np.nan))
    expected = np.where(np.isfinite(values), np.searchsorted(EDGES, values), BINS)
    assert (_bins(torch.from_numpy(values)[:, None], table, False)[:, 0].numpy() == expected).all()
