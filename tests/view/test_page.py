"""The self-contained page in a real browser: loads from a file, asks for nothing, and does what it offers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from story_kit import a_merge
from view_kit import OTHER, RUN, Book, a_day, at

from gastown_tracing.view import html, linked, pages, together
from tests.processes import wait_until

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")

Show = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One headless Chromium for all tests of this file."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Show]:
    """Return a function that opens a book's page; after it: a silent console, no request but the file's."""
    said: list[str] = []
    asked: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()

    def heard(message: ConsoleMessage) -> None:
        said.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))

    def open_page(shown: Book | together.Picture, **choice: object) -> Page:
        file = tmp_path / "trace.html"
        if isinstance(shown, together.Picture):
            page_text = pages.render(shown, UTC)
        else:
            page_text = html.render(shown.trace(**choice), UTC)
        file.write_text(page_text, encoding="utf-8")
        page.goto(file.as_uri())
        page.wait_for_selector(".row, #nothing:not([hidden])")
        return page

    yield open_page
    assert said == []
    assert asked == [(tmp_path / "trace.html").as_uri()]
    context.close()


def titles(page: Page) -> list[str]:
    """Return the titles of the rows in the document."""
    return page.locator(".row .title").all_inner_texts()


def row(page: Page, title: str):  # type: ignore[no-untyped-def]
    """Return the row with exactly this title."""
    return page.locator(".row", has=page.get_by_text(title, exact=True)).first


def test_the_page_shows_the_session_and_its_waterfall(tmp_path: Path, show: Show) -> None:
    """Header, state, counts, rows in order with bars, folds with their failures, the shortened idle time."""
    page = show(a_day(tmp_path / "j"))
    expect(page.locator("h1")).to_have_text("gt-gastown-toast")
    expect(page.locator("#state")).to_have_text("ended: done")
    expect(page.locator("#facts")).to_contain_text(RUN)
    assert titles(page)[:6] == [
        "gt.session gt-gastown-toast",
        "session.start",
        "prime gt-abc",
        "bd show",
        "bd update",
        "bd list",
    ]
    expect(row(page, "bd list")).to_contain_text("2 failed")
    assert row(page, "bd list").locator(".bar").count() == 84
    expect(page.locator("#axis .gap")).to_have_text("12m 15s")
    root, prime = (
        row(page, title).locator(".bar").bounding_box()
        for title in ("gt.session gt-gastown-toast", "prime gt-abc")
    )
    assert root is not None
    assert prime is not None
    assert root["width"] > 20 * prime["width"] > 0


def test_rows_unfold_and_collapse(tmp_path: Path, show: Show) -> None:
    """A click on the triangle, the arrow keys and the two buttons."""
    page = show(a_day(tmp_path / "j"))
    before = int(page.get_attribute("#tree", "aria-rowcount") or 0)
    row(page, "bd list").locator(".twist").click()
    expect(page.locator("#tree")).to_have_attribute("aria-rowcount", str(before + 84))
    page.click("#collapse")
    expect(page.locator("#tree")).to_have_attribute("aria-rowcount", "9")
    page.click("#expand")
    expect(page.locator("#tree")).to_have_attribute("aria-rowcount", str(before + 84))
    page.focus("#tree")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tree")).to_have_attribute("aria-rowcount", "1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator('.row[aria-selected="true"] .title')).to_have_text("session.start")


def test_search_finds_marks_and_unfolds(tmp_path: Path, show: Show) -> None:
    """Names, attributes and logs are searched; Enter goes from hit to hit, into folds too."""
    page = show(a_day(tmp_path / "j"))
    page.keyboard.press("/")
    page.keyboard.type("CLAIM")
    expect(page.locator("#found")).to_have_text("2 found")
    assert page.locator("mark").all_inner_texts() == ["claim", "claim"]
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_have_text("1 of 2")
    page.fill("#search", "4064")  # the pid of one bd list inside the fold
    page.press("#search", "Enter")
    expect(page.locator('.row[aria-selected="true"] .title')).to_have_text("bd list")
    expect(page.locator("#details")).to_contain_text("bd[4064]")
    page.fill("#search", "nothing like it")
    expect(page.locator("#found")).to_have_text("nothing found")


def test_details_show_everything_that_was_recorded(tmp_path: Path, show: Show) -> None:
    """Failure, attributes, log records, links both ways, resource, and why an orphan is where it is."""
    page = show(a_day(tmp_path / "j"))
    details = page.locator("#details")
    page.get_by_text("bd update", exact=True).nth(1).click()
    expect(details.locator(".why")).to_have_text("exit 1: claim lost: gt-abc is held by gastown/rust")
    expect(details).to_contain_text("update gt-abc --claim")
    expect(details.locator(".record.bad")).to_contain_text("claim lost")
    details.get_by_text("Resource").click()
    expect(details).to_contain_text("host.name")
    row(page, "session.start").click()
    expect(details.locator(".link")).to_contain_text("caused by sling gt-abc")
    row(page, "mail send → mayor/").click()
    expect(details.locator(".link")).to_contain_text("caused mail read")
    row(page, "bd ready").click()
    expect(details).to_contain_text("parent deaddeaddeaddead has not arrived")
    page.keyboard.press("Escape")
    expect(details).to_be_hidden()


def width_of(page: Page, title: str) -> float:
    """Return how wide a row's bar is, 0 where it is out of sight."""
    bar = row(page, title).locator(".bar")
    box = bar.bounding_box() if bar.count() else None
    return box["width"] if box else 0


