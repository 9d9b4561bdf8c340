"""One typed function for each event of the data model.

Written by `python -m docs.generate` from the registry: change that, and generate this again. What each of
them does is what `record` does (see there); while telemetry is off that is nothing.
"""

from __future__ import annotations

from gastown_tracing import context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def record_agent_instantiate(
    *,
    instance: str | None = None,
    town_root: str | None = None,
    agent_type: str | None = None,
    role: str | None = None,
    agent_name: str | None = None,
    session_id: str | None = None,
    rig: str | None = None,
    issue_id: str | None = None,
    git_branch: str | None = None,
    git_commit: str | None = None,
    run_uuid: str | None = None,
) -> None:
    """Record `agent.instantiate`: an agent's process was started in a session.

    - `instance`: The town: `hostname:basename(town_root)`.
    - `town_root`: The town's directory.
    - `agent_type`: The kind of agent.
    - `role`: The agent's role.
    - `agent_name`: The agent's name.
    - `session_id`: The session's name in tmux.
    - `rig`: The rig.
    - `issue_id`: The bead that it was started for.
    - `git_branch`: The branch of its working directory.
    - `git_commit`: The commit of its working directory.
    - `run_uuid`: The run's id with dashes, as gt writes it. By default run.id of the record.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "agent.instantiate",
            instance=instance,
            town_root=town_root,
            agent_type=agent_type,
            role=role,
            agent_name=agent_name,
            session_id=session_id,
            rig=rig,
            issue_id=issue_id,
            git_branch=git_branch,
            git_commit=git_commit,
            run_uuid=run_uuid,
        )


def record_session_start(
    *,
    session_id: str,
    role: str | None = None,
    run_uuid: str | None = None,
    error: str = "",
) -> None:
    """Record `session.start`: an agent's session began.

    - `session_id`: The session's name in tmux.
    - `role`: The agent's role.
    - `run_uuid`: The run's id with dashes, as gt writes it. By default run.id of the record.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "session.start",
            session_id=session_id,
            role=role,
            run_uuid=run_uuid,
            error=error,
        )


def record_session_stop(
    *,
    session_id: str,
    role: str | None = None,
    reason: str | None = None,
    duration_ms: float | None = None,
    exit_code: int | None = None,
    error: str = "",
) -> None:
    """Record `session.stop`: an agent's session ended.

    - `session_id`: The session's name in tmux.
    - `role`: The agent's role.
    - `reason`: Why it ended: `done`, `stopped`, `exited`, `lost`, …
    - `duration_ms`: How long the session lasted, in milliseconds.
    - `exit_code`: The exit code; 128 and the number of the signal that killed it.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "session.stop",
            session_id=session_id,
            role=role,
            reason=reason,
            duration_ms=duration_ms,
            exit_code=exit_code,
            error=error,
        )


def record_session_stalled(
    *,
    session_id: str,
    idle_ms: float | None = None,
    work_bead: str | None = None,
) -> None:
    """Record `session.stalled`: a session has recorded nothing for long.

    - `session_id`: The session's name in tmux.
    - `idle_ms`: Time since its last record, in milliseconds.
    - `work_bead`: The bead that it works on.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "session.stalled",
            session_id=session_id,
            idle_ms=idle_ms,
            work_bead=work_bead,
        )


def record_crew_session(
    *,
    crew: str,
    phase: str,
    rig: str | None = None,
) -> None:
    """Record `crew.session`: a crew member's session came to a new phase.

    - `crew`: The crew member.
    - `phase`: The phase. One of start, push, done, idle.
    - `rig`: The rig.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "crew.session",
            crew=crew,
            phase=phase,
            rig=rig,
        )


def record_prime(
    *,
    role: str | None = None,
    hook_mode: bool | None = None,
    work_rig: str | None = None,
    work_bead: str | None = None,
    work_mol: str | None = None,
    work_build: str | None = None,
    error: str = "",
) -> None:
    """Record `prime`: an agent was told what to work on.

    - `role`: The agent's role.
    - `hook_mode`: Whether a hook primed, not the agent itself.
    - `work_rig`: The rig of the work.
    - `work_bead`: The bead of the work; empty for none.
    - `work_mol`: The molecule of the work, by its bead.
    - `work_build`: The build of the work.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "prime",
            role=role,
            hook_mode=hook_mode,
            work_rig=work_rig,
            work_bead=work_bead,
            work_mol=work_mol,
            work_build=work_build,
            error=error,
        )


