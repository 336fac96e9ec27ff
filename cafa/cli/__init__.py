"""The `cafa` command line: one verb per stage, the same for a person and for a rule.

Verbs are imported only when they are called, so that cheap ones stay cheap.
"""

import importlib
import sys

import click
from pydantic import ValidationError

from cafa import __version__
from cafa.common.collection import keep_modules_uncollected
from cafa.common.errors import CafaError
from cafa.common.settings_errors import settings_said
from cafa.common.signals import EXIT_CODE, EndedBySignal, end_when_asked
from cafa.common.writing_errors import explanation

#: verb -> module of `cafa.cli` that defines a command (or group) called `command`
VERBS = {
    "check": "check",
    "dataset": "dataset",
    "manifest": "manifest",
    "fetch": "fetch",
    "ingest": "ingest",
    "world": "world",
    "features": "features",
    "prompts": "prompts",
    "models": "models",
    "weights": "weights",
    "train": "train",
    "samples": "samples",
    "baselines": "baselines",
    "judges": "judges",
    "embed": "embed",
    "score": "score",
    "table": "table",
    "rows": "rows",
    "figure": "figure",
    "spectrograms": "spectrograms",
    "conflict": "conflict",
    "examples": "examples",
    "generate": "generate",
    "serve": "serve",
    "demo": "demo",
    "ledger": "ledger",
    "evaluate": "evaluate",
    "store": "store",
    "compare": "compare",
    "export": "export",
    "parity": "parity",
    "stages": "stages",
    "study": "study",
}


class VerbGroup(click.Group):
    """A group whose commands are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one verb."""
        if cmd_name not in VERBS:
            return None
        return importlib.import_module(f"cafa.cli.{VERBS[cmd_name]}").command


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__)
def cli() -> None:
    """Controllable video-and-text-to-audio generation: make, measure, print the tables."""


def main() -> None:
    """Run the command line; an error of ours, or an end that was asked for, is one line; others keep a traceback."""
    end_when_asked()
    keep_modules_uncollected()
    try:
        cli()
    except CafaError as error:
        click.echo(f"cafa: error: {error}", err=True)
        sys.exit(1)
    except ValidationError as error:
        click.echo(f"cafa: error: settings are not valid: {settings_said(error)}", err=True)
        sys.exit(1)
    except OSError as error:
        message = explanation(error)
        if message is None:
            raise
        click.echo(f"cafa: error: {message}", err=True)
        sys.exit(1)
    except EndedBySignal as ended:
        click.echo(f"cafa: {ended}: the same command goes on from here", err=True)
        sys.exit(EXIT_CODE)
