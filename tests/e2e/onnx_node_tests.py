"""The node tests of the `onnx` package and of Debian's libonnx-testdata, and the table of what comes of them.

  onnx_node_tests.py GRADC SOURCE_DIR WORK_DIR             fails when a case fails, is skipped for a reason that does not
                                                           count, or when docs/onnx-node-tests.md says otherwise
  onnx_node_tests.py GRADC SOURCE_DIR WORK_DIR --update    writes that page
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys

ONNX_VERSION = "1.23.2"
DEBIAN_DATA = "/usr/share/libonnx-testdata/data"
LEAST_PASSED = 1200  # of the package's cases
PAGE = "docs/onnx-node-tests.md"
# Cases that compare random numbers, which the specification leaves open.
RANDOM = "draws NumPy's random numbers"
NOT_COMPARABLE = {name: RANDOM for name in (
    "test_training_dropout", "test_training_dropout_default", "test_training_dropout_default_mask",
    "test_training_dropout_mask")}


def documented_ops(source):
    """What gradc takes, by docs/onnx.md. A case with another op may be skipped for that."""
    with open(os.path.join(source, "docs/onnx.md")) as file:
        return set(file.read().split("\n## Ops\n")[1].split("\n\n")[1].split())


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def package_python(work):
    """A Python that has the package, made once per version."""
    venv = os.path.join(work, f"venv-{ONNX_VERSION}")
    python, complete = os.path.join(venv, "bin/python"), os.path.join(venv, "complete")
    if not os.path.exists(complete):
        run(sys.executable, "-m", "venv", "--clear", venv)
        run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", f"onnx=={ONNX_VERSION}")
        open(complete, "w").close()
    return python


def package_data(source, work):
    """The package's cases as folders, made once per version."""
    out = os.path.join(work, f"onnx-{ONNX_VERSION}")
    if not os.path.exists(out):
        shutil.rmtree(out + ".part", ignore_errors=True)
        run(package_python(work), os.path.join(source, "tests/e2e/onnx_node_data.py"), out + ".part")
        os.rename(out + ".part", out)
    return out


def suites(source, work):
    if not os.path.isdir(DEBIAN_DATA):
        raise SystemExit("libonnx-testdata is missing: tools/setup installs it")
    package = package_data(source, work)
    result = {}
    for name in ("node", "simple", "pytorch-converted", "pytorch-operator"):
        result[f"onnx {ONNX_VERSION}: {name}"] = os.path.join(package, name)
    for name in ("node", "simple", "pytorch-converted", "pytorch-operator"):
        result[f"libonnx-testdata: {name}"] = os.path.join(DEBIAN_DATA, name)
    return result


def verify(gradc, folder, ops):
    done = subprocess.run([gradc, "verify", "--json", folder], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"gradc verify ended with {done.returncode}: {done.stderr}")
    return [{**case, "documented": ops} for case in json.loads(done.stdout)["cases"]]


def ops_of(case):
    """The ops that the case's reason names."""
    return set(re.findall(r"op `([^`]*)`", case["reason"]))


def other_type(case):
    """A type of the case that gradc takes but does not promise, with fewer digits than the tolerance asks for."""
    return next((output["type"] for output in case["outputs"] if output["type"].startswith("bf16")), None)


def status(case):
    """passed, failed, or `skipped: REASON`. An op that gradc takes is never skipped."""
    if case["outcome"] == "failed" and case["name"] in NOT_COMPARABLE:
        return "skipped: random numbers"
    if case["outcome"] == "failed" and other_type(case):
        return "skipped: unsupported type"
    if case["outcome"] in ("passed", "failed"):
        return case["outcome"]
    if case["outcome"] == "unsupported op" and ops_of(case) & case["documented"]:
        return "failed"
    return "skipped: " + case["outcome"]


def worst(case, key):
    values = [output[key] for output in case["outputs"]]
    return max((float("inf") if value is None else value for value in values), default=0)


def reason(case):
    if status(case) == "skipped: random numbers":
        return NOT_COMPARABLE[case["name"]]
    if case["outcome"] == "failed" and other_type(case):
        return f"{other_type(case)}: {worst(case, 'max_ulp')} ULP of it are more than the tolerance"
    text = case["reason"].removeprefix("model.onnx: ")
    for rest in ("; supported are ", "; the standard ops of ONNX are", "; did you mean "):
        text = text.split(rest)[0]
    return text.replace("|", "\\|")


def row(case):
    if status(case) == "passed":
        return f"| {case['name']} | passed | {worst(case, 'max_absolute'):.2g} | {worst(case, 'max_ulp')} |"
    return f"| {case['name']} | {status(case)} | {reason(case)} | |"


def counts(results):
    """Of skipped cases, by reason; of ops and types by which."""
    counted = {}
    for cases in results.values():
        for case in cases:
            if not status(case).startswith("skipped"):
                continue
            what = status(case).removeprefix("skipped: ")
            if case["outcome"] == "unsupported op":
                what += " " + ", ".join(sorted(ops_of(case)))
            counted[what] = counted.get(what, 0) + 1
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def page(results):
    lines = [
        "# ONNX node tests", "",
        "Every case of these suites, run by `gradc verify`. Generated by", "",
        "    python3 tests/e2e/onnx_node_tests.py build/release/bin/gradc . build/release/onnx-node-tests --update", "",
        "The test \"ONNX node tests\" holds this page to what comes of the cases. A case passes when each element is within",
        "1e-3 of the wanted value, relatively, plus 1e-7; whole numbers must be the same. The errors are those of one CPU.",
        "", "| suite | cases | passed | skipped |", "|---|---|---|---|"]
    for suite, cases in results.items():
        passed = sum(status(case) == "passed" for case in cases)
        lines.append(f"| {suite} | {len(cases)} | {passed} | {len(cases) - passed} |")
    lines += ["", "## What is skipped", "", "| reason | cases |", "|---|---|"]
    lines += [f"| {what} | {count} |" for what, count in counts(results)]
    for suite, cases in results.items():
        lines += ["", f"## {suite}", "", "| case | | max absolute error, or why | max ULP |", "|---|---|---|---|"]
        lines += [row(case) for case in sorted(cases, key=lambda case: case["name"])]
    return "\n".join(lines) + "\n"


def statuses(text):
    """By suite and case, as a page says."""
    result, suite = {}, ""
    for line in text.splitlines():
        if line.startswith("## "):
            suite = line[3:]
        elif suite and (match := re.match(r"\| (test_\S*) \| ([^|]*) \|", line)):
            result[suite, match[1]] = match[2]
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gradc")
    parser.add_argument("source")
    parser.add_argument("work")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    ops = documented_ops(options.source)
    folders = suites(options.source, options.work)
    results = {suite: verify(options.gradc, folder, ops) for suite, folder in folders.items()}
    path = os.path.join(options.source, PAGE)
    text = page(results)
    failures = []
    for suite, cases in results.items():
        failures += [f"{suite}: {case['name']}: {case['reason']}" for case in cases if status(case) == "failed"]
    passed = sum(status(case) == "passed" for suite, cases in results.items() for case in cases
                 if suite.startswith("onnx "))
    if passed < LEAST_PASSED:
        failures.append(f"{passed} cases of the onnx package pass, fewer than {LEAST_PASSED}")
    if options.update:
        with open(path, "w") as file:
            file.write(text)
    else:
        with open(path) as file:
            before = statuses(file.read())
        after = statuses(text)
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                failures.append(f"{PAGE} says that {': '.join(key)} is {before.get(key)}, it is {after.get(key)}")
    print("\n".join(failures))
    print(f"{passed} cases of the onnx package passed, {len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
