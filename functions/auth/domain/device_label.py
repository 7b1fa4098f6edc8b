"""What a person calls the program in which a session runs: `Firefox on Linux`."""

_PROGRAMS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
"""The first that is found: each of them names those after it, too."""
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_OTHER_CHARACTERS = 40


def of(user_agent: str) -> str:
    """Of a `User-Agent` (RFC 9110 §10.1.5). Of what is no browser, the name it gives itself, cut short."""
    program = _first(_PROGRAMS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    if program and system:
        return f"{program} on {system}"
    if program or system:
        return program or system
    name = user_agent.partition(" ")[0][:_OTHER_CHARACTERS]
    return name if name.isprintable() else ""


def _first(known: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for token, name in known if token in user_agent), "")
