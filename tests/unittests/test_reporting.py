"""The report: which runs it takes, and the files that it writes.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt
from synthetic_runs import write_run

from speechbrain_merit.command_line import main
from speechbrain_merit.experiments.report import (
    check_comparable,
    common_folds,
    find_runs,
    read_run,
    write_report,
)
from speechbrain_merit.experiments.report.figures import recall_by_noise
from speechbrain_merit.experiments.report.markup import render
from speechbrain_merit.experiments.report.score_tables import (
    Cell,
    Table,
    calibration_table,
    metric_table,
    probability,
)
from speechbrain_merit.experiments.report.scores import Estimate, score_systems
from speechbrain_merit.export.card import trained_model_card

# Finding and reading


def test_runs_are_found_at_any_depth_and_under_other_names(tmp_path):
    write_run(tmp_path / "mini" / "a" / "fold0")
    write_run(tmp_path / "mini" / "a" / "fold0" / "debug")
    write_run(tmp_path / "other", system="a")
    runs = find_runs([tmp_path / "mini", f"renamed={tmp_path / 'other'}"])
    assert [run.system for run in runs] == ["sparse_merit", "renamed"]
    # The same folder twice is one run.
    assert len(find_runs([tmp_path / "mini", tmp_path / "mini" / "a"])) == 1


def test_two_runs_of_the_same_kind_are_refused(tmp_path):
    for name in "ab":
        write_run(tmp_path / name)
    with pytest.raises(ValueError, match=r"/a and .*/b are both.*NAME=FOLDER"):
        find_runs([tmp_path])


def test_results_that_do_not_name_the_speakers_are_refused(tmp_path):
    path = write_run(tmp_path / "old") / "per_utterance.csv"
    with open(path) as stream:
        rows = list(csv.DictReader(stream))
    columns = [column for column in rows[0] if column != "speaker"]
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(ValueError, match="'speaker'.*--test_only"):
        read_run(path.parent)


def test_a_run_has_what_its_system_does(tmp_path):
    recogniser = read_run(write_run(tmp_path / "a", tasks=("ser",)))
    assert not recogniser.scores and len(recogniser.emotions) == 4
    enhancer = read_run(write_run(tmp_path / "b", tasks=("se",)))
    assert not enhancer.emotions and (enhancer.predicted == -1).all()
    assert list(enhancer.scores) == ["pesq_wb", "stoi", "ssnr_db", "si_sdr_db"]
    check_comparable([recogniser, enhancer])


# What can be compared


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise_offset": 3}, r"noise_offset \(0 and 3\).*200 mixtures differ"),
        ({"speaker": "me"}, r"speaker \(f0_s0 and me\)"),
        ({"num_utterances": 36}, "20 mixtures are in .*/a alone"),
        ({"corpus": "RAVDESS"}, "differ in their corpus: mini and RAVDESS"),
    ],
)
def test_different_tests_are_refused(tmp_path, change, message):
    write_run(tmp_path / "a", system="a")
    write_run(tmp_path / "b", system="b", **change)
    with pytest.raises(ValueError, match=message):
        check_comparable(find_runs([tmp_path]))


def test_folds_of_one_system_alone_are_refused_or_left_out(tmp_path):
    for system, folds in (("a", (0, 2, 4)), ("b", (0, 2))):
        for fold in folds:
            write_run(tmp_path / f"{system}{fold}", system, fold)
    runs = find_runs([tmp_path])
    with pytest.raises(ValueError, match="b lacks 4.*--common_folds"):
        check_comparable(runs)
    kept = common_folds(runs)
    check_comparable(kept)
    assert {run.fold for run in kept} == {"0", "2"}
    with pytest.raises(ValueError, match="no fold in common"):
        common_folds([runs[2], runs[3]])


# Tables


TABLE = Table(
    "Scores of a_1 -> b",
    (("seen", 2),),
    ("system", "-5 dB", "p"),
    (
        ("a_1", Cell(Estimate(-0.004, -1.5, 2.0), 2, True, True), "<0.001"),
        ("b|c", None, "0.5"),
    ),
)


def rendered(name, table):
    """A report of a single table."""
    sections = {"Summary": [table]}
    return render(name, title="", notes=[], sections=sections, figures={})


def test_table_in_markdown():
    text = rendered("report.md", TABLE)
    lines = text[text.index("**") : text.index("\n\n## Fig")].splitlines()
    assert lines[0] == "**Scores of a_1 -> b**"
    cells = [
        [c.strip() for c in re.split(r"(?<!\\)\|", s)[1:-1]] for s in lines[2:]
    ]
    assert cells[0] == ["system", "seen -5 dB", "seen p"]
    assert cells[2] == ["a_1", "**0.00**\\* [-1.50, 2.00]", "<0.001"]
    assert cells[3] == ["b\\|c", "-", "0.5"]
    assert len({len(line) for line in lines[2:]}) == 1


def test_table_in_latex():
    text = rendered("tables.tex", TABLE)
    assert r"\caption{Scores of a\_1 $\rightarrow$ b}" in text
    assert "\n& \\multicolumn{2}{c}{seen} \\\\\n" in text
    assert r"system & $-$5 dB & p \\" in text
    assert r"\textbf{0.00}\rlap{*}\\{\scriptsize [$-$1.50, 2.00]}" in text
    assert r"b|c & -- & 0.5 \\" in text
    assert text.count("{") == text.count("}")
    assert r"\textless{}0.001" in text


def test_table_in_html():
    text = rendered("report.html", TABLE)
    assert "<td></td><th colspan='2'>seen</th>" in text
    assert "<td><b>0.00</b>* <small>[-1.50, 2.00]</small></td>" in text
    assert "<td>&lt;0.001</td>" in text


def test_no_name_becomes_markup():
    """Whoever hands results on has named the systems in them."""
    name = "<script>alert('a')</script>"
    table = Table(name, ((name, 1),), ("system", name), ((name, name),))
    text = rendered("report.html", table)
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(&#39;a&#39;)") == 5


# What means something to Markdown, to HTML in it or to LaTeX.
ODD_NAMES = (
    *("a|b", "a\nb", "a\r\n\r\n# b", "\\", "\\|", "$x$", "_x_", "__x__"),
    *("sparse_merit", "<script>x</script>", "<!-- x", "&lt;b", "a & b", "`x`"),
    *("*x*", "~~x~~", "[x](y)", "![x](y)", "a < b > c", "100 %", "#1", "{x}"),
    *("x^2", "a -> b", "-5 dB", "\u2028x", "^", "~"),
)


def content_of(token):
    """The text of a part of a line; of an image, that beside it."""
    if token.type == "image":
        return "".join(map(content_of, token.children))
    return token.content


def shown(markdown):
    """Texts of a document, by an independent parser of Markdown."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    found = []
    for token in parser.parse(markdown):
        assert token.type not in ("html_block", "code_block", "hr")
        children = token.children or []
        kinds = {child.type for child in children} - {"text", "image"}
        assert kinds <= {"strong_open", "strong_close"}, token
        if token.type == "inline":
            found.append("".join(map(content_of, children)))
    return found


