#!/usr/bin/env python3
"""Writes what this project has for SpeechBrain into a checkout of it, as three
branches, each on the one before: the lobe, the recipe and the interface.

> python tools/contribute.py PATH_TO_SPEECHBRAIN

The branches start from what is checked out. Lobe, YAML files and preparation
are made from this project's sources; `tools/contribution` has, for each of the
branches, what is written for upstream by hand, its patches of files that are
there, and the text of its pull request. ruff formats what is made, with the
checkout's settings. No file of the checkout is overwritten.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ruamel.yaml

ROOT = Path(__file__).resolve().parents[1]
# As a script, Python sees the folder of this file alone.
sys.path.insert(0, str(ROOT))

from speechbrain_merit.config import compose  # noqa: E402
from tools.contribution.flattening import Flattening  # noqa: E402

TEMPLATES = ROOT / "tools" / "contribution"
RECIPE = Path("recipes/RAVDESS/joint_enhance_emotion")
LOBE = "speechbrain.lobes.models.SparseMERIT"
STAND_INS = "tools.contribution.stand_ins"
BRANCHES = ("lobe", "recipe", "inference")

LOBE_DOCSTRING = """Sparse MERIT: a sparse mixture of experts with a gate per task, and heads for
speech enhancement and emotion recognition.

Reference: J.-T. Tzeng, C. Busso, C.-C. Lee, "Joint Learning using
Mixture-of-Expert-Based Representation for Speech Enhancement and Robust
Emotion Recognition", IEEE TASLP vol. 34, 2026, arXiv 2509.08470.

The paper sends every frame to the expert with the highest gate probability and
weights it by 1, which no gradient passes. Here the forward value is the
paper's, and with `router_learning="straight_through"` the backward pass treats
the weight as the chosen expert's probability.

Authors
 * The speechbrain-merit developers 2026
"""
SUM_DOCSTRING = """A learned weighted sum of an encoder's hidden states for both tasks, without
experts.

Authors
 * The speechbrain-merit developers 2026
"""
PREPARATION_DOCSTRING = """Prepares RAVDESS, emotional speech by 24 actors, with ESC-10 as the noise.

The published tree is `Actor_01/*.wav` to `Actor_24/*.wav`; file names are
`modality-channel-emotion-intensity-statement-repetition-actor.wav`. Speech
alone is taken, of four emotions: 672 utterances. ESC-10 has a folder per
category, `NNN - Category/*.ogg`, and files named `fold-clip-take.ogg`; takes of
one clip share a fold.

References: S. R. Livingstone, F. A. Russo, "The Ryerson Audio-Visual Database
of Emotional Speech and Song (RAVDESS)", PLoS ONE 13(5), 2018; K. J. Piczak,
"ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015.

Authors
 * The speechbrain-merit developers 2026