def record_prime_context(
    *,
    role: str | None = None,
    hook_mode: bool | None = None,
    formula: str | None = None,
) -> None:
    """Record `prime.context`: what a prime rendered for the agent.

    - `role`: The agent's role.
    - `hook_mode`: Whether a hook primed, not the agent itself.
    - `formula`: The rendered text. Only with GT_LOG_PRIME_CONTEXT.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "prime.context",
            role=role,
            hook_mode=hook_mode,
            formula=formula,
        )


def record_prompt_send(
    *,
    session: str,
    keys_len: int | None = None,
    debounce_ms: float | None = None,
    keys: str | None = None,
    error: str = "",
) -> None:
    """Record `prompt.send`: keys were sent to an agent's pane.

    - `session`: The session, by its name in tmux.
    - `keys_len`: How many characters.
    - `debounce_ms`: The pause before Enter, in milliseconds.
    - `keys`: The keys themselves. Only with GT_LOG_PROMPT_KEYS. 256 bytes at most.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "prompt.send",
            session=session,
            keys_len=keys_len,
            debounce_ms=debounce_ms,
            keys=keys,
            error=error,
        )


def record_pane_read(
    *,
    session: str,
    lines_requested: int | None = None,
    content_len: int | None = None,
    error: str = "",
) -> None:
    """Record `pane.read`: an agent's pane was looked at.

    - `session`: The session, by its name in tmux.
    - `lines_requested`: How many lines were asked for.
    - `content_len`: How many characters came back.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "pane.read",
            session=session,
            lines_requested=lines_requested,
            content_len=content_len,
            error=error,
        )


def record_pane_output(
    *,
    session: str,
    content: str | None = None,
) -> None:
    """Record `pane.output`: what an agent's pane showed.

    Only with GT_LOG_PANE_OUTPUT.

    - `session`: The session, by its name in tmux.
    - `content`: The text, without escape sequences. Only with GT_LOG_PANE_OUTPUT. 8192 bytes at most, else as
      many as GT_LOG_PANE_CONTENT_LIMIT says.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "pane.output",
            session=session,
            content=content,
        )


def record_agent_event(
    *,
    session: str,
    event_type: str,
    native_session_id: str | None = None,
    agent_type: str | None = None,
    role: str | None = None,
    content: str | None = None,
) -> None:
    """Record `agent.event`: one step of an agent's conversation.

    Only with GT_LOG_AGENT_OUTPUT.

    - `session`: The session, by its name in tmux.
    - `event_type`: What it is. One of text, tool_use, tool_result, thinking.
    - `native_session_id`: The agent program's own id of its session.
    - `agent_type`: The kind of agent.
    - `role`: Who speaks. One of assistant, user.
    - `content`: What is said; of a tool's use `NAME: INPUT-JSON`. Only with GT_LOG_AGENT_OUTPUT. 512 bytes at
      most, else as many as GT_LOG_AGENT_CONTENT_LIMIT says.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "agent.event",
            session=session,
            event_type=event_type,
            native_session_id=native_session_id,
            agent_type=agent_type,
            role=role,
            content=content,
        )


def record_agent_usage(
    *,
    session: str,
    native_session_id: str | None = None,
    model: str | None = None,
    message_id: str | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cache_read_tokens: int | None = None,
    cache_creation_tokens: int | None = None,
    cost_usd: float | None = None,
    rig: str | None = None,
) -> None:
    """Record `agent.usage`: what one message of a model used.

    - `session`: The session, by its name in tmux.
    - `native_session_id`: The agent program's own id of its session.
    - `model`: The model.
    - `message_id`: The message's id at the model's provider.
    - `input_tokens`: Tokens of the kind input.
    - `output_tokens`: Tokens of the kind output.
    - `cache_read_tokens`: Tokens of the kind cache read.
    - `cache_creation_tokens`: Tokens of the kind cache creation.
    - `cost_usd`: What it cost, in US dollars.
    - `rig`: The work's rig, else the agent's. By default work_rig or rig of the record.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "agent.usage",
            session=session,
            native_session_id=native_session_id,
            model=model,
            message_id=message_id,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=cache_read_tokens,
            cache_creation_tokens=cache_creation_tokens,
            cost_usd=cost_usd,
            rig=rig,
        )


