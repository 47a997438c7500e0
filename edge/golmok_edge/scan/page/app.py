"""The scan page's web server. Nothing but the sign-in is there for whoever has not signed in.

Every page of the Internet can make a browser send requests here. So: it answers to no name that a name server could
point at it (without TLS it is this machine's only), a cookie goes along only from our own pages (SameSite=Strict), and
whatever changes something must bear the session's token and come from here.
"""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse
from starlette.types import Scope

from golmok_cloud_sync.web import LANGUAGES, SECURITY_HEADERS, Language, assets
from golmok_drivers.errors import DriverError
from golmok_edge.outgoing import words
from golmok_edge.scan.page.door import Lock, Session, Sessions
from golmok_edge.scan.page.jobs import Job, Stage
from golmok_edge.scan.page.live import Live
from golmok_edge.scan.page.pins import MOST, Pin, PinError
from golmok_edge.scan.page.scans import FILES, Scans
from golmok_edge.scan.page.texts import TEXTS, VIEWER, say
from golmok_edge.scan.plan import LOOKED
from golmok_edge.scan.sending import Sending
from golmok_edge.scan.settings import PrintedBoard
from golmok_edge.scan.words import failure
from golmok_edge.web.serving import Guard, fresh, language_of, not_this_machine, static, templates, with_choice
from golmok_vision.scan import Board, ScanError

SESSION: Final = "golmok-scan"
STEPS: Final = {"quick": 100, "normal": 200, "fine": 400}
_MOST_BYTES: Final = 4_096
_ASSETS: Final = assets("golmok_cloud_sync.web", "golmok_edge.scan.page")
_IMPORTS: Final = json.dumps({"imports": {"three": "/viewer/three.module.js", "three/addons/": "/viewer/"}})
_TEMPLATES: Final = templates("golmok_edge.scan.page")
SENDING: Final = {f"cloud_{code}": row for code, row in words.TEXTS.items()}
"""How it stands with what is sent, by the code that the state has."""


def _headers() -> dict[str, str]:
    """The house's, and leave for the one inline script: the map that says where `three` is."""
    allowed = b64encode(sha256(_IMPORTS.encode()).digest()).decode()
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    strict = policy.replace("script-src 'self'", f"script-src 'self' 'sha256-{allowed}'")
    return {**SECURITY_HEADERS, "Content-Security-Policy": strict}


_HEADERS: Final = _headers()


class Desk:
    """What the page works with: who is in, what runs, the camera, the scans, the way to the cloud."""

    def __init__(
        self,
        pin_file: Path,
        scans: Scans,
        live: Live,
        equipment: tuple[str, ...],
        viewer: Path,
        sending: Sending | None = None,
    ) -> None:
        self.pin_file = pin_file
        self.scans = scans
        self.live = live
        self.equipment = equipment
        """Arguments of `capture` that say which scanner."""
        self.viewer = viewer
        self.sending = sending
        """None where the settings name no cloud."""
        self.lasers = 2
        self.board: PrintedBoard | None = None
        """Whose length is asked for; none where its size is known otherwise."""
        self.sessions = Sessions()
        self.lock = Lock()
        self.trying = asyncio.Lock()
        self.job: Job | None = None
        self.stages: tuple[str, ...] = ()
        """What follows on a capture; the stages that are installed."""

    async def begin(self, name: str, stages: list[Stage]) -> bool:
        """Start a job, unless one runs."""
        if self.job is not None and self.job.runs:
            return False
        await self.live.close()
        self.job = Job(name, stages)
        return True

    def of_scan(self, name: str, steps: int) -> list[Stage]:
        """The stages of a scan."""
        folder = str(self.scans.folder / name)
        known = self.scans.calibration
        borrowed = () if known is None else ("--calibration", str(known))
        first = Stage("capture", (folder, "--steps", str(steps), *borrowed, *self.equipment))
        return [first, *(Stage(stage, (folder,)) for stage in self.stages)]

    def of_calibration(self, board_mm: float | None = None) -> list[Stage]:
        """The stages of a calibration; `board_mm` is the printed board's length by caliper."""
        known, folder = self.scans.calibration, str(self.scans.calibrating(datetime.now()))
        captured = [Stage("capture", (folder, "--what", what, *self.equipment)) for what in ("camera", "table")]
        before = () if known is None else ("--before", str(known))
        measured = () if board_mm is None else ("--board-mm", f"{board_mm:g}")
        return [*captured, Stage("calibrate", (folder, *before, *measured))]


