"""Opens the reports that report.sh has made, and uses them as a person would."""

import os
import signal
import sys

from browser import Browser, colors

FOLDER = sys.argv[1]


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def no_problems(browser, where):
    check(not browser.problems, f"{where}: {browser.problems[:5]}")
    check(browser.evaluate("document.body.dataset.ready") == "true", f"{where}: not drawn")
    check(browser.evaluate("document.body.dataset.errors") == "0", f"{where}: script errors")
    check(not browser.requests, f"{where}: the page asked for {browser.requests}")


def count(browser, selector):
    return browser.evaluate(f"document.querySelectorAll({selector!r}).length")


def not_blank(browser, selector, least):
    browser.evaluate(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
    browser.settle()
    x, y, width, height = browser.evaluate(
        f"(() => {{ const box = document.querySelector({selector!r}).getBoundingClientRect();"
        " return [box.left + scrollX, box.top + scrollY, box.width, box.height]; })()")
    # The middle: enough to tell, and quick to read.
    width, height, x, y = min(width, 500), min(height, 260), x + width / 4, y + height / 4
    found = colors(browser.picture(clip={"x": x, "y": y, "width": width, "height": height}))
    check(found >= least, f"{selector} has {found} colors")


def all_is_drawn(browser, name, least_rectangles):
    lives, calls, stages = browser.evaluate(
        "[state.entry.lifetimes.length, state.entry.calls.length, state.entry.stages.length]")
    check(lives >= least_rectangles, f"{name}: {lives} lifetimes")
    check(count(browser, ".map .life") == lives, f"{name}: rectangles of the map")
    check(count(browser, ".graph .node") == calls, f"{name}: kernels")
    check(count(browser, ".graph .edge") >= calls / 2, f"{name}: edges")
    check(count(browser, ".columns .column") == stages + 3, f"{name}: columns")
    check(count(browser, ".columns .row") > 60, f"{name}: lines")
    check(count(browser, ".flops-row .fill") >= 4, f"{name}: bars")
    check(count(browser, ".holder") >= 2, f"{name}: holders")
    title = browser.evaluate("document.querySelector('h1').textContent")
    check(title == name, f"{name}: its name is {title}")


def values_light_up(browser):
    browser.click(".column[data-column=import] .row code .t-value")
    columns = "[...document.querySelectorAll('.column')].filter(c => c.querySelector('.lit')).length"
    check(browser.evaluate(columns) >= 4, "a value that was clicked is lit in few columns")
    check(not browser.evaluate("document.getElementById('details').hidden"), "no details")
    browser.press("Escape")
    check(count(browser, ".lit") == 0, "Esc does not deselect")
    # Each value of a stage, with its kernel: none may fail, each has a line or a kernel.
    lost = browser.evaluate("""(() => {
      let lost = 0;
      const ids = [...state.entry.stages[0].name_of_id.keys()];
      for (const id of ids.slice(0, 40)) {
        select(value_key(id));
        if (!document.querySelector('.columns .lit')) ++lost;
      }
      clear_selection();
      return lost;
    })()""")
    check(lost == 0, f"{lost} values light up nowhere")


def kernels_open(browser):
    browser.click(".node.forward")
    loops = "document.querySelector('.column[data-column=loops] .row').textContent"
    check(browser.evaluate(loops).strip().startswith("loops @"), "no loops of a clicked box")
    lit = browser.evaluate("state.entry.calls[state.kernel.time].name")
    browser.press("Escape")
    browser.click(".column[data-column=plan] .t-name.kernel")
    check(browser.evaluate("state.kernel.time !== null"), "the call of a clicked name is unknown")
    check(lit, "no kernel")


def map_answers(browser):
    sums = browser.evaluate("""data.entries.every((entry) => entry.calls.every((call) =>
        holders_at(entry, call.time).reduce((sum, holder) => sum + holder.bytes, 0)
            === entry.live[call.time]))""")
    check(sums, "holders do not sum to what is live")
    browser.evaluate("document.getElementById('memory').scrollIntoView()")
    left, top, width = browser.evaluate(
        "(() => { const box = document.querySelector('.map').getBoundingClientRect();"
        " return [box.left, box.top, box.width]; })()")
    browser.drag((left + width * 0.6, top + 200), (left + width * 0.6, top + 200))
    check(browser.evaluate("state.time") is not None, "a click on the map picks no kernel")
    heading = browser.evaluate("document.querySelector('.holders h3').textContent")
    check(heading.startswith("At kernel"), heading)
    before = count(browser, ".map .life")
    browser.drag((left + width * 0.3, top + 150), (left + width * 0.45, top + 300))
    check(count(browser, ".map .life") < before, "a drag does not enlarge")
    browser.evaluate("zoom_memory(null)")
    check(count(browser, ".map .life") == before, "the whole map does not come back")


def columns_fold_and_search(browser):
    browser.evaluate("[...document.querySelectorAll('#passes .segments button')][1].click()")
    lines = browser.evaluate("passes.columns.find(c => c.title === 'plan').rows.length")
    browser.click("#passes .check input")
    fewer = browser.evaluate("passes.columns.find(c => c.title === 'unroll').rows.length")
    check(fewer < lines, "only changes shows all lines")
    browser.click("#passes .check input")
    browser.evaluate("document.querySelectorAll('.column .chip.gone').forEach(b => b.click())")
    ghosts = browser.evaluate("passes.columns.some(c => c.rows.some(row => row.ghost))")
    check(ghosts, "lines that are gone are not shown")
    browser.click("#search")
    browser.write("reduce_sum")
    browser.press("Enter", "\r")
    found = browser.evaluate("document.getElementById('found').textContent")
    check(found.startswith("1 of "), f"search: {found}")
    check(count(browser, ".row.hit") > 0, "found lines are not marked")
    browser.press("Escape")


def entries_change(browser, name):
    for entry in ("infer", "init", "train_step"):
        browser.evaluate(f"[...document.querySelectorAll('#entries button')]"
                         f".find(b => b.textContent === {entry!r})?.click()")
        browser.settle()
        no_problems(browser, f"{name}, {entry}")


def opened(browser, name, least_rectangles):
    path = os.path.join(FOLDER, name + ".html")
    check(os.path.getsize(path) < 10_000_000, f"{name}: {os.path.getsize(path)} bytes")
    browser.open(path)
    browser.settle()
    no_problems(browser, name)
    all_is_drawn(browser, name, least_rectangles)
    for selector, least in ((".map", 25), (".graph-pane", 25), (".columns", 40), (".cards", 25)):
        not_blank(browser, selector, least)
    values_light_up(browser)
    kernels_open(browser)
    map_answers(browser)
    columns_fold_and_search(browser)
    entries_change(browser, name)
    print(f"{name}: drawn and used")


def main():
    signal.alarm(400)
    browser = Browser()
    opened(browser, "mlp", 15)
    opened(browser, "resnet20", 300)
    check(count(browser, ".map .life.recomputed") > 10, "recomputed values are not in the map")
    check(count(browser, ".map .limit.budget") == 1, "the budget is not drawn")
    opened(browser, "gpt", 250)

    # Dark, and narrow.
    browser.resize(700, 900, dark=True)
    browser.open(os.path.join(FOLDER, "gpt.html"), "#value=logits&show=passes")
    browser.settle()
    no_problems(browser, "dark and narrow")
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    check(sum(map(int, background[4:-1].split(","))) < 120, f"dark is {background}")
    check(count(browser, ".lit") > 1, "the address selects nothing")
    browser.resize(1600, 1000)

    # Inference only.
    browser.open(os.path.join(FOLDER, "lenet.html"))
    browser.settle()
    no_problems(browser, "lenet")
    check(count(browser, "#entries button") == 3, "lenet: entries")  # infer, prepare, init
    check(count(browser, ".node.backward") == 0, "lenet: a backward pass")

    # A dump that has been through all passes.
    browser.open(os.path.join(FOLDER, "plan.html"))
    browser.settle()
    no_problems(browser, "plan")
    check(count(browser, ".column") == 3, "plan: columns")
    check(count(browser, ".map .life") > 10, "plan: rectangles of the map")

    # Names that try to be markup.
    browser.open(os.path.join(FOLDER, "hostile.html"))
    browser.settle()
    no_problems(browser, "hostile")
    check(browser.evaluate("window.broken === undefined"), "a name ran as a script")
    check(count(browser, "img") == 0, "a name became an element")
    check("<img src=q" in browser.evaluate("document.querySelector('.file').textContent"), "name")
    browser.click(".node.forward")
    no_problems(browser, "hostile, clicked")
    browser.close()


if __name__ == "__main__":
    main()
