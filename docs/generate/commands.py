"""The page of the command line: every command with its options, from click."""

import click

from cafa.cli import cli

HEAD = """# Command line

One command for each stage. The rules of the workflow call these same commands, so what a job did can be repeated by
hand. `cafa COMMAND --help` prints what stands here.

| command | what it does |
|---|---|
"""


def page() -> str:
    """Text of the page."""
    top = click.Context(cli, info_name="cafa", show_default=True)
    parts = []
    rows = []
    for name in cli.list_commands(top):
        command = cli.get_command(top, name)
        assert command is not None
        rows.append(f"| [`cafa {name}`](#cafa-{name}) | {command.get_short_help_str(200)} |")
        parts += _sections(command, click.Context(command, parent=top, info_name=name), level=2)
    return HEAD + "\n".join(rows) + "\n\n" + "\n".join(parts)


def _sections(command: click.Command, context: click.Context, level: int) -> list[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [
        f"{'#' * level} `{context.command_path}`\n",
        f"{_paragraphs(command.help or '')}\n",
        f"```text\n{usage}\n```\n",
    ]
    records = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
    if rows := [f"| `{names}` | {_cell(text)} |" for names, text in records if "--help" not in names and text]:
        parts += ["| option | meaning |", "|---|---|", *rows, ""]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            parts += _sections(inner, click.Context(inner, parent=context, info_name=name), level + 1)
    return parts


def _paragraphs(text: str) -> str:
    return "\n".join(_escaped(line.strip()) for line in text.replace("\b", "").splitlines())


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    """Text for Markdown: outside of code, nothing is a tag or a link."""
    parts = text.split("`")
    plain = [part.replace("<", "&lt;").replace("[", "\\[").replace("*", "\\*") for part in parts[::2]]
    parts[::2] = plain
    return "`".join(parts)