@pytest.mark.parametrize("name", ODD_NAMES)
def test_no_name_is_markdown(name):
    table = Table(name, ((name, 1),), ("system", name), ((name, name),))
    plain = " ".join(name.split())
    texts = shown(
        render(
            "report.md",
            title=name,
            notes=[f"Of {name}."],
            sections={"Summary": [table]},
            figures={Path("a b.png"): name},
        )
    )
    texts = [" ".join(text.split()) for text in texts]
    assert texts == [
        plain,
        f"Of {plain}.",
        "Summary",
        plain,
        *("system", f"{plain} {plain}", plain, plain),
        "Figures",
        plain,
    ]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_no_name_is_markdown_in_a_card(name):
    plain = " ".join(name.split())
    given = {"system": name, "corpus": name, "fold": 0, "seed": 1}
    results = {**given, "conditions": [], "routing": None}
    card = trained_model_card(results, name, "other")
    head, body = card[4:].split("\n---\n", 1)
    assert yaml.safe_load(head)["datasets"] == [name.lower()]
    body = body.split("\n## Use")[0]
    texts = MarkdownIt().parse(body)[1].children
    title = "".join(child.content for child in texts)
    assert " ".join(title.split()) == f"{plain}, trained on {plain}"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_no_name_is_latex(name):
    table = Table(name, ((name, 1),), ("system", name), ((name, "1"),))
    content = {"title": name, "notes": [], "figures": {}}
    text = render("tables.tex", sections={"Summary": [table]}, **content)
    (row,) = (line for line in text.splitlines() if line.endswith(r"& 1 \\"))
    bare = row.removesuffix(r"& 1 \\")
    for known in (
        *(r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}"),
        *(r"\textless{}", r"\textgreater{}", r"$\rightarrow$", "$-$", "{}"),
        *(f"\\{character}" for character in "&%$#_{}"),
    ):
        bare = bare.replace(known, "")
    assert not set(bare) & set("\\~^<>&%$#_{}")
    # A line that ends takes these from the next one.
    assert not row.startswith(("[", "*"))
    assert row.isprintable()


