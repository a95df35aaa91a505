"""What `optigram demo` runs: the paper's methods on a few neurons of each path, for a table like its Table 1."""

METHODS = ("crp", "emb", "logit", "smx", "gbl")
TARGETS = ("language:umbrella", "language:tongue", "language:tracks", "visual:pizza", "visual:dog", "visual:umbrella")
BUDGET = 5000
ABOUT = f"""Each row is the best 5-gram that a method found for a neuron of the bundled Imaginet, judged by the model itself.
A language neuron is the score of a next word, a visual neuron that of an object in the scene. crp searched every 5-gram
of sentences that the model wrote; emb, logit, smx and gbl climbed from random starts, {BUDGET:,} forward-equivalents (f.e.)
a neuron each. As in Poerner et al. 2018, gumbel softmax finds what no sentence said; the others fall short of the corpus."""