def test_zoom_by_wheel_keys_drag_and_button(tmp_path: Path, show: Show) -> None:
    """Each makes a bar wider, and 0 or Fit brings everything back."""
    page = show(a_day(tmp_path / "j"))
    row(page, "prime gt-abc").locator(".title").click()
    expect(page.locator("#details")).to_be_visible()
    wait_until(lambda: 0 < width_of(page, "gt.session gt-gastown-toast") < 500, "room for the details")
    small = width_of(page, "prime gt-abc")

    def zoomed(how: str) -> None:
        wait_until(lambda: width_of(page, "prime gt-abc") > 1.3 * small, f"zoom by {how}")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("0")
        wait_until(lambda: abs(width_of(page, "prime gt-abc") - small) < 1, f"back from zoom by {how}")

    lane = page.locator("#axis").bounding_box()
    assert lane
    page.mouse.move(lane["x"] + 5, lane["y"] + 5)
    page.mouse.wheel(0, -240)
    zoomed("wheel")
    page.mouse.move(lane["x"] + 2, lane["y"] + 10)
    page.mouse.down()
    page.mouse.move(lane["x"] + lane["width"] / 4, lane["y"] + 10, steps=4)
    page.mouse.up()
    zoomed("drag")
    page.keyboard.press("z")
    zoomed("going to a span")
    page.keyboard.press("+")
    zoomed("key")
    page.click("#in")
    zoomed("button")


def test_errors_are_one_key_apart(tmp_path: Path, show: Show) -> None:
    """The button and the key e go to each failed span, inside folds too."""
    page = show(a_day(tmp_path / "j"))
    expect(page.locator("#errors")).to_have_text("3 errors")
    page.click("#errors")
    expect(page.locator("#details .why")).to_have_text("exit 1")
    page.focus("#tree")
    page.keyboard.press("e")
    page.keyboard.press("e")
    expect(page.locator("#details .why")).to_contain_text("claim lost")


def test_hostile_names_and_content_are_inert(tmp_path: Path, show: Show) -> None:
    """Tags, closed scripts, comments and line separators in every field are shown as the text they are."""
    attack = "</script><script>alert(1)</script><!--<script><img src=x onerror=alert(2)>\u2028\u2029]]>&lt;"
    book = Book(
        tmp_path / "j",
        info={"session": attack, "rig": attack, "role": attack, "host": attack, "issue_id": attack},
    )
    span = book.span(
        attack, 1, 2, error=attack, attributes={attack: attack, "work_bead": attack}, link=("ab" * 16, attack)
    )
    book.span(
        "exec", 2, 3, attack, attributes={"name": attack, "process.executable.name": attack, "process.pid": 1}
    )
    book.log(attack, 1.5, span, body=attack, **{attack: attack})
    book.close(10, attack)
    page = show(book)
    assert page.locator("h1").inner_text().startswith("</script><script>alert(1)")
    page.locator(".row").nth(1).click()
    expect(page.locator("#details")).to_contain_text("onerror=alert(2)")
    assert page.locator("script").count() == 2
    assert page.locator("img").count() == 0


