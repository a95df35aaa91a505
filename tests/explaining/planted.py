"""The units with known rules on which judges were set, from the benchmarks, under the names that the tests use."""

from benchmarks.quality.planted_labels import FIRST, PlantedUnits

UNITS, knowing, corpus, Planted = FIRST.units, FIRST.knowing, FIRST.corpus, PlantedUnits


def planted() -> PlantedUnits:
    """What `optigram verify planted:planted` opens."""
    return PlantedUnits()
