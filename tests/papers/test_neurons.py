import pytest

from optigram.papers.poerner2018.recipe import _drawn, _sampled

# The sets that the authors' rule gives, as an independent run of their code printed them.
FIRST = """
7 20 23 73 77 81 92 94 95 107 132 139 171 193 228 232 236 237 238 239 248 259 274 275 280 300 310 315 319 338 350 377 395 405
415 452 472 513 514 522 539 552 567 590 603 643 649 681 688 698 708 711 722 731 734 737 750 761 768 776 790 833 841 844 863
871 874 887 892 896 913 924 938 960 971 973 976 982 994 1006
"""
SECOND = """
0 9 10 21 22 33 55 82 90 101 118 124 126 129 140 149 174 187 196 206 215 216 225 255 260 265 284 286 292 305 308 313 314 332
334 336 354 360 367 375 394 434 441 444 478 479 484 490 492 608 618 620 631 638 642 657 664 713 754 767 769 810 818 838 839
849 851 856 872 876 893 908 916 920 926 951 957 962 1007 1010
"""
FIRST, SECOND = ([int(index) for index in text.split()] for text in (FIRST, SECOND))


def test_the_rule_gives_the_authors_two_sets():
    assert _drawn() == FIRST
    assert _drawn(without=FIRST) == SECOND


@pytest.mark.parametrize("width", [1024, 4096, 27_409])
def test_both_layers_of_the_paper_have_the_same_160(width):
    assert _sampled(width) == sorted(FIRST + SECOND)


def test_special_ids_are_left_out_and_the_others_stay():
    assert _sampled(27_409, {0, 1, 2}) == sorted({*FIRST, *SECOND} - {0})


@pytest.mark.parametrize("width", [1, 80, 160])
def test_a_small_layer_is_taken_whole(width):
    assert _sampled(width, {0}) == list(range(1, width))


@pytest.mark.parametrize("width", [161, 500])
def test_between_the_rule_draws_160_of_what_there_is(width):
    found = _sampled(width)
    assert len(set(found)) == 160
    assert found == sorted(found)
    assert found[-1] < width


def test_more_than_there_are_cannot_be_drawn():
    with pytest.raises(ValueError, match="at least 5"):
        _drawn(below=5, count=5, without=[4])
