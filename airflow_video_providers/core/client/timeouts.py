"""How long a call may be silent, by what it is for. In all it may take twice as long."""

from __future__ import annotations

import httpx

READ = httpx.Timeout(30.0, connect=10.0)
#: A file of a hundred megabytes goes to the vendor.
UPLOAD = httpx.Timeout(300.0, connect=10.0)
#: Longer for the paid call: giving up on its answer leaves its outcome unknown.
SUBMIT = httpx.Timeout(90.0, connect=10.0)
#: The synchronous route answers when the video is ready.
GENERATE = httpx.Timeout(900.0, connect=10.0)
