"""A batch of any size gives the bits of a full block, and runs no more texts than it must."""

import pytest
import torch

from optigram.models import products
from optigram.models.products import product, rows_times, times_transposed, transposed
from optigram.models.trials import Trials
from optigram.objective.blocks import HARD, SIZES, SOFT, Blocks

MATRIX = torch.randn(300, 40, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=[1, 2])
def threads(request):
    """Products are computed in so many threads, which share the rows."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def rows(count: int) -> torch.Tensor:
    return torch.randn(SOFT, 300, generator=torch.Generator().manual_seed(2))[:count]


@pytest.mark.parametrize("count", [1, 2, 5, 11, 31])
@pytest.mark.usefixtures("threads")
def test_a_row_of_a_product_is_the_same_in_any_company(count):
    whole = rows_times(rows(SOFT), MATRIX)
    torch.testing.assert_close(whole, rows(SOFT) @ MATRIX)
    assert torch.equal(rows_times(rows(count), MATRIX), whole[:count])
    assert torch.equal(rows_times(rows(SOFT)[-count:], MATRIX), whole[-count:])


@pytest.mark.parametrize("count", [1, 5, 15, 16, 31])
@pytest.mark.usefixtures("threads")
def test_a_row_of_a_product_with_a_transposed_matrix_is_the_same_in_any_company(count):
    turned = MATRIX.T.contiguous()
    whole = times_transposed(rows(SOFT), turned)
    torch.testing.assert_close(whole, rows(SOFT) @ MATRIX)
    assert torch.equal(times_transposed(rows(count), turned), whole[:count])
    assert torch.equal(times_transposed(rows(SOFT)[-count:], turned), whole[-count:])


@pytest.mark.usefixtures("threads")
def test_few_rows_are_not_filled_up_to_a_full_block_where_the_library_gives_them_the_same_bits(monkeypatch):
    many = rows(SOFT)[:, : products.TERMS].repeat(8, 1)
    matrix = torch.randn(products.TERMS, 40, generator=torch.Generator().manual_seed(3))
    if all(torch.equal(many[:count] @ matrix, (many @ matrix)[:count]) for count in range(products.FEWEST[-1], len(many))):
        monkeypatch.setattr(products, "in_blocks", None)  # it fills up
    assert torch.equal(rows_times(many[:4], matrix), rows_times(many, matrix)[:4])


def test_a_product_has_the_gradient_of_autograd():
    given, slope = rows(3).requires_grad_(), torch.randn(3, 40, generator=torch.Generator().manual_seed(3))
    (found,) = torch.autograd.grad(product(given, MATRIX), given, slope)
    torch.testing.assert_close(found, slope @ MATRIX.T)


def test_a_transposed_matrix_follows_changes_in_place():
    matrix = MATRIX.clone()
    first = transposed(matrix)
    assert transposed(matrix) is first
    matrix[0, 0] += 1
    assert torch.equal(transposed(matrix), matrix.T)


class Counted:
    """A function of rows that rounds otherwise below `fewest` rows; it remembers how many rows it was given."""

    def __init__(self, fewest: int):
        self.fewest, self.given = fewest, []

    def __call__(self, given: torch.Tensor) -> torch.Tensor:
        self.given.append(len(given))
        return given.sum(-1) * (1 + 1e-6 * (len(given) < self.fewest))


@pytest.mark.parametrize(("fewest", "size"), [(1, 3), (4, 4), (9, 12), (HARD, HARD)])
def test_few_rows_are_filled_up_no_further_than_they_must(fewest, size):
    blocks, run = Blocks(), Counted(fewest)
    expected = blocks.run("sum", Counted(0), rows(3))
    assert torch.equal(blocks.run("other", run, rows(3)), expected)
    run.given.clear()
    assert torch.equal(blocks.run("other", run, rows(3)), expected)  # tried once
    assert run.given == [size]
    assert size in (3, HARD, *SIZES)


def test_further_numbers_of_rows_are_compared_to_the_same_full_block():
    blocks, run = Blocks(), Counted(4)
    whole = run(rows(SOFT))
    run.given.clear()
    for count in (3, 2, 5, 3):
        assert torch.equal(blocks.run("sum", run, rows(count)), whole[:count])
    assert run.given.count(HARD) == 1
    assert run.given[-1] == 4


def test_another_process_need_not_try_again(tmp_path):
    told, run = tmp_path / "told", Counted(9)
    for _ in range(2):
        trials = Trials()
        trials.keep_in(told)
        run.given.clear()
        found = Blocks(trials=trials).run("sum", run, rows(3))
    assert run.given == [3, 12]
    assert torch.equal(found, Counted(0)(rows(3)))
    told.write_text(told.read_text().replace(": 12}", ": 7}"))
    trials = Trials()
    trials.keep_in(told)
    assert torch.equal(Blocks(trials=trials).run("sum", run, rows(3)), found), "what cannot be right is tried again"


def test_many_rows_run_in_full_blocks_and_a_rest():
    blocks, run = Blocks(), Counted(1)
    given = torch.randn(HARD + 5, 7)
    assert torch.equal(blocks.run("sum", run, given), given.sum(-1))
    run.given.clear()
    blocks.run("sum", run, given)
    assert run.given == [HARD, 5]