def record_agent_state_change(
    *,
    agent_id: str,
    new_state: str,
    hook_bead: str | None = None,
    has_hook_bead: bool | None = None,
    error: str = "",
) -> None:
    """Record `agent.state_change`: an agent changed its state.

    - `agent_id`: The agent, by its bead.
    - `new_state`: The state.
    - `hook_bead`: The bead on its hook.
    - `has_hook_bead`: Whether there is one.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "agent.state_change",
            agent_id=agent_id,
            new_state=new_state,
            hook_bead=hook_bead,
            has_hook_bead=has_hook_bead,
            error=error,
        )


def record_retry_alert(
    *,
    agent_name: str,
    runs: int | None = None,
    calls: int | None = None,
    error_rate: float | None = None,
    threshold: float | None = None,
) -> None:
    """Record `retry.alert`: an agent tries again and again.

    - `agent_name`: The agent.
    - `runs`: How many runs.
    - `calls`: How many calls.
    - `error_rate`: The share of calls that failed, 0 to 1.
    - `threshold`: The rate above which it is told.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "retry.alert",
            agent_name=agent_name,
            runs=runs,
            calls=calls,
            error_rate=error_rate,
            threshold=threshold,
        )


def record_mail(
    *,
    operation: str,
    msg_id: str | None = None,
    msg_from: str | None = None,
    msg_to: str | Sequence[str] | None = None,
    msg_subject: str | None = None,
    msg_thread_id: str | None = None,
    msg_priority: str | None = None,
    msg_type: str | None = None,
    msg_body: str | None = None,
    error: str = "",
) -> None:
    """Record `mail`: an operation on mail.

    - `operation`: What was done: send, read, list, archive, …
    - `msg_id`: The message.
    - `msg_from`: Who wrote it.
    - `msg_to`: Whom it is for; several are one text.
    - `msg_subject`: Its subject.
    - `msg_thread_id`: Its thread.
    - `msg_priority`: Its priority.
    - `msg_type`: Its type: notification, reply, task, …
    - `msg_body`: Its text. Only with GT_LOG_MAIL_BODY. 256 bytes at most.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "mail",
            operation=operation,
            msg_id=msg_id,
            msg_from=msg_from,
            msg_to=msg_to,
            msg_subject=msg_subject,
            msg_thread_id=msg_thread_id,
            msg_priority=msg_priority,
            msg_type=msg_type,
            msg_body=msg_body,
            error=error,
        )


def record_sling(
    *,
    bead: str,
    target: str | None = None,
    error: str = "",
) -> None:
    """Record `sling`: work was handed to an agent.

    - `bead`: The bead, or formula, that is handed on.
    - `target`: Whom it is handed to.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "sling",
            bead=bead,
            target=target,
            error=error,
        )


def record_nudge(
    *,
    target: str,
    error: str = "",
) -> None:
    """Record `nudge`: an agent was pushed to go on.

    - `target`: The agent.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "nudge",
            target=target,
            error=error,
        )


def record_done(
    *,
    exit_type: str,
    rig: str | None = None,
    bead_id: str | None = None,
    time_to_complete_ms: float | None = None,
    work_type: str | None = None,
    error: str = "",
) -> None:
    """Record `done`: an agent ended its work.

    - `exit_type`: How it ended. One of COMPLETED, ESCALATED, DEFERRED.
    - `rig`: The work's rig, else the agent's. By default work_rig or rig of the record.
    - `bead_id`: The bead of the work. By default work_bead of the record.
    - `time_to_complete_ms`: How long the work took, in milliseconds.
    - `work_type`: The type of its bead, or its formula.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "done",
            exit_type=exit_type,
            rig=rig,
            bead_id=bead_id,
            time_to_complete_ms=time_to_complete_ms,
            work_type=work_type,
            error=error,
        )


def record_polecat_spawn(
    *,
    name: str,
    rig: str | None = None,
    error: str = "",
) -> None:
    """Record `polecat.spawn`: a polecat was made.

    - `name`: The polecat.
    - `rig`: The rig.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "polecat.spawn",
            name=name,
            rig=rig,
            error=error,
        )


def record_polecat_remove(
    *,
    name: str,
    rig: str | None = None,
    error: str = "",
) -> None:
    """Record `polecat.remove`: a polecat was removed.

    - `name`: The polecat.
    - `rig`: The rig.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "polecat.remove",
            name=name,
            rig=rig,
            error=error,
        )


