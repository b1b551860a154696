"""`hub start`: the servers, the schema, the demo, web and worker, and one Ctrl-C that stops them all."""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from hub.local.children import Pause, die_with_parent, run
from hub.local.errors import StartError, StopRequested
from hub.local.folder import claimed, new_keys, open_folder, secret
from hub.local.greeting import greeting
from hub.local.logfiles import last_words
from hub.local.plan import CHECKOUT, Plan, read_plan
from hub.local.ports import refuse_taken
from hub.local.postgres import Postgres
from hub.local.probe import ready
from hub.local.processes import PidFile
from hub.local.programs import Program
from hub.local.signals import Signals
from hub.local.told import write_told
from hub.local.valkey import Valkey
from hub.local.watch import Service, Watch

DATABASE = "hub"
READY_WITHIN = 60.0
ENDS_BEFORE_READY = 3
# Set by `make start`: whoever kills make means the hub.
STOP_WITH_PARENT = "HUB_STOP_WITH_PARENT"


def start(module: str = "hub", checkout: Path = CHECKOUT) -> int:
    """Run the hub on this machine, as the environment says, until told to stop; the process's exit code.

    `module` is what `python -m` runs in `checkout` for the hub's own commands.
    """
    if os.environ.pop(STOP_WITH_PARENT, ""):
        die_with_parent(signal.SIGTERM)
    try:
        supervise(read_plan(os.environ, module, checkout))
    except StartError as error:
        print(f"hub: {error}", file=sys.stderr)
        return 1
    return 0


def supervise(plan: Plan) -> None:
    """Run what the plan says until told to stop, and leave nothing running."""
    with Signals() as signals:
        try:
            with ExitStack() as running:
                _run(plan, signals.pause, running)
        except StopRequested:
            say("Stopped.")
        except OSError as error:
            raise StartError(str(error)) from error


def say(words: str) -> None:
    """Tell whoever started us, if they still listen, in letters their terminal has."""
    encoding = sys.stdout.encoding
    with suppress(BrokenPipeError):
        print(words.encode(encoding, "replace").decode(encoding), flush=True)


def _run(plan: Plan, pause: Pause, running: ExitStack) -> None:
    """Start everything in order, leaving to `running` how each is stopped, and watch it."""
    open_folder(plan.folder)
    running.enter_context(claimed(plan.folder))
    for leftover in ("web", "worker"):
        _program(plan, leftover, {}).end_leftover()
    refuse_taken(plan.host, plan.port)
    services, environment = _start_servers(plan, pause, running)
    write_told(plan.told, environment)
    running.callback(plan.told.unlink, missing_ok=True)
    _run_command(plan, environment, pause, "migrate")
    say("The schema is up to date.")
    for name in ("worker", "web"):
        program = _program(plan, name, environment)
        running.callback(program.stop)
        program.start()
        services.append(program)
    # Beside web and worker, which take as long to start as this takes to run.
    demo = plan.folder / "demo.json"
    _run_command(plan, environment, pause, "demo", "--out", str(demo))
    say("The demo is filled.")
    watch = Watch(services, pause, say)
    watch.until(ready(plan.reachable_at, plan.port, READY_WITHIN), every=0.05, limit=ENDS_BEFORE_READY)
    say(greeting(plan.address, json.loads(demo.read_text()), plan.folder / "logs"))
    say(f"ready {plan.address}")
    watch.until(lambda: False)


def _start_servers(plan: Plan, pause: Pause, running: ExitStack) -> tuple[list[Service], Mapping[str, str]]:
    """Start those servers that are not given, both at once; what the hub's commands are to be told."""
    began = time.monotonic()
    postgres = Postgres(plan.folder / "postgres", plan.log("postgres"), pause=pause)
    valkey = Valkey(plan.folder / "valkey", plan.log("valkey"), pause=pause)
    own = [server for server, given in ((postgres, plan.database_url), (valkey, plan.redis_url)) if not given]
    for server in own:
        server.prepare()
    for server in own:
        running.callback(server.stop)
        server.launch()
    for server in own:
        server.wait()
    if postgres in own:
        postgres.ensure_database(DATABASE)
    if own:
        names = " and ".join(server.name for server in own)
        say(f"{names} started in {time.monotonic() - began:.1f} s.")
    environment = plan.environment_for(
        database_url=plan.database_url or postgres.url(DATABASE),
        redis_url=plan.redis_url or valkey.url(),
        keys=plan.keys or secret(plan.folder / "keys", new_keys),
    )
    return list[Service](own), environment


def _run_command(plan: Plan, environment: Mapping[str, str], pause: Pause, *words: str) -> None:
    """Run one of the hub's own commands to its end."""
    log = plan.log(words[0])
    code = run(plan.command(*words), pause=pause, log=log, env=environment, cwd=plan.checkout)
    if code:
        raise StartError(f"`hub {words[0]}` failed: {last_words(log)} ({log})")


def _program(plan: Plan, name: str, environment: Mapping[str, str]) -> Program:
    """One of the hub's own commands that run all the time."""
    return Program(
        name=name,
        command=plan.command(name),
        env=environment,
        cwd=plan.checkout,
        log=plan.log(name),
        pid_file=PidFile(plan.folder / f"{name}.pid", (f"-m {plan.module} {name}",)),
    )
