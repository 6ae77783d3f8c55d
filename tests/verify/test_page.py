"""The page of ``pullback check --html``, and a report in a notebook: whole, alone, escaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from wrong_units import Diagonal, Raises, Uphill

from pullback import check, cli
from pullback.verify.outcome import START, Report, Result
from pullback.verify.page import fragment, page
from pullback.verify.table import MARKS, questions

VERSIONS = {"pullback": "0.0", "numpy": "2.0"}
# Elements that have no end.
EMPTY = {"meta", "br", "hr", "img", "link", "input", "source"}
ELSEWHERE = re.compile(r"https?:|//[\w-]+\.|@import|url\s*\(|javascript:", re.I)


class Reader(HTMLParser):
    """What a browser reads: elements that end where they should, their attributes, the text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], f"never ended: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data
            if {"td", "th"} & set(self.open):
                self.cells[-1][-1] += data

    def all(self, tag):
        return [attrs for one, attrs in self.tags if one == tag]


@pytest.fixture(scope="module")
def reports():
    return [*map(check, ("softmax", "mse", "sgd")), *map(check, (Diagonal, Raises(), Uphill()))]


@pytest.fixture(scope="module")
def whole(reports):
    return page(reports, 1.0, VERSIONS)


def test_the_page_is_well_formed_and_needs_nothing_else(whole):
    assert whole.startswith("<!doctype html>")
    read = Reader(whole)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in read.tags}
    for _, attrs in read.tags:
        assert not {"src", "srcset", "data", "action", "onclick", "onload"} & set(attrs)
    links = [attrs["href"] for attrs in read.all("a")]
    assert links
    assert all(link.startswith("#") for link in links)
    (style,) = re.findall(r"<style>(.*?)</style>", whole, re.S)
    assert not ELSEWHERE.search(style)
    assert style.count("{") == style.count("}")


@pytest.mark.parametrize("bad", ["@import 'x'", "url(x)", "https://x.org", "src: //cdn.org/x"])
def test_the_search_finds_what_comes_from_elsewhere(bad):
    assert ELSEWHERE.search(bad)


@pytest.mark.parametrize("bad", ["<p><b></p></b>", "<table><tr></table>", "<div>"])
def test_the_reader_refuses_what_is_not_well_formed(bad):
    with pytest.raises((AssertionError, IndexError)):
        Reader(bad)


def test_every_link_has_its_place_and_every_place_is_one(whole):
    read = Reader(whole)
    places = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert len(places) == len(set(places))
    assert {attrs["href"][1:] for attrs in read.all("a")} == set(places)


def test_every_unit_and_every_check_is_there(reports, whole):
    rows = [tuple(row) for row in Reader(whole).cells]
    for report in reports:
        in_grid = [row for row in rows if row[:2] == (report.name, report.kind)]
        marks = tuple(MARKS[one.status] for one in report.results)
        assert [row[2:-1] for row in in_grid] == [marks]
        for one in report.results:
            found = [row for row in rows if row[:2] == (one.check, one.status)]
            said = one.message or questions(report.kind)[one.check]
            assert any(said in row[3] for row in found), (report.name, one.check)
    assert sum(one.get("open", "no") is None for one in Reader(whole).all("details")) == 3


def test_what_is_wrong_comes_first_with_its_counts(reports, whole):
    text = Reader(whole).text
    assert text.index("What is wrong") < text.index("All units") < text.index("Every check")
    wrong = text[text.index("What is wrong") : text.index("All units")]
    for report in reports:
        for told in report.told():
            assert told in wrong
    failed = sum(len(report.failures) for report in reports)
    assert f"{failed} fail" in text
    assert "6 units, 1.0 s · pullback 0.0 · numpy 2.0" in text


def test_one_unit_has_no_grid_and_a_right_one_no_list_of_wrongs(reports):
    text = Reader(page(reports[:1], 1.0, VERSIONS)).text
    assert "Checks of softmax" in text
    assert "All units" not in text
    assert "What is wrong" not in text


def test_what_a_unit_says_is_text_and_no_part_of_the_page(whole):
    assert "<script" not in whole
    assert "<script>alert('no')</script> & [bold]no[/bold]" in Reader(whole).text
    hostile = '"><b onclick=x>&amp;'
    names = {"kind": hostile, "name": hostile, "family": hostile, "provider": hostile}
    result = Result(hostile, "fail", hostile, mistake=hostile, explanation=hostile, example=hostile)
    report = Report(**{**names, "kind": "layer"}, results=[result])
    for text in (page([report], 0.0, {hostile: hostile}), fragment(report)):
        read = Reader(text)
        assert not [attrs for _, attrs in read.tags if "onclick" in attrs]
        assert read.text.count(hostile) >= 6


def test_a_unit_that_cannot_be_made_says_why():
    report = Report("layer", "x", "x", "", [Result(START, "fail", "it cannot be made: <no>")])
    rows = Reader(page([report, report], 0.0, VERSIONS)).cells
    assert ["x", "layer", "it cannot be made: <no>", ""] in rows


def test_light_and_dark_are_the_readers_own(whole):
    (style,) = re.findall(r"<style>(.*?)</style>", whole, re.S)
    assert "color-scheme: light dark" in style
    for name in ("pass", "fail", "inconclusive", "quiet", "line"):
        assert re.search(rf"--{name}: light-dark\(#\w+, #\w+\)", style)


def test_a_notebook_shows_a_report_and_keeps_its_own_looks(reports):
    for report in reports:
        text = report._repr_html_()
        read = Reader(text)
        assert [row[0] for row in read.cells] == ["check", *(one.check for one in report.results)]
        assert all(told in read.text for told in report.told())
        (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
        selectors = re.findall(r"^\s*([^\s{}][^{};]*)\{", style, re.M)
        assert selectors
        assert all(
            one.strip().startswith(".pullback")
            for several in selectors
            for one in several.split(",")
        )
        assert not ELSEWHERE.search(style)


def test_the_command_writes_the_page_beside_its_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["check", "identity", "--html", "page.html"]) == 0
    out, err = capsys.readouterr()
    assert "✓ pullback" in out
    assert err == "wrote page.html\n"
    assert "Checks of identity" in Reader((tmp_path / "page.html").read_text(encoding="utf-8")).text