def record_daemon_restart(
    *,
    agent_type: str,
) -> None:
    """Record `daemon.restart`: the daemon started an agent again.

    - `agent_type`: The kind of agent.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "daemon.restart",
            agent_type=agent_type,
        )


def record_bd_call(
    *,
    subcommand: str | None = None,
    args: Sequence[str] | None = None,
    duration_ms: float | None = None,
    exit_code: int | None = None,
    stdout: str | None = None,
    stderr: str | None = None,
    error: str = "",
) -> None:
    """Record `bd.call`: one bd command.

    - `subcommand`: What was asked of bd, one of its own words.
    - `args`: The command line, masked unless GT_LOG_BD_OUTPUT is on.
    - `duration_ms`: How long it took, in milliseconds.
    - `exit_code`: The exit code; 128 and the number of the signal that killed it.
    - `stdout`: What it printed. Only with GT_LOG_BD_OUTPUT. 2048 bytes at most, else as many as
      GT_LOG_BD_CONTENT_LIMIT says.
    - `stderr`: What it printed on stderr. Only with GT_LOG_BD_OUTPUT. 1024 bytes at most, else as many as
      GT_LOG_BD_CONTENT_LIMIT says.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "bd.call",
            subcommand=subcommand,
            args=args,
            duration_ms=duration_ms,
            exit_code=exit_code,
            stdout=stdout,
            stderr=stderr,
            error=error,
        )


def record_git_operation(
    *,
    operation: str,
    repo: str | None = None,
    path: str | None = None,
    branch: str | None = None,
    duration_ms: float | None = None,
    exit_code: int | None = None,
    error: str = "",
) -> None:
    """Record `git.operation`: one git command that touches a remote, a branch or a working directory.

    - `operation`: The subcommand of git: clone, checkout, fetch, push, worktree, …
    - `repo`: The repository, without credentials.
    - `path`: The working directory, without credentials.
    - `branch`: The branch.
    - `duration_ms`: How long it took, in milliseconds.
    - `exit_code`: The exit code; 128 and the number of the signal that killed it.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "git.operation",
            operation=operation,
            repo=repo,
            path=path,
            branch=branch,
            duration_ms=duration_ms,
            exit_code=exit_code,
            error=error,
        )


def record_gt_command(
    *,
    command: str,
    exit_code: int | None = None,
    duration_ms: float | None = None,
    error: str = "",
) -> None:
    """Record `gt.command`: one gt command that has no event of its own.

    - `command`: The command, two words of gt's own at most.
    - `exit_code`: The exit code; 128 and the number of the signal that killed it.
    - `duration_ms`: How long it took, in milliseconds.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "gt.command",
            command=command,
            exit_code=exit_code,
            duration_ms=duration_ms,
            error=error,
        )


def record_exec(
    *,
    name: str,
    exit_code: int | None = None,
    duration_ms: float | None = None,
    error: str = "",
) -> None:
    """Record `exec`: any other command that was run through us.

    - `name`: The program, without its arguments.
    - `exit_code`: The exit code; 128 and the number of the signal that killed it.
    - `duration_ms`: How long it took, in milliseconds.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "exec",
            name=name,
            exit_code=exit_code,
            duration_ms=duration_ms,
            error=error,
        )


def record_formula_instantiate(
    *,
    formula_name: str,
    bead_id: str | None = None,
    error: str = "",
) -> None:
    """Record `formula.instantiate`: a formula was instantiated for a bead.

    - `formula_name`: The formula.
    - `bead_id`: The bead.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "formula.instantiate",
            formula_name=formula_name,
            bead_id=bead_id,
            error=error,
        )


def record_convoy_create(
    *,
    bead_id: str | None = None,
    error: str = "",
) -> None:
    """Record `convoy.create`: a convoy was made.

    - `bead_id`: The bead.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "convoy.create",
            bead_id=bead_id,
            error=error,
        )


def record_mol_cook(
    *,
    formula_name: str,
    error: str = "",
) -> None:
    """Record `mol.cook`: a formula was compiled.

    - `formula_name`: The formula.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "mol.cook",
            formula_name=formula_name,
            error=error,
        )


