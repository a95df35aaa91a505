"""What checks annotations under pytest: beartype, with an int accepted where a float is (PEP 484)."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