def test_what_steers_the_direction_of_text_does_not(tmp_path: Path, show: Show) -> None:
    """Overrides, isolates and joiners are left out of every line; values as recorded show them as codes."""
    steering = "\u202e\u2066\u200d\U000e0041"
    evil = f"a{steering}b"
    other = Book(tmp_path / "j", OTHER, {"session": evil})
    cause = other.span(evil, -2, -1)
    book = Book(tmp_path / "j", info=dict.fromkeys(["session", "rig", "role", "host", "issue_id"], evil))
    values = {evil: evil, "work_bead": evil, "process.executable.name": evil, "process.pid": 1}
    span = book.span(evil, 1, 2, error=f"{evil}\n{evil}", attributes=values, link=(OTHER, cause))
    book.log(evil, 1.5, span, body=f"said {evil}", **{evil: evil})
    book.close(10, evil)
    page = show(book)
    page.locator(".row").nth(1).click()
    details = page.locator("#details")
    shown = r"a\u202e\u2066\u200d\u{e0041}b"
    expect(details.locator("tr").filter(has=page.get_by_role("rowheader", name=shown)).first).to_contain_text(
        shown
    )
    expect(details).to_contain_text(f"said {shown}")
    expect(details.locator(".why")).to_have_text("ab\nab", use_inner_text=True)
    expect(details.locator(".link")).to_contain_text("caused by ab")
    assert not set(steering) & set(page.evaluate("document.documentElement.innerText + document.title"))
    assert page.locator("h1").inner_text() == "ab"


def test_a_choice_of_nothing_says_so_and_takes_every_key(tmp_path: Path, show: Show) -> None:
    """No failed span, and only those asked for: a sentence, controls that are off, keys that do nothing."""
    book = Book(tmp_path / "j")
    book.span("exec", 1, 2)
    book.close(10)
    page = show(book, failed=True)
    expect(page.locator("#nothing")).to_have_text("Nothing to show: none of 2 spans is in this choice.")
    expect(page.locator("h1")).to_have_text("gt-gastown-toast")
    for key in (
        "+",
        "-",
        "0",
        "z",
        "e",
        "n",
        "Enter",
        "Home",
        "End",
        "ArrowDown",
        "ArrowRight",
        "PageDown",
        "/",
        "i",
    ):
        page.focus("#tree")
        page.keyboard.press(key)
    for button in page.locator("#tools button").all():
        expect(button).to_be_disabled()
    page.locator("#axis").click()
    page.set_viewport_size({"width": 900, "height": 600})


def test_ten_thousand_spans_stay_few_elements(tmp_path: Path, show: Show) -> None:
    """Only the rows in sight are in the document, and the last one is one key away."""
    book = Book(tmp_path / "j")
    lines = [
        book.line(f"call {number}", number / 100, number / 100 + 0.005, "9a0c0305e82c3301")
        for number in range(10_000)
    ]
    (book.directory / "traces.jsonl").write_text("\n".join(lines) + "\n")
    book.close(100)
    page = show(book)
    assert page.locator(".row").count() < 80
    page.focus("#tree")
    page.keyboard.press("End")
    expect(page.locator('.row[aria-selected="true"] .title')).to_have_text("call 9999")
    assert page.locator(".row").count() < 80


def test_a_screen_reader_and_a_printer_are_served(tmp_path: Path, show: Show) -> None:
    """The tree has roles, levels and a name; the active row is announced; on paper all rows are there."""
    page = show(a_day(tmp_path / "j"))
    tree = page.get_by_role("treegrid", name="Spans")
    tree.focus()
    page.keyboard.press("ArrowDown")
    chosen = page.locator('.row[aria-selected="true"]')
    expect(chosen).to_have_attribute("aria-level", "2")
    assert tree.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    expect(page.get_by_role("searchbox")).to_be_visible()
    page.click("#expand")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".row").count() == 97
    expect(page.locator("#tools")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_colour_scheme(tmp_path: Path, show: Show, scheme: str) -> None:
    """Dark is dark and light is light, and text stands out from its ground."""
    page = show(a_day(tmp_path / "j"))
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]

    def lightness(selector: str, name: str) -> float:
        colour = page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{name}")
        return sum(map(int, colour.removeprefix("rgb(").rstrip(")").split(","))) / 3

    ground, ink = lightness("body", "backgroundColor"), lightness(".row .title", "color")
    dark, light = sorted([ground, ink])
    assert dark < 60
    assert light > 180
    assert (ground < ink) is (scheme == "dark")