def record_mol_wisp(
    *,
    formula_name: str,
    wisp_root_id: str | None = None,
    bead_id: str | None = None,
    error: str = "",
) -> None:
    """Record `mol.wisp`: a molecule was made as a wisp.

    - `formula_name`: The formula.
    - `wisp_root_id`: The wisp's root bead.
    - `bead_id`: The bead.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "mol.wisp",
            formula_name=formula_name,
            wisp_root_id=wisp_root_id,
            bead_id=bead_id,
            error=error,
        )


def record_mol_squash(
    *,
    mol_id: str,
    done_steps: int | None = None,
    total_steps: int | None = None,
    digest_created: bool | None = None,
    error: str = "",
) -> None:
    """Record `mol.squash`: a molecule was folded into a digest.

    - `mol_id`: The molecule.
    - `done_steps`: How many of its steps were done.
    - `total_steps`: How many steps it had.
    - `digest_created`: Whether there is a digest.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "mol.squash",
            mol_id=mol_id,
            done_steps=done_steps,
            total_steps=total_steps,
            digest_created=digest_created,
            error=error,
        )


def record_mol_burn(
    *,
    mol_id: str,
    children_closed: int | None = None,
    error: str = "",
) -> None:
    """Record `mol.burn`: a molecule was thrown away.

    - `mol_id`: The molecule.
    - `children_closed`: How many of its steps were closed.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "mol.burn",
            mol_id=mol_id,
            children_closed=children_closed,
            error=error,
        )


def record_bead_create(
    *,
    bead_id: str,
    parent_id: str | None = None,
    mol_source: str | None = None,
) -> None:
    """Record `bead.create`: a bead was made.

    - `bead_id`: The bead.
    - `parent_id`: Its parent.
    - `mol_source`: The formula that it came from.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "bead.create",
            bead_id=bead_id,
            parent_id=parent_id,
            mol_source=mol_source,
        )


def record_refinery_dispatch(
    *,
    bead_id: str,
    queue_depth: int | None = None,
    wait_ms: float | None = None,
    rig: str | None = None,
) -> None:
    """Record `refinery.dispatch`: the refinery took an item from its merge queue.

    - `bead_id`: The merge request.
    - `queue_depth`: How many items were still waiting.
    - `wait_ms`: How long it had waited, in milliseconds.
    - `rig`: The rig.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "refinery.dispatch",
            bead_id=bead_id,
            queue_depth=queue_depth,
            wait_ms=wait_ms,
            rig=rig,
        )


def record_scheduler_dispatch_cycle(
    *,
    dispatched: int | None = None,
    failed: int | None = None,
    skipped: int | None = None,
    skip_reason: str | None = None,
    retried: int | None = None,
    quarantined: int | None = None,
    queue_depth: int | None = None,
    capacity_free: int | None = None,
    capacity_used: int | None = None,
) -> None:
    """Record `scheduler.dispatch_cycle`: the scheduler looked for work to hand on.

    - `dispatched`: How many beads it handed on.
    - `failed`: How many it could not.
    - `skipped`: How many it left.
    - `skip_reason`: Why.
    - `retried`: How many it tried again.
    - `quarantined`: How many it gave up.
    - `queue_depth`: How many beads were waiting.
    - `capacity_free`: Free slots.
    - `capacity_used`: Used slots.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "scheduler.dispatch_cycle",
            dispatched=dispatched,
            failed=failed,
            skipped=skipped,
            skip_reason=skip_reason,
            retried=retried,
            quarantined=quarantined,
            queue_depth=queue_depth,
            capacity_free=capacity_free,
            capacity_used=capacity_used,
        )


def record_witness_patrol(
    *,
    rig: str | None = None,
    duration_ms: float | None = None,
    stale_count: int | None = None,
    restart_count: int | None = None,
    error: str = "",
) -> None:
    """Record `witness.patrol`: the witness looked after its polecats.

    - `rig`: The rig.
    - `duration_ms`: How long it took, in milliseconds.
    - `stale_count`: How many had stalled.
    - `restart_count`: How many it started again.
    - `error`: Why it failed; empty where it did not.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "witness.patrol",
            rig=rig,
            duration_ms=duration_ms,
            stale_count=stale_count,
            restart_count=restart_count,
            error=error,
        )


def record_deacon_transition(
    *,
    to_state: str,
    from_state: str | None = None,
    cycle: int | None = None,
) -> None:
    """Record `deacon.transition`: the deacon came to a new state.

    - `to_state`: The state now.
    - `from_state`: The state before.
    - `cycle`: The number of its cycle.
    """
    if context.runtime is not None:
        from gastown_tracing.events.recorder import record

        record(
            "deacon.transition",
            to_state=to_state,
            from_state=from_state,
            cycle=cycle,
        )


#: The same by the name that says what is recorded.
record_mail_message = record_mail
