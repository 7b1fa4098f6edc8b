"""Fills in the placeholders of api-spec.yaml, as Terraform's `templatefile` would.

    python -m deploy.api_spec --project demo --region us-central1 --environment production \
        --public-url https://api.energent.example.com [--out build/api.yaml]
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

TEMPLATE = Path(__file__).resolve().parent.parent / "api-spec.yaml"
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class SpecError(Exception):
    """What is wrong, in one line for a person."""


def rendered(template: str, values: Mapping[str, str]) -> str:
    """The template with each `${name}` filled in. Raises SpecError for a name without a value."""

    def filled(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise SpecError(f"api-spec.yaml asks for ${{{match[1]}}}, which nobody gives")
        return values[match[1]]

    return _PLACEHOLDER.sub(filled, template)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.api_spec", description=(__doc__ or "").partition("\n")[0]
    )
    for name in ("project", "region", "environment"):
        parser.add_argument(f"--{name}", required=True, help="as it is deployed")
    parser.add_argument(
        "--public-url", required=True, help="issuer and audience of tokens: https:// and a host"
    )
    parser.add_argument("--out", type=Path, default=Path("build/api.yaml"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    values = {
        "project_id": options.project,
        "region": options.region,
        "environment": options.environment,
        "public_url": options.public_url,
    }
    try:
        _check(options.public_url)
        text = rendered(TEMPLATE.read_text(encoding="utf-8"), values)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    except (SpecError, OSError) as wrong:
        print(f"deploy.api_spec: {wrong}", file=sys.stderr)
        return 1
    print(f"rendered {options.out}")
    return 0


def _check(public_url: str) -> None:
    """Tokens carry it letter for letter, and the functions take an origin only."""
    parts = urlsplit(public_url)
    if parts.scheme != "https" or not parts.hostname or public_url != f"https://{parts.netloc}":
        raise SpecError("the public URL must be https://host[:port] without path or slash at the end")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