def test_the_best_system_is_marked_and_unprocessed_speech_is_none(tmp_path):
    """Enhancement that makes it worse, in one system more than in another."""
    write_run(tmp_path / "a", "a", shift=-3.0)
    write_run(tmp_path / "b", "b", shift=-2.0)
    scores = score_systems(find_runs([tmp_path]), 10, 0)
    rows = metric_table(scores, [], "ssnr_db").rows
    best = {name: {cell.is_best for cell in cells} for name, *cells in rows}
    assert best == {"a": {False}, "b": {True}, "unprocessed": {False}}


def test_probabilities_are_rounded_for_readers():
    found = [probability(p) for p in (0, 0.00099, 0.001, 0.0499, 0.3, 1)]
    assert found == ["<0.001", "<0.001", "0.001", "0.050", "0.30", "1.00"]


def test_calibration_is_averaged_over_runs(tmp_path):
    # Seeds first, so that a fold does not weigh more for having two.
    for fold, seed, temperature in ((0, 1, 1.0), (0, 2, 1.0), (1, 1, 2.0)):
        folder = write_run(tmp_path / f"a{fold}{seed}", "a", fold, seed)
        results = json.loads((folder / "results.json").read_text())
        errors = dict.fromkeys(("clean", "seen", "unseen"), 0.1 * fold)
        results["calibration"] = {
            "temperature": temperature,
            "ece": errors,
            "uncalibrated_ece": {**errors, "seen": 0.3},
        }
        (folder / "results.json").write_text(json.dumps(results))
    write_run(tmp_path / "b", "b")
    table = calibration_table(find_runs([tmp_path]))
    assert table.rows == (
        ("a", "1.50", "0.050 -> 0.050", "0.300 -> 0.050", "0.050 -> 0.050"),
    )


def test_heat_map_counts_by_emotion_and_noise(tmp_path):
    run = read_run(write_run(tmp_path / "a", accuracy=0.5))
    kinds = [("clean", ""), ("seen", "rain"), ("unseen", "hum")]
    shares = recall_by_noise([run, run], kinds)
    assert shares.shape == (4, 3)
    # Of ten sad utterances in each condition, all are in the same noise.
    lines = [i for i, u in enumerate(run.utterances) if int(u[-3:]) % 4 == 1]
    hits = run.predicted[lines] == run.true[lines]
    assert shares[1, 0] == pytest.approx(hits[:, 0].mean())
    assert shares[1, 2] == pytest.approx(hits[:, 3:].mean())
    assert np.isnan(shares[1, 1])


