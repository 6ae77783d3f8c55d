"""The report, in a browser without a network: what it says, and where its numbers lead."""

import json
import re

import pytest
from making import FOUR, compare, make_run

from pullback.compare.evidence import gather
from pullback.compare.runs import read
from pullback.identity import digest
from pullback.registry import lookup

UNITS = {"loss": "cross_entropy_fused", "optimizer": "sgd", "net.a1": "tanh", "dataset": "moons"}


def facts(change=None, **environment):
    sources = {
        "loss": digest(lookup("loss", UNITS["loss"])),
        "optimizer": digest(lookup("optimizer", "sgd")),
        "net.a1": digest(lookup("layer", "tanh")),
    }
    return {
        "providers": dict.fromkeys(UNITS, "pullback"),
        "sources": sources | (change or {}),
        "environment": {"numpy": "2.4.0", "cores": 2, **environment},
        "identity": "0123456789abcdef",
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two rates, two widths, three seeds; one run failed, one ran elsewhere."""
    tmp_path = tmp_path_factory.mktemp("report")
    for number in range(12):
        lr, width, seed = 0.1 * (1 + number // 6), (5, 50)[number // 3 % 2], number % 3
        options = {"seed": seed, "optimizer.lr": lr, "net.z1.width": width, "dtype": "float32"}
        options |= {"net.a1": "tanh", "loss.name": UNITS["loss"], "optimizer.name": "sgd"}
        metrics = {
            "train_loss": 0.1 + lr * width + seed,
            "test_loss": 0.1 + lr * width + seed,
            "test_accuracy": 0.9,
            "step_seconds": width * 1e-5,
        }
        make_run(
            tmp_path / "runs" / str(number),
            options,
            metrics if number else None,
            "finished" if number else "failed",
            "" if number else "not finite at <b>step</b> 3",
            curve=[(step, {"train_loss": 1 / (1 + step)}) for step in range(5)],
            **facts(**({"numpy": "1.0.0"} if number == 5 else {})),
        )
    state = {"run_id": "abc123"}
    (tmp_path / "runs" / "3" / "mlflow.json").write_text(json.dumps(state))
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def text(runs):
    file = runs.parent / "report.html"
    assert compare(runs, "--html", file) == 0
    return file.read_text(encoding="utf-8")


def rows(browser, table):
    return [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]


def test_every_number_leads_to_its_runs(look, text, runs):
    browser = look(text)
    variants = browser.locator("table").first
    links = variants.locator("tbody tr").nth(1).locator("td a")
    assert links.count() == variants.locator("tbody tr").nth(1).locator("td").count()
    place = browser.locator(links.first.get_attribute("href"))
    assert not place.is_visible()
    links.last.click()
    assert place.is_visible()  # the browser opens what was closed
    own = place.locator("table")
    heads = own.locator("th").all_inner_texts()
    found = rows(browser, own)
    assert [row[0] for row in found] == ["seed=0", "seed=1", "seed=2"]
    loss = heads.index("test_loss")
    expected = [json.loads((runs / n / "end.json").read_text()) for n in ("3", "4", "5")]
    assert [float(row[loss]) for row in found] == [
        float(f"{one['metrics']['test_loss']:.6g}") for one in expected
    ]
    evidence = own.locator("tbody tr").first.locator("td").last
    assert "identity 0123456789abcdef · MLflow abc123" in evidence.inner_text()
    for link in own.locator("tbody a").all():
        address = link.get_attribute("href")
        assert address.startswith("#") or (runs.parent / address).exists(), address
    assert [row[heads.index("where")] for row in found] == ["A", "A", "B"]


def test_the_table_of_variants(look, four, tmp_path):
    assert compare(four, "--html", tmp_path / "r.html") == 0
    browser = look((tmp_path / "r.html").read_text(encoding="utf-8"))
    found = rows(browser, browser.locator("table").first)
    assert len(found) == 4
    assert found[1] == [FOUR[1], "0.1437 ± 0.0021", "95.5 ± 0.4", "213 ± 4", "1.60", "1.2e-07"]


def test_what_a_name_may_hold_is_text(look, tmp_path):
    names = ("<script>alert(1)</script>", "a|b\nc", "$x_{")
    for number, name in enumerate(names):
        make_run(tmp_path / "runs" / str(number), {"loss.name": name}, {"train_loss": 1.0})
    assert compare(tmp_path / "runs", "--html", tmp_path / "r.html") == 0
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in text
    assert text.count("<script>") == 1  # the page's own
    browser = look(text)
    assert rows(browser, browser.locator("table").first)[0][0] == names[0]


def test_a_failed_run_says_why_and_names_are_text(look, text):
    browser = look(text)
    browser.locator("table tbody a").first.click()
    failed = browser.locator("#variant-0 tbody tr").first
    assert "failed" in failed.inner_text()
    assert "not finite at <b>step</b> 3" in failed.inner_text()
    assert browser.locator("#variant-0 b").count() == 0


def test_environments_stand_side_by_side(look, text):
    browser = look(text)
    table = browser.locator("#environments + .wide table")
    assert table.locator("th").all_inner_texts()[1:] == ["A: 11 runs", "B: 1 run"]
    found = {row[0]: row[1:] for row in rows(browser, table)}
    assert found["numpy"] == ["2.4.0", "1.0.0"]
    assert found["cores"] == ["2", "2"]
    assert table.locator("b").all_inner_texts() == ["numpy", "2.4.0", "1.0.0"]


def test_pictures_differences_and_the_common_config(look, text):
    browser = look(text)
    assert browser.locator("figure svg").count() == 4
    boxes = [one.bounding_box() for one in browser.locator("figure svg").all()]
    assert all(box["width"] > 300 for box in boxes)
    assert browser.locator("h2", has_text="Do they differ?").count() == 1
    browser.locator("summary", has_text="in common").click()
    common = browser.locator("details", has_text="in common").locator("tr")
    assert "dtype\tfloat32" in common.all_inner_texts()


def test_a_heading_sorts(look, text):
    browser = look(text)
    table = browser.locator("table").first
    place = table.locator("th").all_inner_texts().index("test loss")

    def column():
        return [float(row[place].split(" ±")[0]) for row in rows(browser, table)]

    before = column()
    button = table.get_by_role("button", name="test loss")
    button.click()
    assert column() == sorted(before)
    button.click()
    assert column() == sorted(before, reverse=True)
    assert table.locator("th[aria-sort=descending]").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1300])
def test_it_fits_every_screen(look, saved, text, width, scheme):
    browser = look(text, width=width, color_scheme=scheme)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    saved(browser, f"report-{width}-{scheme}", full_page=True)


def test_without_a_script_all_is_there(look, text):
    browser = look(text, java_script_enabled=False)
    assert browser.locator("figure svg").count() == 4
    browser.locator("summary").first.click()
    assert browser.locator("th button").count() == 0


# The evidence of the checks


def test_the_checks_of_the_units_that_the_runs_used(look, text):
    browser = look(text)
    table = browser.locator("h2", has_text="Evidence").locator("+ .wide table")
    found = {row[0]: row for row in rows(browser, table)}
    assert list(found) == ["tanh", "cross_entropy_fused", "sgd"]
    for row in found.values():
        passed, failed = int(row[2]), int(row[3])
        assert passed > 5
        assert failed == 0
        assert row[-2:] == ["12", "the source that the runs used"]


def test_another_source_is_told(tmp_path):
    """A run of an older source, of none that was kept, and of a unit that is not here."""
    old = make_run(tmp_path / "old", {"net.a1": "tanh"}, **facts({"net.a1": "another"}))
    bare = make_run(tmp_path / "bare", {"net.a1": "tanh"}, providers={"net.a1": "x"})
    gone = make_run(tmp_path / "gone", {"loss.name": "nobodys"}, providers={"loss": "x"})
    new = make_run(tmp_path / "new", {"net.a1": "tanh"}, **facts())

    def told(*directories):
        return [one.told for one in gather(map(read, map(str, directories)), str)]

    assert told(old) == ["the source has changed since the runs"]
    assert told(old, new) == ["the source that 1 of 2 runs used"]
    assert told(bare) == ["the runs kept no digest of the source"]
    assert told(gone) == ["not installed here: --plugins FILE has it checked"]


def test_a_wrong_unit_is_seen_in_the_report(look, pullback, tmp_path, four):
    """The file of a unit whose backward is wrong: trained, compared, and found."""
    file = tmp_path / "mine.py"
    file.write_text(
        '"""One of mine."""\n\nfrom dataclasses import dataclass\n\n'
        "import numpy as np\n\nfrom pullback import register\n\n\n"
        "@register\n@dataclass(frozen=True)\nclass Bent:\n"
        '    """y = tanh x."""\n\n    def forward(self, x):\n        y = np.tanh(x)\n'
        "        return y, y\n\n    def backward(self, y, dy):\n        return dy * (1 - y)\n"
    )
    words = ["train", "plugins=[mine.py]", "net.a1=bent", "training.steps=20", "tracking=none"]
    assert pullback(*words).returncode == 0
    done = pullback("compare", "--plugins", "mine.py", "--html", "r.html")
    assert done.returncode == 0, done.stderr
    browser = look((tmp_path / "r.html").read_text(encoding="utf-8"))
    told = browser.locator("blockquote").inner_text()
    assert "pullback" in told
    row = browser.locator("h2", has_text="Evidence").locator("+ .wide tr", has_text="bent")
    assert "the source that the runs used" in row.inner_text()
    without = pullback("compare", "--html", "s.html")
    assert without.returncode == 0, without.stderr
    assert re.search("bent.*not installed here", (tmp_path / "s.html").read_text(encoding="utf-8"))


def test_a_thousand_runs_make_a_page(tmp_path):
    """As text: a browser shows megabytes of it, and a suite need not wait for that."""
    options = {"loss.name": "mse", "dtype": "float32"}
    for number in range(1000):
        own = {"seed": number % 10, "optimizer.lr": number // 10}
        make_run(tmp_path / "runs" / str(number), options | own, {"train_loss": number / 7})
    assert compare(tmp_path / "runs", "--html", tmp_path / "r.html") == 0
    assert (tmp_path / "r.html").read_text(encoding="utf-8").count(">run.json<") == 1000
    assert (tmp_path / "r.html").stat().st_size < 5e6
