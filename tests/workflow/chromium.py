"""Chromium driven through its debugging pipe: real keys, real pointers, and all it complains of."""

import base64
import fcntl
import json
import os
import subprocess
import time
from pathlib import Path

LONGEST = 120.0  # seconds, of what takes a moment where nothing else runs
KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), " ": (32, " ")}
KEYS |= {f"Arrow{name}": (37 + k, "") for k, name in enumerate(["Left", "Up", "Right", "Down"])}


class Chromium:
    """One page of a headless browser; `complaints` and `requests` grow while it is used."""

    def __init__(self, program, profile):
        ends = [os.pipe(), os.pipe()]
        # Above 4, so that putting one in its place does not close the other.
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (ends[0][0], ends[1][1])]
        os.close(ends[0][0])
        os.close(ends[1][1])

        def in_place():
            os.dup2(theirs[0], 3)
            os.dup2(theirs[1], 4)

        self._process = subprocess.Popen(
            [*program, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=in_place,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in theirs:
            os.close(end)
        self._to, self._from = os.fdopen(ends[0][1], "wb", 0), os.fdopen(ends[1][0], "rb", 0)
        self._number, self._rest, self._loaded = 0, b"", set()
        self.complaints, self.requests, self._session = [], [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def close(self):
        self._process.terminate()
        self._process.wait(LONGEST)
        self._to.close()
        self._from.close()

    def _read(self):
        while b"\0" not in self._rest:
            more = os.read(self._from.fileno(), 1 << 16)
            assert more, "the browser is gone"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(line)
        if "method" in message:
            self._note(message["method"], message.get("params", {}))
        return message

    def _note(self, method, params):
        if method == "Page.lifecycleEvent" and params["name"] == "load":
            self._loaded.add(params["loaderId"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def call(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def look(self, width, height, scheme):
        """Set the size of the window and the colour scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, path):
        """Open a file and wait until it, and not the page before, is loaded; the mouse is aside."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=0, y=0)
        loader = self.call("Page.navigate", url=Path(path).as_uri())["loaderId"]
        while loader not in self._loaded:
            self._read()

    def run(self, script):
        """Value of a JavaScript expression."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait_for(self, script):
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + LONGEST
        while not self.run(script):
            assert time.monotonic() < deadline, f"never came true: {script}"
            time.sleep(0.05)

    def press(self, *keys):
        """Press keys one after the other."""
        for key in keys:
            code, text = KEYS[key]
            about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
            kind = "keyDown" if text else "rawKeyDown"
            self.call("Input.dispatchKeyEvent", type=kind, text=text, **about)
            self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def type(self, text):
        """Write into what has the focus."""
        self.call("Input.insertText", text=text)

    def point(self, selector, *, click=False):
        """Move the mouse onto an element, and press its button there."""
        self.run(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        box = f"document.querySelector({selector!r}).getBoundingClientRect()"
        x, y = self.run(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({box})")
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            press = {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **press)

    def screenshot(self, path):
        """A picture of the window."""
        Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
