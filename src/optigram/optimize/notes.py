"""Names of notes that go with the best text of a search."""

SOFT = "soft"  # a method's: the activation of the soft text that the discrete text was made of
ENDS = ("soft_at_end", "hard_at_end")  # the search's: the best soft text at its end, and the discrete text that this becomes
