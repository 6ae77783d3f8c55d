"""The page of a trace, in a browser: it steps, it fits, and it asks nobody for anything."""

import pytest
from networks import founding

from pullback import Net, build, trace
from pullback.tracing.page import fragment, page


@pytest.fixture(scope="module")
def found():
    return founding()


@pytest.fixture(scope="module")
def text(found):
    return page(found)


def symbol(browser):
    return browser.locator(".step.now h2").inner_text().split(" = ")[0]


def test_every_step_is_reached_forward_and_back(look, saved, text, found):
    browser = look(text)
    seen = [symbol(browser)]
    assert browser.get_by_role("button", name="previous").is_disabled()
    for _ in found.steps[1:]:
        browser.get_by_role("button", name="next").click()
        seen.append(symbol(browser))
    assert seen == [one.symbol for one in found.steps]
    assert browser.get_by_role("button", name="next").is_disabled()
    assert browser.locator("#place").inner_text() == f"{len(seen)} of {len(seen)}"
    browser.keyboard.press("ArrowLeft")
    assert symbol(browser) == seen[-2]
    assert browser.locator("[aria-current=step] text").first.inner_text
    saved(browser, "trace")


def test_the_picture_shows_where_one_is_and_leads_there(look, text, found):
    browser = look(text)
    boxes = browser.locator(".network a")
    assert boxes.count() == len(found.steps)
    browser.locator(".network a", has_text="dz2").click()
    assert symbol(browser) == "dz2"
    now = browser.locator(".network .now")
    assert now.count() == 1
    assert "dz2" in now.text_content()
    assert browser.evaluate("location.hash").startswith("#step-")
    assert browser.evaluate("scrollY") == 0
    shown = browser.locator(".step.now figure b").all_inner_texts()
    assert shown == ["dz2", "z2"]


def test_a_step_has_an_address(look, text):
    browser = look(text)
    browser.evaluate("location.hash = '#step-9'")
    browser.wait_for_function("document.querySelector('#step-9').classList.contains('now')")
    assert symbol(browser) == "dl"


def test_the_maps_are_pictures_of_the_arrays(look, text, found):
    browser = look(text)
    browser.get_by_role("button", name="all steps").click()
    assert browser.locator(".step:visible").count() == len(found.steps)
    sizes = browser.evaluate(
        "[...document.querySelectorAll('.step img')].map(i => [i.naturalHeight, i.naturalWidth])"
    )
    assert [500, 2] in sizes
    assert [1, 500] in sizes
    assert all(height and width for height, width in sizes)


@pytest.mark.parametrize("width", [400, 800, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_screen(look, saved, text, width, scheme):
    browser = look(text, width=width, color_scheme=scheme)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    saved(browser, f"trace-{width}-{scheme}")


def test_without_a_script_it_is_a_list(look, text, found):
    browser = look(text, java_script_enabled=False)
    assert browser.locator(".step:visible").count() == len(found.steps)
    assert not browser.locator(".buttons").is_visible()


def test_a_notebook_has_the_list(look, found):
    browser = look(fragment(found))
    assert browser.locator(".step:visible").count() == len(found.steps)
    assert browser.locator("script").count() == 0


def test_names_are_escaped(look):
    net = Net({"<b>z</b>": {"name": "affine", "width": 2}}, 2, dtype="float64")
    found = trace(net, build("loss", "mse"), [[1.0, 2.0]], [[0.0, 1.0]])
    browser = look(page(found))
    assert browser.locator("h2 b").count() == 0
    assert symbol(browser) == "<b>z</b>"
