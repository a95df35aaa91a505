"""Make the folder of the bundled model from a trained one: weights, sampled sentences, model card.

python -m optigram.papers.poerner2018.bundle TRAINED_FOLDER
"""

import gzip
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from optigram.files import writable_folder, written_whole
from optigram.models.loading import CAPTIONS, CONFIG, WEIGHTS, bundled, load_imaginet, read_config

COUNT, SEED = 20_000, 0
CARD = """# The bundled Imaginet

A word embedding of {embedding} numbers, two GRUs of {hidden} units, a projection to {words:,} words, and one to COCO's {labels} object
classes, so that visual neurons have names. Poerner et al. 2018 and Kadar et al. 2017 describe the architecture; here
everything is smaller, and the visual path predicts which objects are in the scene instead of the features of a network.

**Data.** COCO captions (the 25,014 of the 2017 validation images, and 20,000 more without image ids), and which object classes
are in the images, from COCO's annotations. COCO's annotations are licensed CC BY 4.0 (COCO Consortium); the weights are
licensed Apache-2.0 like the rest of the project. {train:,} captions were trained on; those that read like a held-out one
were left out.

**Figures.** Language: nats a word (perplexity). Visual: mean cosine between predicted and true object classes. Recall:
share of captions whose image is among the first 1, 5, 10 of the split's images.

| split | captions | of images | language | visual | recall at 1, 5, 10 |
|---|---|---|---|---|---|
| validation | {validation:,} | {held_out} | {of_validation} |
| test | {test:,} | that training has not seen | {of_test} |

The split is by chance of images for the test, and by chance of captions for the validation: a validation image may have been
seen with another caption. So the validation's visual figure is that of new words for known scenes, and the test's that of
new scenes; the ranks of validation are among many more images than those of test.

**Made by**

```
{command}
python -m optigram.papers.poerner2018.bundle OUT
```

where the captions are `captions_val2017.json` and two text files of 10,000 further captions, and the images an `.npz` of
`image_ids`, `labels_packed` and `categories`. On one core of a small machine it took half an hour.

**Its sentences** (`captions.txt.gz`): {count:,} drawn from the language path at temperature 1 with seed {seed}, each from a first word
of the training captions. They are the default corpus, since no captions are shipped; the same as `--corpus sampled:{count}`.
"""


def _card(config: dict[str, Any]) -> str:
    """The model card for the `config.json` of a trained folder."""
    settings, sizes = config["settings"], config["sizes"]
    seen = "that training may have seen with other captions" if settings["held_out"] == "caption" else "that training has not seen"
    names = ("embedding", "hidden", "alpha", "rate", "batch", "epochs", "patience", "dropout", "rare")
    options = " ".join(f"--{name} {settings[name]}" for name in names)
    flags = f"{'--decay ' * settings['decay']}--held-out {settings['held_out']} --half --seed {settings['seed']}"
    command = f"optigram train imaginet --captions CAPTIONS... --images OBJECTS.npz --out OUT \\\n  {options} \\\n  {flags}"
    return CARD.format(
        **sizes,
        **config["captions"],
        words=len(config["words"]),
        labels=len(config["labels"]),
        held_out=seen,
        of_validation=_row(config["validation"]),
        of_test=_row(config["test"]),
        command=command,
        count=COUNT,
        seed=SEED,
    )


def _row(metrics: dict[str, Any]) -> str:
    recall = ", ".join(f"{share:.2f}" for share in metrics["recall"].values())
    return f"{metrics['language']:.3f} ({metrics['perplexity']:.1f}) | {metrics['visual']:.3f} | {recall}"


def main(trained: Path) -> None:
    """Write weights, sentences and card of the model in `trained` to the bundled folder."""
    folder = writable_folder(bundled())
    for name in (WEIGHTS, CONFIG):
        with written_whole(folder / name) as path:
            shutil.copyfile(trained / name, path)
    sentences = load_imaginet(str(folder)).sample(COUNT, torch.Generator().manual_seed(SEED))
    text = "".join(f"{sentence}\n" for sentence in sentences)
    with written_whole(folder / CAPTIONS) as path:
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    with written_whole(folder / "CARD.md") as path:
        path.write_text(_card(read_config(folder)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