def make_app(desk: Desk, *, secure: bool) -> FastAPI:
    """The app; `secure`: it is reached by TLS."""
    app = FastAPI(title="golmok-scan", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, refusal=_Door(secure=secure).refusal, headers=_HEADERS)
    routes = _Routes(desk, secure)
    for path, endpoint in routes.to_read().items():
        app.add_api_route(path, endpoint, methods=["GET", "HEAD"], response_model=None)
    for path, endpoint in routes.to_do().items():
        app.add_api_route(path, endpoint, methods=["POST"], response_model=None)
    return app


Endpoint = Callable[..., Awaitable[Response]]


class _Routes:
    def __init__(self, desk: Desk, secure: bool) -> None:
        self._desk = desk
        self._secure = secure

    def to_read(self) -> dict[str, Endpoint]:
        return {
            "/": self.page, "/login": self.door, "/state": self.state, "/live": self.look,
            "/scans/{name}/{file}": self.download, "/static/{name}": self.static, "/viewer/{path:path}": self.viewer,
        }  # fmt: skip

    def to_do(self) -> dict[str, Endpoint]:
        return {
            "/login": self.sign_in, "/logout": self.sign_out, "/start": self.start, "/calibrate": self.calibrate,
            "/resume": self.resume, "/next": self.next, "/stop": self.stop, "/send": self.send,
        }  # fmt: skip

    # --- the door

    def _session(self, request: Request) -> Session | None:
        try:
            pin = Pin.read(self._desk.pin_file)
        except PinError:
            return None
        if pin is None:
            return None
        return self._desk.sessions.find(request.cookies.get(SESSION), pin.mark, time.monotonic())

    async def door(self, request: Request) -> Response:
        if self._session(request):
            return RedirectResponse("/", 303)
        language = language_of(request)
        try:
            trouble = say("no_pin", language) if Pin.read(self._desk.pin_file) is None else ""
        except PinError as error:
            trouble = str(error)
        door = _html("login.html", language, 200, trouble=trouble, needs_pin=bool(trouble))
        return with_choice(door, request, language)

    async def sign_in(self, request: Request) -> Response:
        language = language_of(request)
        form = await _form(request)
        async with self._desk.trying:  # one try at a time: each costs 16 MB and a while
            wait_s = self._desk.lock.wait_s(time.monotonic())
            if wait_s:
                locked = say("locked", language, seconds=ceil(wait_s))
                answer = _html("login.html", language, 429, trouble=locked, needs_pin=False)
                answer.headers["Retry-After"] = str(ceil(wait_s))
                return answer
            try:
                pin = Pin.read(self._desk.pin_file)
            except PinError as error:
                return _html("login.html", language, 403, trouble=str(error), needs_pin=True)
            if pin is None:
                return _html("login.html", language, 403, trouble=say("no_pin", language), needs_pin=True)
            if not await asyncio.to_thread(pin.is_right, form.get("pin", "")[:MOST]):
                self._desk.lock = self._desk.lock.after_wrong(time.monotonic())
                return _html("login.html", language, 403, trouble=say("wrong_pin", language), needs_pin=False)
            self._desk.lock = self._desk.lock.after_right()
        answer = with_choice(RedirectResponse("/", 303), request, language)
        cookie = self._desk.sessions.begin(pin.mark, time.monotonic())
        answer.set_cookie(SESSION, cookie, httponly=True, samesite="strict", secure=self._secure, path="/")
        return answer

    async def sign_out(self, request: Request) -> Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        self._desk.sessions.end(request.cookies.get(SESSION))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(SESSION, path="/", httponly=True, samesite="strict", secure=self._secure)
        return answer

    async def _refusal(self, request: Request) -> Response | None:
        """Why this request may not change anything, if so."""
        session = self._session(request)
        if session is None:
            return JSONResponse({"error": "sign in first"}, 401)
        given = request.headers.get("X-Golmok-Token") or (await _form(request)).get("token", "")
        if not _same(given, session.token):
            return JSONResponse({"error": say("from_elsewhere", language_of(request))}, 403)
        return None

    # --- looking

    async def page(self, request: Request) -> Response:
        session = self._session(request)
        language = language_of(request)
        if session is None:
            return with_choice(RedirectResponse("/login", 303), request, language)
        has_viewer = all((self._desk.viewer / file).is_file() for file in VIEWER.values())
        board = self._desk.board
        answer = _html("scan.html", language, 200, token=session.token, imports=_IMPORTS, has_viewer=has_viewer,
                       steps=STEPS, squares=0 if board is None else board.squares_x, lasers=self._desk.lasers,
                       has_cloud=self._desk.sending is not None,
                       texts={key: row[language] for key, row in {**TEXTS, **SENDING}.items()})  # fmt: skip
        return with_choice(answer, request, language)

    async def state(self, request: Request) -> Response:
        if self._session(request) is None:
            return JSONResponse({"error": "sign in first"}, 401)
        scans, sending = self._desk.scans, self._desk.sending
        all_of_them = await asyncio.to_thread(scans.all)
        told = {} if sending is None else await asyncio.to_thread(sending.told, scans.folder)
        return fresh(JSONResponse({
            "calibrated": scans.calibration is not None,
            "rests_on_print": scans.rests_on_print,
            "job": None if self._desk.job is None else asdict(self._desk.job.state),
            "scans": [{**asdict(scan), "when": scan.when, "cloud": told.get(scan.name)} for scan in all_of_them],
        }))  # fmt: skip

    async def look(self, request: Request, light: str = "off") -> Response:
        if self._session(request) is None:
            return JSONResponse({"error": "sign in first"}, 401)
        asked = next((each for each in LOOKED if each == light), None)
        if asked is None:
            return JSONResponse({"error": f"there is no light {light!r:.20}"}, 404)
        if self._desk.job is not None and self._desk.job.runs:
            return JSONResponse({"error": say("busy_camera", language_of(request))}, 409)
        try:
            seen = await self._desk.live.look(asked)
        except (DriverError, ScanError, OSError) as error:
            return JSONResponse({"error": _said(error, request)}, 503)
        return fresh(Response(seen.jpeg, media_type="image/jpeg", headers={"X-View": json.dumps(seen.figures)}))

    async def download(self, request: Request, name: str, file: str) -> Response:
        if self._session(request) is None:
            return RedirectResponse("/login", 303)
        found = self._desk.scans.file(name, file)
        if found is None:
            return PlainTextResponse("there is no such file", 404)
        return fresh(FileResponse(found, media_type=FILES[file], filename=f"{name}-{file}"))

    async def static(self, request: Request, name: str) -> Response:
        return static(_ASSETS, name, request)

    async def viewer(self, request: Request, path: str) -> Response:
        found = self._desk.viewer / VIEWER[path] if path in VIEWER else None
        if found is None or not found.is_file():
            return PlainTextResponse("there is no such file", 404)
        return FileResponse(found, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    # --- doing

    async def start(self, request: Request) -> Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        steps = STEPS.get((await _form(request)).get("quality", "normal"))
        if steps is None:
            return JSONResponse({"error": "quality is quick, normal or fine"}, 422)
        name = self._desk.scans.new(datetime.now())
        return await self._begun(request, name, self._desk.of_scan(name, steps))

    async def resume(self, request: Request) -> Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        name = (await _form(request)).get("scan", "")
        steps = self._desk.scans.steps(name)
        if steps is None:
            return JSONResponse({"error": "there is no such scan"}, 404)
        return await self._begun(request, name, self._desk.of_scan(name, steps))

    async def calibrate(self, request: Request) -> Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        try:
            board_mm = length_of((await _form(request)).get("board_mm", ""), self._desk.board)
        except ValueError as error:
            return JSONResponse({"error": say("no_length", language_of(request), mm=error)}, 422)
        return await self._begun(request, "", self._desk.of_calibration(board_mm))

    async def _begun(self, request: Request, name: str, stages: list[Stage]) -> Response:
        if not await self._desk.begin(name, stages):
            return JSONResponse({"error": say("busy_camera", language_of(request))}, 409)
        return JSONResponse({"scan": name}, 202)

    async def send(self, request: Request) -> Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        scan = self._desk.scans.path((await _form(request)).get("scan", ""))
        if scan is None:
            return JSONResponse({"error": "there is no such scan"}, 404)
        if self._desk.sending is None:
            return JSONResponse({"error": say("no_cloud", language_of(request))}, 409)
        try:
            await asyncio.to_thread(self._desk.sending.put, scan)
        except (ScanError, OSError) as error:
            return JSONResponse({"error": _said(error, request)}, 409)
        return JSONResponse({}, 202)

    async def next(self, request: Request) -> Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        if self._desk.job is not None:
            self._desk.job.go_on()
        return JSONResponse({}, 202)

    async def stop(self, request: Request) -> Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        if self._desk.job is not None and self._desk.job.runs:
            await self._desk.job.stop()
        return JSONResponse({}, 202)


class _Door:
    """Refuses what comes from elsewhere or is too long."""

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure

    def refusal(self, scope: Scope) -> Response | None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if not self._secure and (elsewhere := not_this_machine(host)) is not None:
            return elsewhere
        if scope["method"] != "POST":
            return None
        if not self._is_ours(headers):
            return PlainTextResponse("requests from other pages are refused", 403)
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdecimal() or int(length) > _MOST_BYTES:
            return PlainTextResponse("that is too long", 413)
        return None

    def _is_ours(self, headers: dict[str, str]) -> bool:
        """Whether one of our own pages sent it.

        Browsers say so by Sec-Fetch-Site. Those that do not know it send an Origin; a form's is "null" by our referrer
        policy, so it alone proves nothing, and from a browser that sends neither the cookie is what protects us.
        """
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        scheme = "https" if self._secure else "http"
        return headers.get("origin") in (None, f"{scheme}://{headers.get('host')}")


def _html(template: str, language: Language, status: int, **values: Any) -> Response:
    text = {key: row[language] for key, row in TEXTS.items()}
    page = _TEMPLATES.get_template(template).render(language=language, languages=LANGUAGES, text=text, **values)
    return fresh(HTMLResponse(page, status))


def _said(error: BaseException, request: Request) -> str:
    """An error in the reader's language, where there are words for it."""
    told = next(iter(failure(error)), {"text": str(error), "text_ko": str(error)})
    return str(told["text_ko" if language_of(request) == "ko" else "text"])


async def _form(request: Request) -> dict[str, str]:
    body = (await request.body()).decode("utf-8", "replace")
    return {key: values[-1] for key, values in parse_qs(body, keep_blank_values=True, max_num_fields=20).items()}


def length_of(text: str, board: PrintedBoard | None) -> float | None:
    """The board's length as somebody types it, nothing where there is none; raises `ValueError` with what is likely."""
    text = text.strip().removesuffix("mm").strip().replace(",", ".")
    if not text or board is None:
        return None
    likely = board.squares_x * board.square_mm
    try:
        Board(board.squares_x, board.squares_y, board.square_mm, board.marker_mm, length_mm=float(text))
    except (ValueError, ScanError):
        raise ValueError(f"{likely:g}") from None
    return float(text)


def _same(one: str, other: str) -> bool:
    from hmac import compare_digest

    return compare_digest(one.encode("utf-8", "replace"), other.encode())