# The whole


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of three systems over two folds, with a baseline."""
    folder = tmp_path_factory.mktemp("runs")
    for fold in (0, 1):
        write_run(folder / f"a{fold}", "sparse_merit", fold, shift=0.4)
        write_run(folder / f"b{fold}", "naive_mtl", fold, accuracy=0.5)
        write_run(folder / f"c{fold}", "se_only", fold, tasks=("se",))
        # A layer that one of the tasks has not reached in one of the epochs.
        cosines = {"1": {"layers.0": 0.5}, "2": {"layers.0": -1, "heads": 1}}
        path = folder / f"a{fold}" / "gradient_cosines.json"
        path.write_text(json.dumps(cosines))
    out = folder / "out"
    arguments = ["--out", str(out), "--baseline", "naive_mtl"]
    arguments += ["--resamples", "200"]
    assert main(["report", str(folder), *arguments]) == 0
    return out


def test_all_files_are_written(report):
    assert {path.name for path in report.iterdir()} == {
        "report.html",
        "report.md",
        "tables.tex",
        "figures",
    }
    figures = {path.name for path in (report / "figures").iterdir()}
    names = ["f1_macro", "ssnr_db", "pesq_wb", "stoi", "emotion_by_noise"]
    names += ["confusion_sparse_merit", "confusion_naive_mtl"]
    names += ["ssnr_db_gain", "pesq_wb_gain", "stoi_gain", "conflict"]
    assert figures == {f"{n}.{kind}" for n in names for kind in ("png", "pdf")}
    assert (report / "figures" / "stoi.pdf").read_bytes()[:4] == b"%PDF"


class References(HTMLParser):
    """Collects what a page refers to, and which tags are open."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.found += [v for k, v in attributes if k in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_no_other_file(report):
    text = (report / "report.html").read_text()
    page = References(text)
    assert page.open == []
    images = [r for r in page.found if r.startswith("data:image/png;base64,")]
    assert len(images) == 11
    links = [r for r in page.found if not r.startswith("data:")]
    assert links and all(f"id='{link[1:]}'" in text for link in links)
    assert "@media print" in text and "http" not in text
    for system in ("sparse_merit", "naive_mtl", "se_only", "unprocessed"):
        assert f"<th scope='row'>{system}</th>" in text


def test_markdown_says_the_same_and_shows_the_figures(report):
    text = (report / "report.md").read_text()
    for place in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (report / place).is_file()
    summary = text.split("## By condition")[0]
    rows = {
        line.split()[1]: line
        for line in summary.splitlines()
        if line[:1] == "|"
    }
    cells = [cell.strip() for cell in rows["se_only"].split("|")[1:-1]]
    # No emotions, and enhancement as that of the baseline.
    assert cells[1:4] == ["-", "-", "-"] and "*" not in cells[4]
    enhanced = [c.strip() for c in rows["sparse_merit"].split("|")[4:-1]]
    assert all(re.match(r"(\*\*)?\d\.\d+(\*\*)?\\\*", c) for c in enhanced[1:])
    page = (report / "report.html").read_text()
    for value in re.findall(r"\[\d.*?\]", summary):
        assert value in page


def test_latex_tables_are_whole(report):
    text = (report / "tables.tex").read_text()
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") > 8
    assert r"sparse\_merit" in text
    # Who pastes a table can say what its marks mean.
    assert re.search("^% A score marked \\* differs from", text, re.MULTILINE)


def test_any_name_of_a_system_makes_a_file(tmp_path):
    write_run(tmp_path / "a", system="../top 2")
    page = write_report(find_runs([tmp_path]), tmp_path / "out", None, 2)
    assert "Confusions of ../top 2" in page.read_text()
    assert (page.parent / "figures" / "confusion_..%2Ftop%202.png").is_file()
    text = (page.parent / "report.md").read_text()
    assert "(figures/confusion_..%252Ftop%25202.png)" in text


def test_without_a_baseline_nothing_is_tested(tmp_path):
    runs = find_runs([write_run(tmp_path / "a", tasks=("se",))])
    page = write_report(runs, tmp_path / "out", num_resamples=20)
    assert "Significance" not in page.read_text()


def test_errors_are_told_not_raised(tmp_path):
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    write_run(tmp_path / "a")
    arguments = ["--out", str(tmp_path / "out"), "--baseline", "nobody"]
    assert main(["report", str(tmp_path), *arguments]) == 1
    arguments[2:] = ["--resamples", "0"]
    assert main(["report", str(tmp_path), *arguments]) == 1
    assert not (tmp_path / "out" / "report.html").exists()
    arguments[1:] = [str(tmp_path / "a" / "results.json"), "--resamples", "2"]
    assert main(["report", str(tmp_path), *arguments]) == 1