"""


def lobe() -> str:
    """Makes the lobe of `speechbrain_merit.lobes`.

    Returns
    -------
    str
        Python, to be formatted.
    """
    flattening = Flattening(
        [ROOT],
        stand_ins=STAND_INS,
        # Faster on a CPU alone.
        replacements={
            "WideLinear": "nn.Linear",
            "speechbrain_merit.lobes": LOBE,
        },
        dropped=["EmotionHead.apply_temperature", "Routing.counts"],
    )
    for name in (
        "SparseMoE",
        "SpectralMaskHead",
        "AttentiveStatisticsPooling",
        "EmotionHead",
    ):
        flattening.add("speechbrain_merit.lobes", name)
    return flattening.text(LOBE_DOCSTRING)


def weighted_sum() -> str:
    """Makes the baseline's integrator, which needs the lobe.

    Returns
    -------
    str
        Python, to be formatted.
    """
    flattening = Flattening([ROOT], elsewhere={"Integration": LOBE})
    flattening.add("speechbrain_merit.lobes", "WeightedSumIntegrator")
    return flattening.text(SUM_DOCSTRING)


def preparation() -> str:
    """Makes the preparation of `recipes/RAVDESS`.

    Returns
    -------
    str
        Python, to be formatted.
    """
    flattening = Flattening(
        [ROOT, ROOT / "recipes" / "RAVDESS"], stand_ins=STAND_INS
    )
    flattening.add("ravdess_prepare", "prepare_ravdess")
    flattening.add(STAND_INS, "plan_mixtures")
    return flattening.text(PREPARATION_DOCSTRING)


def hyperparameters(variant: str) -> str:
    """Makes a complete YAML file, with the values that the plugin runs.

    What is empty in the template is taken from the plugin's variant and corpus.

    Arguments
    ---------
    variant : str
        Such as `sparse_merit`.

    Returns
    -------
    str
        HyperPyYAML.

    Raises
    ------
    ValueError
        If the template has an empty key that the plugin does not have.
    """
    template = TEMPLATES / "recipe" / RECIPE / "hparams" / f"{variant}.yaml"
    tree = compose(template).tree
    run = compose(
        ROOT / "hparams" / f"{variant}.yaml", "corpus: RAVDESS", ROOT
    ).tree
    for key in [key for key in tree if tree[key] is None]:
        if key not in run:
            raise ValueError(f"{template}: {key} is empty, and no key there.")
        tree[key] = run[key]
    yaml, stream = ruamel.yaml.YAML(), io.StringIO()
    yaml.indent(mapping=4, sequence=6, offset=4)
    yaml.representer.add_representer(
        bool,
        lambda dumper, value: dumper.represent_scalar(
            "tag:yaml.org,2002:bool", str(value)
        ),
    )
    yaml.dump(tree, stream)
    # Of an overlay's two headers, its own; and no objects close together.
    box = r"# #+\n(?:# .*\n)*?# #+\n"
    text = re.sub(rf"\A({box}){box}", r"\1", stream.getvalue())
    return re.sub(r"(?m)^( .+)\n(?=\w+: !)", r"\1\n\n", text)


def files(branch: str) -> Iterator[tuple[Path, str, bool]]:
    """Makes the files that a branch adds.

    Arguments
    ---------
    branch : str
        One of `BRANCHES`.

    Yields
    ------
    tuple of Path, str and bool
        Place in the checkout, content, and whether it is a program.
    """
    made = {}
    if branch == "lobe":
        made[Path(LOBE.replace(".", "/") + ".py")] = lobe()
    elif branch == "recipe":
        made[RECIPE / "weighted_sum.py"] = weighted_sum()
        made[RECIPE.parent / "ravdess_prepare.py"] = preparation()
        for variant in ("sparse_merit", "naive_mtl"):
            place = RECIPE / "hparams" / f"{variant}.yaml"
            made[place] = hyperparameters(variant)
    for place, text in made.items():
        yield place, text, False
    top = TEMPLATES / branch
    for path in sorted(path for path in top.rglob("*") if path.is_file()):
        place = path.relative_to(top)
        if place not in made and len(place.parts) > 1:
            if "__pycache__" not in place.parts:
                yield place, path.read_text("utf-8"), os.access(path, os.X_OK)


def run(checkout: Path, *command: str, text: str | None = None) -> str:
    """Runs a program in the checkout.

    Arguments
    ---------
    checkout : Path
        Where to run.
    *command : str
        The program and its arguments.
    text : str, optional
        What it reads.

    Returns
    -------
    str
        What it writes.

    Raises
    ------
    RuntimeError
        If it fails; the message is its own.
    """
    result = subprocess.run(
        command, cwd=checkout, input=text, text=True, capture_output=True
    )
    if result.returncode != 0:
        said = f"{result.stdout}{result.stderr}".strip()
        raise RuntimeError(f"{' '.join(command)}: {said}")
    return result.stdout


def formatted(checkout: Path, place: Path, text: str) -> str:
    """Formats Python as the checkout does.

    Arguments
    ---------
    checkout : Path
        Its settings are taken.
    place : Path
        Where the file will be.
    text : str
        Python.

    Returns
    -------
    str
        The same, with fewer lines and imports in order.
    """
    ruff = [sys.executable, "-m", "ruff"]
    end = ["--stdin-filename", str(place), "-"]
    # Without annotations, much that was on several lines fits on one.
    joined = ["--config", "format.skip-magic-trailing-comma=true"]
    text = run(checkout, *ruff, "check", "-q", "--fix", *end, text=text)
    for options in (joined, []):
        text = run(checkout, *ruff, "format", *options, *end, text=text)
    return text


def write_branch(checkout: Path, branch: str) -> str:
    """Writes and commits a branch from what is checked out.

    Arguments
    ---------
    checkout : Path
        A checkout of SpeechBrain.
    branch : str
        One of `BRANCHES`.

    Returns
    -------
    str
        What it adds, as `git diff --stat` tells it.

    Raises
    ------
    FileExistsError
        If a file is there already.
    """
    before = run(checkout, "git", "rev-parse", "HEAD").strip()
    run(checkout, "git", "checkout", "-q", "-b", f"sparse-merit-{branch}")
    for patch in sorted((TEMPLATES / branch).glob("*.patch")):
        run(checkout, "git", "am", "-q", str(patch))
    for place, text, is_program in files(branch):
        if (checkout / place).exists():
            raise FileExistsError(f"{checkout} has {place} already.")
        if place.suffix == ".py":
            text = formatted(checkout, place, text)
        (checkout / place).parent.mkdir(parents=True, exist_ok=True)
        (checkout / place).write_text(text, encoding="utf-8")
        (checkout / place).chmod(0o755 if is_program else 0o644)
    if branch == "recipe":
        link = checkout / RECIPE / "ravdess_prepare.py"
        link.symlink_to("../ravdess_prepare.py")
    request = (TEMPLATES / branch / "pull_request.md").read_text("utf-8")
    title = request.partition("\n")[0].removeprefix("# ")
    run(checkout, "git", "add", "--all")
    run(checkout, "git", "commit", "-q", "-m", title)
    return run(checkout, "git", "diff", "--stat=100", before)


def main(arguments: list[str]) -> None:
    """Writes the three branches.

    Arguments
    ---------
    arguments : list of str
        Of the command line.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("checkout", type=Path, help="of SpeechBrain, with git")
    checkout = parser.parse_args(arguments).checkout.resolve()
    try:
        if not (checkout / "speechbrain" / "core.py").is_file():
            raise FileNotFoundError(
                f"{checkout} is no checkout of SpeechBrain."
            )
        if run(checkout, "git", "status", "--porcelain"):
            raise RuntimeError(
                f"{checkout} has changes that are not committed."
            )
        for branch in BRANCHES:
            print(f"sparse-merit-{branch}\n{write_branch(checkout, branch)}")
    except (OSError, RuntimeError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
