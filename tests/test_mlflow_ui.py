"""MLflow's pages on a sweep, in a browser, as `pullback ui` opens them."""

import signal
import subprocess
import sys

import pytest

NAMES = ("cross_entropy_vjp seed=0", "cross_entropy_fused seed=0")
SWEEP = ("-m", "loss=cross_entropy_vjp,cross_entropy_fused", "seed=0,1", "net.z1.width=20")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The link that `pullback ui` prints for a sweep of four runs with their pictures."""
    here = tmp_path_factory.mktemp("ui")
    command = [sys.executable, "-m", "pullback"]
    words = ["train", *SWEEP, "training.steps=60", "tracking.pictures=true"]
    subprocess.run([*command, *words], cwd=here, check=True, capture_output=True, timeout=120)
    command += ["ui", next((here / "runs").iterdir())]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, text=True) as served:
        yield served.stdout.readline().strip()
        served.send_signal(signal.SIGINT)
        assert served.wait(30) == 0


@pytest.fixture
def page(chromium, address):
    """A page that may ask nobody but this server."""
    server = address.partition("/#")[0]
    context = chromium.new_context(viewport={"width": 1500, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(60_000)

    def route(one):
        here = one.request.url.startswith((f"{server}/", "data:", "blob:"))
        one.continue_() if here else one.abort()

    opened.route("**/*", route)
    yield opened
    context.close()


def is_drawn(page, name):
    picture = page.get_by_alt_text(name)
    picture.wait_for()
    page.wait_for_function("picture => picture.naturalWidth > 300", arg=picture.element_handle())


def test_it_is_for_this_machine_alone(address):
    assert address.startswith("http://127.0.0.1:")


def test_runs_children_comparison_and_a_picture(page, saved, address):
    """The link leads to the runs; a sweep opens; two variants are compared; a picture is shown."""
    page.goto(address)
    sweep = page.locator(".ag-row", has_text="sweep of loss, seed")
    sweep.locator("button").first.click()
    for name in NAMES:
        page.get_by_role("link", name=name).wait_for()
    assert page.locator(".ag-row", has_text="cross_entropy").count() == 4
    saved(page, "mlflow-runs")
    for name in NAMES:
        row = page.locator(".ag-row", has_text=name)
        row.locator("input.ag-checkbox-input").check(force=True)
    page.get_by_role("button", name="Compare").click()
    page.get_by_text("Comparing 2 Runs").wait_for()
    for name in NAMES:
        page.get_by_role("cell", name=name).or_(page.get_by_text(name, exact=True)).first.wait_for()
    page.locator(".js-plotly-plot").first.wait_for()  # parallel coordinates over what differs
    saved(page, "mlflow-compare")

    page.goto(address)
    page.get_by_role("link", name=NAMES[0]).click()
    page.get_by_text("finished after 60 steps").wait_for()  # the description
    assert page.get_by_role("cell", name="test_loss").first.is_visible()  # a table, in Markdown
    page.get_by_text("pullback.sweep").first.wait_for()
    page.get_by_text("sweep of loss, seed").first.wait_for()
    saved(page, "mlflow-run", full_page=True)
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("pictures").click()
    page.get_by_text("boundary.png").click()
    is_drawn(page, "pictures/boundary.png")
    saved(page, "mlflow-picture")


def test_the_charts(page, saved, address):
    """Every metric over the steps, a colour a run."""
    page.goto(f"{address}&compareRunsMode=CHART")
    page.locator(".ag-row", has_text="sweep of loss, seed").locator("button").first.click()
    page.get_by_text("gradient_norm", exact=True).first.wait_for()
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
    saved(page, "mlflow-charts")


def test_the_pictures_and_the_table_of_the_sweep(page, saved, address):
    page.goto(address)
    page.get_by_role("link", name="sweep of loss, seed").click()
    page.get_by_text("Mean ± sample standard deviation over 2 runs each.").wait_for()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("curves.png").click()
    is_drawn(page, "curves.png")
    saved(page, "mlflow-sweep")


def test_a_server_has_a_link_too(pullback, address):
    server = address.partition("/#")[0]
    assert pullback("ui", "--uri", server).stdout.strip() == address
    dead = pullback("ui", "--uri", "http://127.0.0.1:9")
    assert dead.returncode == 1
    assert "MLflow at http://127.0.0.1:9" in dead.stderr
    assert "Traceback" not in dead.stderr
