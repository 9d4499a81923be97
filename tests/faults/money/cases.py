"""The rows: every fault of a submit, at each phase where it can strike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One row.

    :param fault: What goes wrong, for people.
    :param phase: Where in the life of a purchase.
    :param simulator: Name of the simulator's fault.
    :param stage: The call that it strikes.
    :param times: How often that strikes; None: each time.
    :param refuse: In how many tries nobody listens at the vendor's address; None: in each.
    :param away: How many look-ups of a connection Airflow answers as if there were none; None: each, in each try.
    :param ledger_away: Seconds for which the ledger stores nothing, from the vendor's answer to the paid call on.
    :param kill: Where the task process is killed with SIGKILL, once.
    :param environment: What stands in the worker's environment in the first try.
    :param rewrite: What the wire makes of the answers: see :mod:`tests.faults.money.rewrites`.
    :param directory: Is the ledger a directory instead of Airflow's state store?
    :param callbacks: Does Pixazo call back? Then nothing may be left for a person: every purchase lands.
    :param tasks: The tasks that run, in order.
    :param victim: The task that the fault is meant for.
    """

    fault: str
    phase: str
    simulator: str | None = None
    stage: str = "submit"
    times: int | None = 1
    refuse: int | None = 0
    away: int | None = 0
    ledger_away: float = 0
    kill: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    rewrite: str | None = None
    directory: bool = False
    callbacks: bool = False
    tasks: tuple[str, ...] = ("submit",)
    victim: str = "submit"


_ALL = ("submit", "wait", "land")

_KILLS = (
    ("before the intent is stored", "connection", ("submit",)),
    ("after the intent, before the POST", "connect", ("submit",)),
    ("after the POST, before the store", "answered", ("submit",)),
    ("after the store, before the XCom", "xcom", _ALL),
    ("half of the download is done", "media", _ALL),
)

_NOTHING = "instead of accepting"
_BOUGHT = "after accepting"
_CALLED = "after accepting, with callbacks"

CASES: tuple[Case, ...] = (
    Case("none", "-", tasks=_ALL),
    Case("connect refused, one try", "connecting", refuse=1),
    Case("connect refused, always", "connecting", refuse=None),
    *(
        Case(what, "the worker's environment, one try", environment=((name, value),))
        for what, name, value in (
            ("a SOCKS proxy without its package", "ALL_PROXY", "socks5://127.0.0.1:1080"),
            ("a proxy that speaks ftp", "http_proxy", "ftp://proxy:21"),
            ("a proxy's password that is not encoded", "http_proxy", "http://user:p#ss@proxy:3128"),
            ("authorities that are not there", "SSL_CERT_FILE", "/no/such/ca.pem"),
        )
    ),
    Case("Airflow gives no connection, one try", "before the intent is stored", away=1),
    Case("Airflow gives no connection, always", "before the intent is stored", away=None),
    Case("Airflow gives no connection, five look-ups", "while a job is paid for", away=5, tasks=_ALL, victim="wait"),
    Case("Airflow gives no connection, five look-ups", "before the landing", away=5, tasks=_ALL, victim="land"),
    Case("the state store answers 500 for 8 s", "after the POST, before the store", ledger_away=8, tasks=_ALL),
    Case(
        "the ledger's volume is away for 5 s",
        "after the POST, before the store",
        ledger_away=5,
        directory=True,
        tasks=_ALL,
    ),
    Case("connection reset", "before the request is read", "drop_before_read", times=None),
    Case("no answer until the time-out", _NOTHING, "hang", times=None),
    Case("429, once", _NOTHING, "rate_limited"),
    Case("429, always", _NOTHING, "rate_limited", times=None),
    Case("429 with Retry-After: 1, once", _NOTHING, "rate_limited_retry_after:1"),
    Case("429 with Retry-After: 1, always", _NOTHING, "rate_limited_retry_after:1", times=None),
    Case("429 with Retry-After: 600, once", _NOTHING, "rate_limited_retry_after:600"),
    Case("403: the quota is used up, once", _NOTHING, "quota"),
    Case("403: the quota is used up, always", _NOTHING, "quota", times=None),
    Case("403: the balance is used up", _NOTHING, "locked", times=None),
    Case("403: a firewall's page, once", _NOTHING, "http_403"),
    Case("403: a firewall's page, always", _NOTHING, "http_403", times=None),
    Case("503 with Retry-After: 1, once", _NOTHING, "http_503:1"),
    Case("503 with Retry-After: 1, always", _NOTHING, "http_503:1", times=None),
    Case("503", _NOTHING, "http_503", times=None),
    Case("500", _NOTHING, "http_500", times=None),
    Case("503", _BOUGHT, "http_503_after_accept", times=None),
    Case("500", _BOUGHT, "http_500_after_accept", times=None),
    Case("connection dropped", _BOUGHT, "drop_after_accept", times=None),
    Case("connection dropped in the answer", _BOUGHT, "drop_mid_body", times=None),
    Case("no answer until the time-out", _BOUGHT, "hang_after_accept", times=None),
    Case("the answer trickles for a minute", _BOUGHT, "slow_body:60", times=None),
    Case("0.3 MB that unpack to 300 MB", _BOUGHT, rewrite="bomb"),
    Case("0.3 MB that unpack to 300 MB", "instead of a status, once", rewrite="bomb", stage="status", tasks=_ALL),
    Case("the status trickles for a minute", "instead of a status, once", "slow_body:60", stage="status", tasks=_ALL),
    Case("another job's answer behind each answer", "left on the connection", rewrite="stray", tasks=_ALL),
    Case("200 with HTML", _BOUGHT, "html_200", times=None),
    Case("2xx without an id", _BOUGHT, "no_id", times=None),
    Case(
        "an answer about another job", "while waiting", "other_id", stage="status", times=3, tasks=_ALL, victim="wait"
    ),
    Case("404 for 3 s from the file host", "after COMPLETED", "media_late:3", "media", None, tasks=_ALL, victim="land"),
    Case(
        "403 for 3 s from the file host",
        "after COMPLETED",
        "media_late_403:3",
        "media",
        None,
        tasks=_ALL,
        victim="land",
    ),
    *(
        Case(
            "kill -9",
            phase,
            kill=kill,
            directory=directory,
            tasks=tasks,
            victim="land" if kill == "media" else "submit",
        )
        for phase, kill, tasks in _KILLS
        for directory in (False, True)
    ),
    *(
        Case(what, _CALLED, simulator, times=None, directory=True, callbacks=True, tasks=_ALL)
        for what, simulator in (
            ("503", "http_503_after_accept"),
            ("connection dropped", "drop_after_accept"),
            ("connection dropped in the answer", "drop_mid_body"),
            ("no answer until the time-out", "hang_after_accept"),
            ("200 with HTML", "html_200"),
            ("2xx without an id", "no_id"),
        )
    ),
    Case(
        "kill -9",
        "after the POST, before the store, with callbacks",
        kill="answered",
        directory=True,
        callbacks=True,
        tasks=_ALL,
    ),
)
