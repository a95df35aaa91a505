"""Commands that search and judge: demo, find, score."""

from typing import TYPE_CHECKING, Annotated

import typer

from optigram.apps.cli.options import Around, Chat, Device, Json, Model, Out, Quiet, Seed, Surprised, Targets
from optigram.apps.cli.output import print_records, remark, run_request
from optigram.errors import InputError

if TYPE_CHECKING:
    from optigram.models.base import Model as Network

app = typer.Typer()


@app.command()
def demo(out: Out = None, as_json: Json = False, seed: Seed = 0, device: Device = "cpu", quiet: Quiet = False) -> None:
    """The paper's five methods on neurons of the bundled model, as a table like its Table 1."""
    from optigram.papers.poerner2018.demo import request, summary

    run_request(request(seed, device), out, as_json, quiet, summary)


@app.command(context_settings={"ignore_unknown_options": True})
def find(
    model: Model,
    targets: Targets,
    by: Annotated[
        str,
        typer.Option(help="methods, by comma: crp, gbl, gbl:faithful, auto, crp+coordinate, ..."),
    ] = "crp,gbl",
    length: Annotated[int | None, typer.Option(help="free words  [default: what the template asks for, or 5]")] = None,
    corpus: Annotated[str | None, typer.Option(help="for crp: .txt, .csv, .jsonl, .parquet, COCO .json, or sampled:N")] = None,
    budget: Annotated[float | None, typer.Option(help="forward-equivalents a text, for all methods but crp  [default: 5000]")] = None,
    top: Annotated[int, typer.Option(help="texts to keep of a target and method")] = 1,
    apart: Annotated[float, typer.Option(help="share of words that two of them may have in common; 1: as many as they like")] = 0.6,
    template: Around = None,
    chat: Chat = False,
    special: Annotated[bool, typer.Option("--special", help="let special tokens such as <unk> be proposed")] = False,
    without: Annotated[list[str] | None, typer.Option(help="a word that may not be proposed; may be given several times")] = None,
    matching: Annotated[str | None, typer.Option(help="propose only tokens in which this regular expression is found")] = None,
    words: Annotated[str, typer.Option(help="any tokens, or whole: words only, no pieces, numbers or punctuation")] = "any",
    seen_in: Annotated[str | None, typer.Option(help="propose only words that occur in this corpus")] = None,
    must_survive: Annotated[bool, typer.Option("--must-survive", help="drop texts that read otherwise once written out")] = False,
    fluency: Annotated[float, typer.Option(help="activation that a nat of surprisal per token costs")] = 0.0,
    surprisal: Annotated[str | None, typer.Option(help="keep only texts in this band, such as 2-6 nats per token")] = None,
    fluency_model: Surprised = None,
    front: Annotated[bool, typer.Option("--front", help="all texts that no other beats in activation and surprisal at once")] = False,
    repetition: Annotated[float, typer.Option(help="activation that a repeated word costs; (count - 1)^1.5 for more")] = 0.0,
    second_opinion: Annotated[str | None, typer.Option(help="another language model, to say in the end how surprised it is")] = None,
    start: Annotated[str | None, typer.Option(help="a scan's folder: begin also from its best places")] = None,
    out: Out = None,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "cpu",
    dtype: Annotated[str, typer.Option(help="of the search: float32, bfloat16 or float16; the last word is float32's")] = "float32",
    quiet: Quiet = False,
) -> None:
    """Find the texts that make neurons fire most."""
    from optigram.runs.options import FindOptions

    refuse_options(targets)
    request = FindOptions(
        model=model,
        targets=targets,
        by=[name.strip() for name in by.split(",")],
        length=length,
        corpus=corpus,
        budget=budget,
        top=top,
        apart=apart,
        template=template,
        special=special,
        seed=seed,
        device=device,
        chat=chat,
        without=without or (),
        matching=matching,
        words=words,
        seen_in=seen_in,
        must_survive=must_survive,
        fluency=fluency,
        surprisal=surprisal,
        fluency_model=fluency_model,
        dtype=dtype,
        start=start,
        front=front,
        repetition=repetition,
        second_opinion=second_opinion,
    )
    run_request(request, out, as_json, quiet)


@app.command(context_settings={"ignore_unknown_options": True})
def score(
    model: Model,
    targets: Targets,
    text: Annotated[str, typer.Option(help="the free words")],
    template: Around = None,
    chat: Chat = False,
    surprisal: Annotated[bool, typer.Option("--surprisal", help="tell the surprisal too")] = False,
    fluency_model: Surprised = None,
    as_json: Json = False,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """The judge alone: the exact activation of a text."""
    from optigram.models.loading import load
    from optigram.runs.find import score_text
    from optigram.runs.options import FindOptions, make_objective, remarks

    refuse_options(targets)
    network = load(model, device=device)
    ids = words_of(text, network)
    band = "0-" if surprisal else None
    request = FindOptions(
        model, targets, (), len(ids), template=template, device=device, chat=chat, surprisal=band, fluency_model=fluency_model
    )
    objective = make_objective(request, network)
    for told in () if quiet else remarks(objective):
        remark(told)
    print_records(score_text(objective, ids), as_json)


@app.command(context_settings={"ignore_unknown_options": True})
def explain(
    model: Model,
    targets: Targets,
    text: Annotated[str, typer.Option(help="the free words")],
    top: Annotated[int, typer.Option(help="substitutions to tell of each word", min=1)] = 5,
    whole: Annotated[bool, typer.Option("--whole", help="try every word in every place, not only those that the gradient likes")] = False,
    template: Around = None,
    chat: Chat = False,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Which words of a text matter, what would be better in their places, and whether their order matters."""
    from optigram.apps.cli.output import print_explanations
    from optigram.models.loading import load
    from optigram.runs.explain import SWEPT
    from optigram.runs.explain import explain as explained
    from optigram.runs.options import FindOptions, make_objective

    refuse_options(targets)
    network = load(model, device=device)
    ids = words_of(text, network)
    request = FindOptions(model, targets, (), len(ids), template=template, device=device, chat=chat)
    print_explanations(explained(make_objective(request, network), ids, top, None if whole else SWEPT, seed), as_json)


def words_of(text: str, network: "Network") -> tuple[int, ...]:
    """The ids of a text that was typed."""
    from optigram.text.vocabulary import known_ids

    ids = known_ids(text, network.vocabulary)
    if not ids:
        raise InputError("the text has no words; give --text with at least one")
    return ids


def refuse_options(targets: list[str]) -> None:
    """A target may begin with a minus sign, so misspelt options arrive among the targets."""
    if option := next((target for target in targets if target.startswith("--")), None):
        raise InputError(f"no such option: {option}; see --help")
