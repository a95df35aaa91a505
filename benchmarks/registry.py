"""The registry: every case with what it measures, its defaults, its units, and the rows and columns of its table."""

from dataclasses import replace

from benchmarks.case import Case, metrics
from benchmarks.open import scoring
from benchmarks.peers import run as peers
from benchmarks.quality import (
    ablations,
    fluent,
    front,
    labels,
    neurons,
    optimum,
    planted,
    planted_labels,
    search,
    second_model,
    slopes,
    woken,
)
from benchmarks.setup import Searches, Settings, by_budget, by_method, by_site
from benchmarks.speed import corpora, devices, loading, merging, passes, scans, steps, vocabulary
from optigram.errors import InputError, nearest

COST = (
    "seconds*: seconds per neuron .1f; spent*: f.e. per neuron ,.0f; "
    "corpus_search*: f.e. of the corpus search, once for all neurons ,.0f; total*: f.e. in all, for one neuron ,.0f"
)
SMALL_SCAN = Settings(model="small-gpt2", sites=("mlp_act.1", "mlp_act.3", "mlp_act.5"), sentences=1000)

API = (
    Case(
        "api/time_to_first",
        "seconds until `find` returns its first text: by two calls in a process, in another with what the first one kept, and as a command",
        lambda settings: settings,
        steps.time_to_first,
        metrics("wall: wall seconds .2f; processor: processor seconds .2f"),
        Settings(sites=("visual:pizza",), by=("auto",), targets=1),
        by_method,
    ),
)
SPEED = (
    Case(
        "speed/gumbel_step",
        "a gumbel step and its noise, to the step's two large products alone",
        steps.one_model,
        steps.gumbel_step,
        metrics("ratio: ratio .2f"),
        Settings(targets=160),
    ),
    Case(
        "speed/few_words",
        "a step of the authors' gbl sure of its words, computed for the few words with weight, to one computed for all",
        steps.one_model,
        steps.few_words,
        metrics("ratio: ratio .2f; seconds: processor seconds .3f"),
        Settings(targets=1),
    ),
    Case(
        "speed/single_neuron",
        "a search for one neuron alone, to the same search as one of a batch",
        steps.one_model,
        steps.single_neuron,
        metrics(
            "alone: processor seconds alone .2f; in_batch: in the batch .2f; ratio: ratio .2f; neurons*: neurons of the batch .0f", COST
        ),
        Settings(targets=64, by=("coordinate", "gbl", "gcg"), sites=("visual",), budgets=(1000,)),
        by_method,
        rows=("method",),
    ),
    Case(
        "speed/bare_mix",
        "a search of a batch of neurons, to the forwards and backwards of the model alone that it is charged for",
        steps.one_model,
        steps.bare_mix,
        metrics("seconds: processor seconds .1f; bare: of the model alone .1f; ratio: ratio .2f"),
        Settings(model="minilm", targets=16, by=("coordinate", "gcg"), sites=("mlp_act.2",), budgets=(1000,)),
        by_method,
        rows=("method",),
    ),
    Case(
        "speed/prefixes",
        "texts read by prefix, to every text read from its first word",
        steps.one_model,
        passes.prefixes,
        metrics(
            "cells: cell steps, times fewer .2f; time: time, times less .2f; unique: unique n-grams ,.0f; "
            "windows: windows ,.0f; spent: f.e., by prefix ,.0f; difference: largest difference .0e"
        ),
        Settings(sites=("language",), targets=32),
        by_site,
        rows=("texts",),
    ),
    Case(
        "speed/exchange",
        "replacing one word of a text of a transformer, by prefix where that is counted as less work, to reading every text whole",
        steps.one_model,
        passes.exchanges,
        metrics("ratio: time, to reading whole .2f; cells: tokens run, to all .2f"),
        Settings(model="smollm2", sites=("mlp_act.4",)),
        rows=("words", "replaced"),
    ),
    Case(
        "speed/vocabulary",
        "gumbel softmax in a small transformer with 256,000 words: over all of them, and over a shortlist as by default",
        lambda settings: settings,
        vocabulary.memory,
        metrics(
            "milliseconds: processor ms per f.e. .1f; memory: memory of the search, MB ,.0f; model: of all before it, MB ,.0f",
        ),
        Settings(targets=4, length=30, budgets=(40,), options={"words": 256_000}),
        lambda settings: ({"budget": float(budget), "words": settings.option("words", 0)} for budget in settings.budgets),
        rows=("what",),
        columns=("words",),
    ),
    Case(
        "speed/gguf",
        "opening a GGUF file for the first time and again, to transformers alone",
        lambda settings: settings,
        loading.gguf,
        metrics("seconds: processor seconds .2f; ratio: to transformers alone .3f"),
        Settings(model="smollm2"),
    ),
    Case(
        "speed/stopping",
        "the forward of a transformer that stops at the first third of its blocks, to the whole forward",
        steps.one_model,
        passes.stopping,
        metrics("milliseconds: milliseconds .1f; times_faster: times faster .2f"),
        Settings(model="smollm2"),
    ),
    Case(
        "speed/sparse_step",
        "the parts of a step of gumbel over all words and over a shortlist, as shares of the dense step",
        steps.sparse_setup,
        steps.sparse_parts,
        metrics(
            "model: model, forward and backward .3f; noise: noise .3f; mixture: products and softmax, both ways .3f; "
            "adam: Adam .4f; proposals: discrete texts .3f; shortlist: shortlist .3f; step: whole step .3f"
        ),
        Settings(options={"words": 0, "tried": "32,64,128"}),
        rows=("method", "vocabulary"),
    ),
    Case(
        "speed/training",
        "training an Imaginet: time inside forward and backward, and batches of equal length",
        passes.training_setup,
        passes.training,
        metrics(
            "inside: time inside forward and backward .0%; unsorted: unsorted to length-bucketed time .2f; "
            "seconds: processor seconds .1f; captions: captions ,.0f"
        ),
        rows=("model",),
    ),
    Case(
        "speed/next_neuron",
        "corpus search for a neuron of a site that was read before, to that of the first one",
        corpora.setup,
        corpora.next_neuron,
        metrics(
            "ratio: second / first .2f; overhead: first / without a cache .2f; uncached: seconds without a cache .2f; "
            "first: first .2f; second: second .2f; kept: kept, MB .1f"
        ),
        Settings(sites=("visual", "visual.hidden", "language")),
        by_site,
        rows=("model", "site"),
    ),
    Case(
        "speed/bounded",
        "corpus search within a bound on surprisal, which is computed of the highest activations alone, to computing it of all n-grams",
        corpora.setup,
        corpora.bounded,
        metrics("ratio: ratio .2f; lazy: processor seconds .1f; whole: of all n-grams .1f; ngrams: n-grams ,.0f"),
        Settings(sites=("language", "visual"), targets=1),
        by_site,
        rows=("model", "site"),
    ),
    Case(
        "speed/diverse",
        "five texts that differ, to the five best ones",
        corpora.setup,
        corpora.diverse,
        metrics("ratio: ratio .2f; best: seconds, the best .2f; apart: seconds, texts that differ .2f"),
        Settings(sites=("visual",), by=("crp",)),
        by_method,
        rows=("model", "method"),
    ),
    Case(
        "speed/scan",
        "a scan of all neurons of some sites, to the bare forward in the same batches",
        scans.setup,
        scans.speed,
        metrics(
            "ratio: scan / bare .2f; bare: bare, tokens per second ,.0f; scan: scan, tokens per second ,.0f; "
            "neurons: neurons ,.0f; tokens: tokens ,.0f"
        ),
        SMALL_SCAN,
        rows=("documents",),
    ),
    Case(
        "speed/scan_memory",
        "the largest memory of a scan, by the size of the corpus",
        lambda settings: settings,
        scans.memory,
        metrics("peak: peak, MB ,.0f; tokens: tokens ,.0f; seconds: seconds .0f"),
        units=scans.memory_units,
        rows=("megabytes",),
    ),
    Case(
        "speed/merge",
        "merging the parts of a scan, to ranking all places of two states at a time",
        lambda settings: settings,
        merging.merging,
        metrics(
            "ratio: ratio .3f; seconds: seconds per part .4f; reading: of it reading .4f; own: of it merging, first parts .4f; "
            "two_by_two: two by two .4f; file: file, MB .1f; peak: peak of 20 parts, MB .0f"
        ),
        Settings(targets=4608, options={"parts": 100, "pairs": 10}),
        rows=("targets", "parts"),
    ),
    Case(
        "speed/scan_ngrams",
        "all n-grams of a corpus alone: unique ones by prefix, to every window from its first word",
        passes.scan_setup,
        passes.scan_ngrams,
        metrics(
            "windows: windows ,.0f; unique: unique ,.0f; steps: cell steps ,.0f; naive_steps: from the first word ,.0f; "
            "cells: cell steps, times fewer .2f; time: time, times less .2f; seconds: processor seconds .1f"
        ),
        Settings(targets=10),
        rows=("corpus",),
    ),
    Case(
        "speed/scan_caching",
        "a scan, and keeping every activation to sort it afterwards",
        scans.setup,
        scans.caching,
        metrics("seconds: processor seconds .1f; peak: peak, MB ,.0f"),
        replace(SMALL_SCAN, sentences=150, options={"before": 75}),
    ),
    Case(
        "speed/capacity",
        "what a scan of all MLP neurons over 10 billion tokens would take, by arithmetic from measured rates",
        scans.capacity_setup,
        scans.capacity,
        metrics(
            "neurons: neurons ,.0f; operations: operations .2g; looks: activations .2g; text: text, GB ,.0f; "
            "state: state, MB ,.0f; core_years: one core, years ,.1f; device_hours: one device, hours ,.1f; "
            "node_hours: a node, hours ,.2f; cost: cost ,.0f; share: share of a large product's rate .0%"
        ),
        SMALL_SCAN,
        rows=("network",),
    ),
)
DEVICE = metrics(
    "ratio: ratio .2f; searched: f.e. or tokens per second ,.0f; bare: bare forward ,.0f; peak: peak, MB ,.0f; neurons: neurons ,.0f"
)
GPU = (
    Case(
        "gpu/search",
        "forward-equivalents per second of a search, to texts per second of the bare forward, on a GPU (wall time)",
        devices.setup,
        devices.searching,
        DEVICE,
        Settings(
            model="gpt2-small, random", sites=("mlp_act.11",), by=("coordinate", "gcg", "gbl"), budgets=(20_000,), targets=64, length=12
        ),
        by_method,
    ),
    Case(
        "gpu/scan",
        "tokens per second of a scan of all MLP neurons, to the bare forward, on a GPU (wall time)",
        devices.setup,
        devices.scanning,
        DEVICE,
        Settings(model="gpt2-small, random", sites=()),
    ),
)
QUALITY = (
    Case(
        "quality/search",
        "search methods at equal budgets: share of the best known, ratio to corpus search, cost in all",
        Searches.of,
        search.contest,
        metrics(
            "share: / best known .3f; ratio: / corpus .3f; won: neurons won .1%; to_auto: / auto, mean .3f; "
            "above: above auto .0f; below: below auto .0f; lowest: lowest share .3f; mean: mean activation .2f; "
            "area*: area .3f; soft_gap*: soft gap .2f; cosine*: cosine .2f; survive*: survive .0%",
            COST,
        ),
        Settings(by=tuple(search.EVERY.split(",")), budgets=(1000, 3000, 10_000), targets=160),
        search.units,
        rows=("method",),
        columns=("budget",),
        sort="share",
        derive=search.derive,
    ),
    Case(
        "quality/labels",
        "what `optigram verify` tells of a label made of a neuron's frequent words, and of the next neuron's, and what it costs",
        labels.setup,
        labels.tested,
        metrics(
            "seconds: processor seconds per neuron, median .1f; longest: longest .1f; contradicted: neurons with a counterexample .0%; "
            "counterexamples: counterexamples per neuron .1f; detection: detection, AUC .2f; gain: above placebo +.2f; neurons: neurons .0f"
        ),
        Settings(model="minilm", sites=("mlp_act.2",), budgets=(3000,), targets=20),
        labels.units,
        rows=("model", "site", "label"),
    ),
    Case(
        "quality/optimality",
        "positions of the found texts at which some word of the whole vocabulary would be better",
        Searches.of,
        search.optimality,
        metrics("improved: positions improved .1%; positions*: positions .0f", COST),
        Settings(by=("auto", "coordinate", "gcg", "gbl", "beam"), budgets=(10_000,), targets=12),
        by_method,
        rows=("method",),
        columns=("budget",),
    ),
    Case(
        "quality/optimum",
        "how often a search from random texts finds the true optimum, known by trying every text",
        optimum.setup,
        optimum.optimum,
        metrics("found: optima found .1%; gap: widest gap .1%; neurons*: neurons .0f", COST),
        Settings(by=("auto", "gbl", "random"), budgets=(10_000,), targets=80),
        optimum.units,
        rows=("texts", "site", "method"),
        columns=("budget",),
    ),
    Case(
        "quality/faithful",
        "the authors' gumbel softmax to the end of its patience, and `auto` from random texts",
        optimum.faithful_setup,
        optimum.faithful,
        metrics(
            "text: text s; activation: activation .3f; end: f.e. to its end ,.0f; reached: f.e. to its best ,.0f; "
            "auto_text: text of auto s; auto_activation: auto: activation .3f; auto_as_good: as good after ,.0f; "
            "fewer: times fewer than to its end ,.0f; fewer_reached: than to its best ,.0f"
        ),
        Settings(targets=5, by=("gbl:faithful/20", "gbl:faithful"), budgets=(10_000,), options={"words": 500}),
        optimum.faithful_units,
        rows=("target",),
    ),
    Case(
        "quality/fluent",
        "texts within a bound on surprisal, to the best n-grams of the corpus within it",
        fluent.setup,
        fluent.fluent,
        metrics(
            "won_within: above the corpus's best within the bound .1%; ratio_within: median ratio to it .2f; "
            "won_any: above its best, however unlikely .1%; ratio_any: median ratio to it .2f; "
            "nats: median nats .1f; neurons*: neurons .0f",
            COST,
        ),
        Settings(model="smollm2", sites=("mlp_act.2",), targets=40, by=("auto", "crp+epo"), budgets=(3000,)),
        by_method,
        rows=("method",),
    ),
    Case(
        "quality/second_model",
        "whether a second language model, of characters, finds texts within a bound likelier than those found without one",
        second_model.setup,
        second_model.agreement,
        metrics(
            "corpus: bits per character, corpus .2f; within: within the bound .2f; free: without one .2f; random: random tokens .2f; "
            "agrees: likelier within it .0%; neurons: neurons .0f"
        ),
        Settings(model="smollm2", sites=("mlp_act.2",), targets=40, by=("auto",), budgets=(1000,)),
        by_method,
        rows=("model", "site"),
    ),
    Case(
        "quality/front",
        "Pareto fronts of activation and surprisal, to those of EPO's published code at ten times the budget",
        front.setup,
        front.compare,
        metrics(
            "area: area under the front .1f; ratio: to the first row's .3f; above: larger .0f; below: smaller .0f; "
            "spent: f.e. per neuron ,.0f; seconds: processor seconds per neuron .1f"
        ),
        Settings(sites=("mlp_act.1",), targets=40, by=("auto", "coordinate", "epo"), budgets=(8000,), length=12),
        by_budget,
        rows=("method",),
        columns=("budget",),
    ),
    Case(
        "quality/ablations",
        "what each part of gumbel softmax, coordinate ascent and GCG is worth",
        ablations.setup,
        ablations.ablation,
        metrics("ratio: / corpus .3f; won: neurons won .0%; to_first: / the first row .3f; above: above it .0%", COST),
        units=ablations.units,
        rows=("variant",),
        columns=("site",),
    ),
    Case(
        "quality/shortlist",
        "gumbel softmax over a shortlist of words, to gumbel softmax over all of them",
        ablations.shortlist_setup,
        ablations.shortlist,
        metrics("to_gbl: / gbl .3f; mean_to_gbl: mean .3f; time: time / gbl .3f", COST),
        Settings(targets=32, options={"words": 0, "tried": "64", "longer": 1.0}),
        by_budget,
        rows=("method",),
        columns=("site",),
    ),
    Case(
        "quality/slopes",
        "how well a gradient ranks words, by the text at which it is taken",
        slopes.setup,
        slopes.slopes,
        metrics("correlation: rank correlation .2f; hits: best word in its best tenth .0%; norm*: norm, to a word's .2f", COST),
        Settings(targets=8, options={"words": 200}),
        by_site,
        rows=("gradient",),
        columns=("model", "site"),
    ),
    Case(
        "quality/kept_slopes",
        "coordinate ascent that keeps the slopes of a text until it changes, to one that takes them anew at each position",
        steps.one_model,
        slopes.kept,
        metrics(
            "median: median ratio .3f; mean: mean ratio .4f; better: better .0f; worse: worse .0f; neurons*: neurons .0f; "
            "time: processor time .2f",
        ),
        Settings(targets=40, budgets=(1000,), seeds=3),
        by_budget,
        rows=("site",),
    ),
    Case(
        "quality/neurons",
        "what the parts of a search of a transformer's neurons are worth, to the first row",
        neurons.setup,
        neurons.compare,
        metrics("mean: mean activation .3f; ratio: / the first, median .3f; above: above it .0f; below: below it .0f"),
        Settings(model="minilm", sites=("mlp_act.3",), targets=40, budgets=(1000,)),
        by_budget,
        rows=("length", "budget", "method"),
        columns=("site",),
    ),
    Case(
        "quality/woken",
        "latents of a sparse autoencoder that are silent on a corpus, woken by a search, beside matched random directions",
        woken.setup,
        woken.woken,
        metrics(
            "woken: woken .0%; height: activation, median .2f; texts*: texts of the corpus ,.0f; silent*: silent latents, of all .0%; "
            "unexplained*: variance left unexplained .3f; gap*: below the edge in the corpus, median .2f",
            COST,
        ),
        Settings(model="minilm", sites=("resid_post.3",), targets=40, by=("coordinate",), budgets=(1000, 3000), seeds=3),
        by_method,
        rows=("what", "method", "budget"),
    ),
    Case(
        "quality/planted",
        "concepts and patterns of 30 units whose rules are known, on fresh texts",
        planted.setup,
        planted.planted,
        metrics(
            "right: right number of concepts .0f; count: of .0f; precision: precision .3f; recall: recall .3f; "
            "least_precision: lowest .3f; least_recall: lowest .3f; spent: forward-equivalents ,.0f; seconds: seconds .1f",
        ),
        Settings(model="planted", budgets=(3000,)),
        planted.units,
        rows=("rule",),
    ),
    Case(
        "quality/planted_labels",
        "labels of units whose rules are known: those that a judge's counterexamples contradict, of right ones and of wrong ones",
        planted_labels.setup,
        planted_labels.tested,
        metrics(
            "labels: labels of each kind .0f; right_contradicted: right, contradicted .0f; wrong_contradicted: wrong, contradicted .0f; "
            "right_detection: right, AUC .2f; wrong_detection: wrong, AUC .2f; right_undecided: right, undecided .0%; "
            "wrong_undecided: wrong, undecided .0%"
        ),
        Settings(model="planted", by=(planted_labels.KNOWING, "minilm", "lexical"), budgets=(100,), targets=30),
        planted_labels.units,
        rows=("words", "judge", "budget"),
    ),
)
PEERS = (
    Case(
        "peers/contest",
        "other tools on the same targets, in environments of their own",
        peers.setup,
        peers.play,
        metrics(
            "targets: targets .0f; worth: median worth .2f; log_probability: log probability .2f; logit: logit .2f; "
            "spent: f.e. ,.0f; processor: processor seconds .0f; auto_wins: auto wins .0%; "
            "whole_wins: without shared prefixes .0%; time_wins: in equal seconds .0%; survive: survive .0%; "
            "reported_gap: reported - scored .1e; independent_gap: transformers - scored .1e"
        ),
        Settings(
            model="smollm2",
            by=("optigram:auto", "whole:auto", "tropt:gaslite", "whisperers:gcg", "nanogcg:gcg/44"),
            budgets=(1000, 3000),
            targets=12,
            options={"working": "", "contests": "projection,cosine,word"},
        ),
        peers.units,
        rows=("contest", "budget", "tool"),
        derive=peers.derive,
    ),
)
OPEN = (
    Case(
        scoring.NAME,
        "the open benchmark: the scores of submissions, whose `files` name them; see `python -m benchmarks open --help`",
        scoring.setup,
        scoring.scores,
        metrics(
            "targets: targets .0f; seeds: seeds .0f; share: share of best known .3f; success: success .1%; recall: exact recall .1%; "
            "recall_short: up to 6 words .1%; area: area .3f; gain: gain over placebos .2f; spent: f.e. ,.0f; "
            "seconds: processor seconds .2f; per_forwards: successes per 10,000 f.e. .2f; per_minute: per processor minute .1f"
        ),
        Settings(model="its own", options={"directory": "", "files": ""}),
        rows=("tool",),
    ),
)
CASES = (*API, *SPEED, *GPU, *QUALITY, *PEERS, *OPEN)


def named(name: str) -> tuple[Case, ...]:
    """A case by its name, or all cases of a folder. Raises InputError for an unknown name."""
    found = tuple(case for case in CASES if case.name == name or case.name.startswith(f"{name.rstrip('/')}/"))
    if not found:
        names = [case.name for case in CASES]
        raise InputError(f"expected a case, got {name!r}{nearest(name, names)}; list them with: python -m benchmarks list")
    return found