def test_lengths_say_what_is_known_of_them(tmp_path: Path, show: Show) -> None:
    """A minimum is marked as one, nothing known is a question mark, a fold's length is a sum."""
    book = Book(tmp_path / "j")
    for number in range(4):
        book.span("bd.call", number, number + 0.5, error="" if number == 2 else None, subcommand="list")
    book.marker("bd.call", 5, live=False, died=9, subcommand="show")
    book.marker("bd.call", 6, live=False, died=6, subcommand="ready")
    book.close(10, "lost", **{"gastown.evidence": "its process 7 is gone"})
    page = show(book)
    expect(page.locator(".row .took")).to_have_text(["≥ 10.0 s", "Σ 2.0 s", "≥ 4.0 s", "?"])
    expect(page.locator(".row .chip.bad").first).to_have_text("✗ 1 failed")
    expect(page.locator("#notes")).to_contain_text("Found dead later: its process 7 is gone.")


def the_story(root: Path, **choice: Any) -> together.Picture:
    """Return the picture of a bead's whole story."""
    journal = a_merge(root)["polecat"].journal
    return together.build(linked.Stories(journal, "de-1tr").gather(), at(4200), **choice)


def test_linked_traces_are_one_page(tmp_path: Path, show: Show) -> None:
    """A row a trace with its spans below, on one axis, and how long what waited for whom in the header."""
    page = show(the_story(tmp_path / "j"))
    expect(page.locator("h1")).to_have_text("bead de-1tr · 4 linked traces")
    expect(page.locator("#facts")).to_contain_text("48m 00s · B2 bd create of a merge request ⇢ bd update")
    expect(page.locator("#facts")).to_contain_text("Errors1")
    blocks = page.locator(".row.block .title").all_inner_texts()
    assert blocks == ["A outside any session", "B de-demo-rust", "C hq-mayor", "D de-demo-refinery"]
    sling, merge = (
        row(page, title).locator(".bar").last.bounding_box() for title in ("sling de-1tr → demo", "bd close")
    )
    assert sling is not None
    assert merge is not None
    assert sling["x"] < merge["x"]


def test_links_on_the_page_lead_to_each_other(tmp_path: Path, show: Show) -> None:
    """A mark on a row, and a link in the details, choose the row of the other end; lines join them."""
    page = show(the_story(tmp_path / "j"))
    assert page.locator("#grid path").count() == 5
    row(page, "mail send → mayor/").locator(".chip.link").click()
    expect(page.locator('.row[aria-selected="true"] .title')).to_have_text("mail read from demo/rust")
    assert page.locator("#grid path.chosen").count() == 1
    expect(page.locator("#details .link")).to_have_text(
        "⇠ B1 mail send → mayor/ · de-demo-rust, waited 1m 11s"
    )
    page.click("#details .jump")
    expect(page.locator('.row[aria-selected="true"] .title')).to_have_text("mail send → mayor/")
    expect(page.locator("#details .link")).to_have_text("⇢ B1 mail read from demo/rust in C, 1m 11s later")


def test_what_a_block_hides_keeps_its_lines(tmp_path: Path, show: Show) -> None:
    """Folded away, an end of a link is drawn at the row that hides it."""
    page = show(the_story(tmp_path / "j"))
    before = page.locator("#grid path").count()
    page.click("#collapse")
    expect(page.locator("#tree")).to_have_attribute("aria-rowcount", "8")
    assert page.locator("#grid path").count() == before


def test_mail_that_waits_is_marked_on_the_page(tmp_path: Path, show: Show) -> None:
    """A chip on the row, the whole words in its details."""
    books = a_merge(tmp_path / "j", merged=False)
    page = show(books["polecat"])
    expect(row(page, "bd create")).to_contain_text("not taken yet")
    row(page, "bd create").locator(".title").click()
    expect(page.locator("#details")).to_contain_text("not taken yet, as far as is recorded")
