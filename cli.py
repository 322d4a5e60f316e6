"""The `agent-runtime` command."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

# Only light modules here: `agent-runtime --help` must not wait for the server's imports.
from errors import AgentRuntimeError, ConfigurationError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The agent server behind the CodeLab IDE.")
policy_app = typer.Typer(no_args_is_help=True, help="Show verdicts of the policy.")
app.add_typer(policy_app, name="policy")


class Approve(StrEnum):
    """How tool calls are decided that need approval."""

    ask = "ask"
    all = "all"
    none = "none"


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """The agent server behind the CodeLab IDE."""


EnvFile = Annotated[
    Path | None,
    typer.Option(envvar="AGENT_RUNTIME__ENV_FILE", help="A file of settings; only a named file is read."),
]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; the setting HOST otherwise.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; the setting PORT otherwise.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes on that port; the setting WORKERS otherwise.")
    ] = None,
    env_file: EnvFile = None,
) -> None:
    """Run the server."""
    from serving.command import run_serve

    raise typer.Exit(run_serve(_existing(env_file), host=host, port=port, workers=workers))


@app.command()
def chat(
    workspace: Annotated[Path, typer.Option("--workspace", "-w", help="The folder in which tools act.")] = Path(),
    message: Annotated[str | None, typer.Option("--message", "-m", help="Run this one task and exit.")] = None,
    approve: Annotated[Approve, typer.Option(help="How calls are decided that need approval.")] = Approve.ask,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="A command that may run unasked, as if a session remembered it; repeatable."),
    ] = None,
    url: Annotated[str | None, typer.Option(help="A running server; without it one is started here.")] = None,
    key: Annotated[str | None, typer.Option(help="Key for --url; the setting INTERNAL_API_KEY otherwise.")] = None,
    db: Annotated[str | None, typer.Option(help="File or URL of the database of the server started here.")] = None,
    agent: Annotated[
        str | None, typer.Option(help="Agent for the first message; the router chooses otherwise.")
    ] = None,
    session: Annotated[str | None, typer.Option(help="Go on with this session.")] = None,
    goes_on: Annotated[
        bool, typer.Option("--continue", help="Go on with the newest session of the workspace.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the task of --message as JSON lines.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one task may take, without your own.")] = 600,
    bell: Annotated[
        float, typer.Option(min=0, help="Ring when it asks or ends after so many seconds without you.")
    ] = 10,
    network: Annotated[bool, typer.Option(help="Let approved commands use the network.")] = True,
) -> None:
    """Chat with the agents; tool calls run in the workspace folder only."""
    from client.terminal.opening import check_opening

    check_opening(workspace, message, as_json=as_json)
    from rich.console import Console

    from client.terminal.run import ChatOptions, run_chat

    options = ChatOptions(
        workspace=workspace,
        message=message,
        approve=approve.value,
        allow=tuple(allow or ()),
        url=url,
        key=key,
        db=db,
        agent=agent,
        session=session,
        goes_on=goes_on,
        as_json=as_json,
        timeout_s=timeout,
        bell_s=bell,
        network=network,
    )
    try:
        status = run_chat(options, Console())
    except KeyboardInterrupt:
        status = 1
    raise typer.Exit(status)


@app.command()
def acp(
    url: Annotated[str | None, typer.Option(help="A running server; without it one is started here.")] = None,
    key: Annotated[str | None, typer.Option(help="Key for --url; the setting INTERNAL_API_KEY otherwise.")] = None,
    db: Annotated[str | None, typer.Option(help="File or URL of the database of the server started here.")] = None,
    network: Annotated[bool, typer.Option(help="Let approved commands use the network.")] = True,
) -> None:
    """Serve an editor that speaks the Agent Client Protocol, over standard input and output."""
    from client.editor.servers import Servers

    servers = Servers(url, key, db)
    servers.check()
    # Imported after the options and the server are known to be usable.
    from client.editor.run import serve_editor

    serve_editor(servers, network=network)


@app.command()
def sessions(
    workspace: Annotated[Path, typer.Option("--workspace", "-w", help="The folder of the sessions.")] = Path(),
) -> None:
    """List the sessions of a workspace, the newest first: id, last use, title."""
    from client.terminal.past import list_sessions

    for line in list_sessions(workspace):
        typer.echo(line)


@app.command()
def undo(
    workspace: Annotated[Path, typer.Option("--workspace", "-w", help="The folder whose files are put back.")] = Path(),
    session: Annotated[str | None, typer.Option(help="The session; else the one that changed something last.")] = None,
    redo: Annotated[bool, typer.Option("--redo", help="Take back the last undo instead.")] = False,
) -> None:
    """Put back the files that the last turn of a client changed, where its content is still there."""
    from client.terminal.past import undo_last

    lines, is_whole = undo_last(workspace, session, redo=redo)
    for line in lines:
        typer.echo(line)
    raise typer.Exit(0 if is_whole else 1)


@app.command()
def console(
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="Run the tool calls of the page's sessions in this folder.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Open the page of this server; one is started here otherwise.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Key for --url; the setting INTERNAL_API_KEY otherwise.")] = None,
    db: Annotated[str | None, typer.Option(help="File or URL of the database of the server started here.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser; the address is printed otherwise.")] = True,
    network: Annotated[bool, typer.Option(help="Let approved commands use the network.")] = True,
) -> None:
    """Show sessions in a browser, decide there, and with a workspace work there."""
    from console.command import ConsoleOptions, run_console

    run_console(ConsoleOptions(workspace, url, key, db, opens_browser=browser, network=network), typer.echo)


@app.command()
def migrate(env_file: EnvFile = None) -> None:
    """Bring the schema of the database up to date."""
    import asyncio

    from settings import Settings
    from storage.schema import migrate as migrate_database

    settings = Settings.load(_existing(env_file))
    asyncio.run(migrate_database(settings.db_url, settings.db_listen_url))
    typer.echo("The database schema is up to date.")


@app.command(name="given-up")
def given_up(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 100,
    env_file: EnvFile = None,
) -> None:
    """List the runs of all owners that no attempt could finish, with the reason, as JSON lines."""
    import asyncio
    import json

    from settings import Settings
    from storage.connect import open_database
    from storage.tables import runs

    settings = Settings.load(_existing(env_file))

    async def read() -> list[dict[str, Any]]:
        database = await open_database(settings.db_url, settings.db_listen_url)
        try:
            async with database.autocommit() as tx:
                return await runs.given_up(tx, None, limit)
        finally:
            await database.close()

    for run in asyncio.run(read()):
        typer.echo(json.dumps(run, ensure_ascii=False))


@app.command(name="import-legacy")
def import_sessions(
    source: Annotated[str, typer.Option("--from", help="URL of the original's database.")],
    owner: Annotated[str, typer.Option(help="Key name, or name/user, that gets the sessions; else unnamed keys.")] = "",
    env_file: EnvFile = None,
) -> None:
    """Import the sessions of the original service; sessions that exist already stay as they are."""
    import asyncio

    from agents.roster import agents_of
    from graph.builder import build_graph
    from policy.rules import load_rules
    from runs.imported_approval import pausing
    from settings import Settings
    from storage.legacy.transfer import import_legacy

    settings = Settings.load(_existing(env_file))
    agents = {agent.name for agent in agents_of(multi_agent=settings.multi_agent_mode)}
    pause = pausing(build_graph(), load_rules(settings.policy_file, settings.policy_profile), settings)
    report = asyncio.run(import_legacy(source, settings.db_url, owner=owner, agents=agents, pause=pause))
    for line in report.lines():
        typer.echo(line)


@app.command()
def graph() -> None:
    """Print the agent graph as Mermaid."""
    from graph.builder import build_graph

    typer.echo(build_graph().get_graph().draw_mermaid())


@app.command(name="eval")
def evaluate_model(
    model: Annotated[str | None, typer.Option(help="Name of the model; the setting LLM_MODEL otherwise.")] = None,
    url: Annotated[str | None, typer.Option(help="OpenAI-compatible address; LLM_PROXY_URL otherwise.")] = None,
    requests: Annotated[Path | None, typer.Option(help="Labelled requests (JSON lines): measures routing.")] = None,
    tasks: Annotated[Path | None, typer.Option(help="Labelled tasks (JSON lines) instead of ours.")] = None,
    no_tasks: Annotated[bool, typer.Option("--no-tasks", help="Measure routing alone.")] = False,
    agent: Annotated[list[str] | None, typer.Option(help="Only the tasks of this agent; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many requests and tasks.")] = None,
    keywords: Annotated[bool, typer.Option(help="Route by keywords instead of the model.")] = False,
    reprompt: Annotated[bool, typer.Option(help="Ask once more where a call is missing.")] = True,
    prompt_size: Annotated[str, typer.Option(help="guided, concise, or auto: by the model's name.")] = "auto",
    record: Annotated[Path | None, typer.Option(help="Keep the model's replies in this file.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Ask only for replies that --record does not hold.")] = False,
    replay: Annotated[Path | None, typer.Option(help="Take the replies from this file.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Measure each task and request so often.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="So many at the same time.")] = 1,
    prices: Annotated[Path | None, typer.Option(help="Prices (TOML) that stand before the shipped ones.")] = None,
    fail_under: Annotated[
        float, typer.Option(min=0, max=1, help="Exit with 1 below this pass rate, or routing accuracy with --no-tasks.")
    ] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the report and the transcripts.")] = Path("data/evaluation"),
) -> None:
    """Measure routing, tool use and finishing of a model on labelled tasks; exit with 3 when it gave no reply."""
    import asyncio
    from dataclasses import replace

    from client.configuration import client_settings
    from evaluation.evaluate import EvalOptions, evaluate
    from evaluation.output import refuse_links
    from evaluation.report import report_files, write_report
    from evaluation.tasks import TASKS
    from llm.chat_model import Endpoint
    from prompts.size import chosen_size

    for file in (*report_files(out), *([record] if record else [])):
        refuse_links(file)
    settings = client_settings()
    endpoint = Endpoint.of(settings)
    options = EvalOptions(
        model=model or settings.llm_model,
        endpoint=replace(endpoint, proxy_url=url or endpoint.proxy_url),
        requests=requests,
        tasks=None if no_tasks else tasks or TASKS,
        agents=frozenset(agent or ()),
        limit=limit,
        keywords=keywords,
        reprompt=reprompt,
        prompt_size=chosen_size(prompt_size),
        record=record,
        resume=resume,
        replay=replay,
        repeats=repeats,
        concurrency=concurrency,
        prices=prices or settings.llm_prices_file,
    )
    report = asyncio.run(evaluate(options, typer.echo))
    for path in write_report(report, out):
        typer.echo(f"written: {path}")
    unmeasured = sum((report.get(part) or {}).get("unmeasured", 0) for part in ("routing", "tasks"))
    if unmeasured:
        typer.echo(f"The model gave no reply in {unmeasured} cases: the figures are not its own.", err=True)
        raise typer.Exit(3)
    part, figure = ("routing", "accuracy") if no_tasks else ("tasks", "pass_rate")
    rate = (report.get(part) or {}).get(figure)
    if rate is not None and rate < fail_under:
        typer.echo(f"{rate:.1%} is below {fail_under:.1%}.", err=True)
        raise typer.Exit(1)


@app.command(name="eval-compare")
def compare_evaluations(
    before: Annotated[Path, typer.Argument(help="report.json, or its folder.")],
    after: Annotated[Path, typer.Argument(help="The report to compare with it.")],
) -> None:
    """Compare two reports case by case, with an exact paired test."""
    from evaluation.comparison import compare, markdown, read_report

    reports = read_report(before), read_report(after)
    typer.echo(markdown(*reports, compare(*reports)))


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    typer.echo(version_of("codelab-agent-runtime"))


@policy_app.command()
def check(
    tool: Annotated[str, typer.Argument(help="Name of the tool, such as execute_command.")],
    arguments: Annotated[str, typer.Argument(help='Its arguments as JSON, such as \'{"command": "ls"}\'.')],
    agent: Annotated[str, typer.Option(help="The agent that would make the call.")] = "coder",
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", help="The folder whose project rules count.")
    ] = Path(),
    shell: Annotated[str | None, typer.Option(help="The shell that a client declares, or none.")] = "bash",
    workspace_root: Annotated[str | None, typer.Option(help="The workspace that a client declares.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Show the policy's verdict on a call, with its reasons; nothing runs."""
    from client.terminal.policy_check import check_call, print_verdict

    declared = {"shell": "" if shell == "none" else shell, "workspace_root": workspace_root}
    given = {name: value for name, value in declared.items() if value is not None}
    verdict = check_call(tool, arguments, agent, workspace, given)
    print_verdict(verdict, as_json=as_json)


def _existing(env_file: Path | None) -> Path | None:
    """Return the named file; raises ConfigurationError when it does not exist."""
    if env_file is not None and not env_file.is_file():
        raise ConfigurationError(f"The file {env_file} (--env-file) does not exist.")
    return env_file


def main() -> None:
    """Run the command; an AgentRuntimeError becomes one sentence and exit status 2."""
    try:
        app()
    except AgentRuntimeError as error:
        typer.echo(error.message, err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
