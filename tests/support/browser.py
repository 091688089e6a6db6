"""A headless Chromium that tests open pages in, over its debugging pipe: no port, no driver."""

import base64
import json
import os
import shutil
import struct
import subprocess
import tempfile
import zlib


class Browser:
    """Opens one page at a time; what the page reports as an error is kept in `problems`."""

    def __init__(self, width=1600, height=1000):
        binary = shutil.which("chromium") or shutil.which("chromium-browser")
        if not binary:
            raise SystemExit("chromium is missing: tools/setup installs it")
        self.profile = tempfile.TemporaryDirectory()
        commands_in, commands_out = os.pipe()
        answers_in, answers_out = os.pipe()

        def connect():
            # The browser reads commands from 3 and writes answers to 4.
            os.dup2(os.dup(commands_in), 13)
            os.dup2(os.dup(answers_out), 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        self.process = subprocess.Popen(
            [binary, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--hide-scrollbars", "--no-first-run", "--remote-debugging-pipe",
             f"--user-data-dir={self.profile.name}", f"--window-size={width},{height}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            preexec_fn=connect)
        os.close(commands_in)
        os.close(answers_out)
        self.commands = os.fdopen(commands_out, "wb", buffering=0)
        self.answers = os.fdopen(answers_in, "rb")
        self.number = 0
        self.problems = []
        self.requests = []  # for anything but the page itself
        self.loaded = False
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.send("Target.attachToTarget", targetId=target,
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(domain + ".enable")
        self.resize(width, height)

    def send(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        self.commands.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def receive(self):
        text = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser is gone")
            text += byte
        message = json.loads(text)
        self.note(message)
        return message

    def note(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            self.problems.append(text)
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.problems.append("console: " + json.dumps(params["args"]))
        elif method == "Network.requestWillBeSent" and params["type"] != "Document":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append("log: " + params["entry"]["text"])

    def open(self, path, address=""):
        self.loaded = False
        self.send("Page.navigate", url="about:blank")
        while not self.loaded:
            self.receive()
        self.loaded = False
        self.send("Page.navigate", url="file://" + os.path.abspath(path) + address)
        while not self.loaded:
            self.receive()

    def resize(self, width, height, dark=False):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def evaluate(self, script):
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(script + ": " + json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def settle(self):
        """Waits until what was asked for is drawn."""
        self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 30)))")

    def click(self, selector, shift=False):
        """Presses the mouse over the middle of the first element that matches."""
        place = self.evaluate(
            "(() => { const node = document.querySelector(%s); if (!node) return null;"
            " node.scrollIntoView({block: 'center', inline: 'center'});"
            " const box = node.getBoundingClientRect();"
            " return [box.left + box.width / 2, box.top + box.height / 2]; })()"
            % json.dumps(selector))
        if place is None:
            raise AssertionError(f"nothing on the page is {selector}")
        self.drag(place, place, shift)

    def drag(self, begin, end, shift=False):
        held = 8 if shift else 0
        for kind, (x, y) in (("mouseMoved", begin), ("mousePressed", begin), ("mouseMoved", end),
                             ("mouseReleased", end)):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left",
                      buttons=int(kind != "mouseReleased"), clickCount=1, modifiers=held)
        self.settle()

    def press(self, key, text=None):
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=text or "",
                  code=key, windowsVirtualKeyCode={"Enter": 13, "Escape": 27}.get(key, 0))
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)
        self.settle()

    def write(self, text):
        self.send("Input.insertText", text=text)

    def picture(self, path=None, clip=None):
        """The page as it is seen: PNG bytes, also written to `path`."""
        params = {"clip": {**clip, "scale": 1}} if clip else {}
        png = base64.b64decode(self.send("Page.captureScreenshot", format="png", **params)["data"])
        if path:
            with open(path, "wb") as file:
                file.write(png)
        return png

    def close(self):
        self.commands.close()
        self.answers.close()
        self.process.wait(timeout=20)
        self.profile.cleanup()


def colors(png):
    """How many different colors a PNG of 8 bits a channel has."""
    at, data, header = 8, b"", None
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at:at + 8])
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", png[at + 8:at + 8 + size])
        elif kind == b"IDAT":
            data += png[at + 8:at + 8 + size]
        at += size + 12
    width, height, depth, color, *_ = header
    channels = {2: 3, 6: 4}[color]
    assert depth == 8
    rows = zlib.decompress(data)
    stride = width * channels
    before, found = bytearray(stride), set()
    for y in range(height):
        kind = rows[y * (stride + 1)]
        line = bytearray(rows[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        unfilter(kind, line, before, channels)
        found.update(zip(*(line[c::channels] for c in range(3))))
        before = line
    return len(found)


def unfilter(kind, line, before, step):
    for i in range(len(line)):
        left = line[i - step] if i >= step else 0
        up = before[i]
        corner = before[i - step] if i >= step else 0
        if kind == 1:
            line[i] = (line[i] + left) & 255
        elif kind == 2:
            line[i] = (line[i] + up) & 255
        elif kind == 3:
            line[i] = (line[i] + (left + up) // 2) & 255
        elif kind == 4:
            guess = left + up - corner
            near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up),
                       (abs(guess - corner), 2, corner))
            line[i] = (line[i] + near[2]) & 255
