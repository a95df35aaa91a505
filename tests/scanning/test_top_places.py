"""What waits to be ranked does not grow with the corpus, whether anything in it is worth keeping or not."""

import numpy as np

from optigram.scanning.chunks import NARROW, Piece, Queue
from optigram.scanning.plan import Settings
from optigram.scanning.top_places import LISTS, Entries, Rivals

NONE = np.zeros(0, np.int64)


def piece(document: int, pieces: int = 1, length: int = 2) -> Piece:
    return Piece(document, 0, pieces, 0, np.zeros(length, np.int64), np.ones(length, dtype=bool))


def entry(document: int) -> Entries:
    one = np.zeros(1, np.int64)
    return Entries(one, np.array([document], np.float32), one + document, one, one + document + 1)


def test_batches_without_candidates_leave_nothing_behind():
    rivals = Rivals(1, Settings(top=3))
    for document in range(1000):
        rivals.add(Entries(NONE, NONE.astype(np.float32), NONE, NONE, NONE), [piece(document)])
        rivals.add(Entries(NONE, NONE.astype(np.float32), NONE, NONE, NONE), [piece(5000 + document, 2), piece(5000 + document, 2)])
    assert not rivals.ready
    assert not rivals.open
    assert not rivals.missing


def test_few_candidates_a_batch_are_ranked_now_and_then():
    rivals = Rivals(1, Settings(top=3))
    for document in range(1000):
        rivals.add(entry(document), [piece(document)])
        assert len(rivals.ready) < LISTS
    rivals.settle()
    assert rivals.leaders.score[0].tolist() == [999, 998, 997]


def test_short_pieces_wait_for_no_more_than_those_of_32_tokens():
    queue = Queue(16384, 0)
    assert queue.rows(2) == queue.rows(NARROW) == 512
    full = [made for document in range(512) if (made := queue.put(piece(document))) is not None]
    assert [len(pieces) for _, pieces in full] == [512]
