"""Which attributes may pass, as data: of Claude Code 2.1 and bd 1.0; what is content in anybody's telemetry.

Of the programs that are known nothing passes but what stands here, in the form that stands here. Of any other
program's telemetry everything passes but the attributes that are known to hold content.
"""

from __future__ import annotations

import re

from gastown_tracing.relay.receiver.rules import (
    AGENT,
    BD_OUTPUT,
    BODY,
    COMMAND,
    FLAG,
    GIVEN,
    MASKED,
    MODEL,
    NUMBER,
    OUTPUT,
    PERSON,
    PROMPT,
    TIME,
    URL,
    UUID,
    VERSION,
    Rule,
    Rules,
    by_name,
    like,
    one_of,
)

#: Who uses a program (semantic conventions "User", "End user"; Claude Code's "Standard attributes").
_PEOPLE = by_name(
    {
        "user.id user.email user.name user.full_name user.hash user.account_uuid user.account_id": PERSON,
        "organization.id organization.name enduser.id enduser.pseudo.id process.owner account.id": PERSON,
    }
)
_COMMANDS = by_name(
    {
        "process.command_args process.command_line process.command": COMMAND,
        "container.command_args container.command_line container.command": COMMAND,
    }
)
#: What says where a record comes from, on a resource; Claude Code repeats some of it on every record.
_ORIGIN = {
    **_PEOPLE,
    **_COMMANDS,
    **by_name(
        {
            "service.name service.namespace service.instance.id host.name host.id os.description": GIVEN,
            "os.name os.version process.executable.name process.runtime.name process.runtime.version": GIVEN,
            "process.runtime.description telemetry.sdk.name telemetry.sdk.language": GIVEN,
            "deployment.environment deployment.environment.name wsl.version": GIVEN,
            "service.version app.version telemetry.sdk.version": VERSION,
            "host.arch os.type": one_of(
                "amd64 arm64 arm32 x86 x86_64 aarch64 ppc64 s390x ia64 linux darwin windows"
            ),
            "log.record.uid": like(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-Z]{26}"),
            "run.id": like(r"[0-9a-fA-F{}:urnid-]{32,45}"),
            "gt.prompt": PROMPT,  # gt's own, on the resource of what runs in a session
        }
    ),
}
_OURS = {"gt.": GIVEN}

_TOOLS = (
    r"Agent|AskUserQuestion|Bash|BashOutput|Edit|EnterPlanMode|EnterWorktree|ExitPlanMode|ExitWorktree|Glob|Grep|"
    r"KillBash|KillShell|LS|LSP|ListMcpResourcesTool|MultiEdit|NotebookEdit|NotebookRead|Read|ReadMcpResourceTool|"
    r"SendMessage|Skill|SlashCommand|StructuredOutput|Task|TaskCreate|TaskGet|TaskList|TaskOutput|TaskStop|TaskUpdate|"
    r"TodoRead|TodoWrite|ToolSearch|WebFetch|WebSearch|Write|mcp_tool|custom|"
    r"mcp__[A-Za-z0-9_]{1,40}__[A-Za-z0-9_]{1,60}"
)
_HOOKS = (
    "PreToolUse PostToolUse PostToolUseFailure Notification UserPromptSubmit SessionStart SessionEnd Stop "
    "StopFailure SubagentStart SubagentStop PreCompact PostCompact PermissionRequest Setup TeammateIdle "
    "TaskCompleted ConfigChange WorktreeCreate WorktreeRemove InstructionsLoaded Elicitation "
    "ElicitationResult CwdChanged FileChanged"
)
_STARTS = "startup resume clear compact manual auto logout prompt_input_exit other"
#: The commands that Claude Code has itself.
_SLASH = (
    "add-dir agents bug clear compact config context cost doctor exit export help hooks ide init "
    "install-github-app login logout mcp memory model output-style permissions plan plugin pr-comments "
    "privacy-settings release-notes resume review rewind sandbox security-review stats status statusline "
    "tasks terminal-setup theme todos usage vim"
)
_REASONS = "end_turn tool_use max_tokens stop_sequence pause_turn refusal model_context_window_exceeded"

_CLAUDE_FORMS = {
    "session.id prompt.id event.id client_request_id native_session_id agent_run_id": UUID,
    "event.timestamp": TIME,
    "event.name span.type": like(r"[a-z_.]{1,60}"),
    "tool_use_id gen_ai.tool.call.id": like(r"toolu_(bdrk_|vrtx_)?[A-Za-z0-9]{10,40}"),
    "request_id message_id gen_ai.response.id message.id": like(
        r"(req|msg)_(bdrk_|vrtx_)?[A-Za-z0-9]{10,40}"
    ),
    "tool_name gen_ai.tool.name": like(_TOOLS),
    "model gen_ai.request.model gen_ai.response.model": MODEL,
    "duration_ms total_duration_ms prompt_length response_length tool_input_size_bytes attempt": NUMBER,
    "tool_result_size_bytes num_hooks num_success num_blocking num_non_blocking_error num_cancelled": NUMBER,
    "input_tokens output_tokens cache_read_tokens cache_creation_tokens cost_usd status_code": NUMBER,
    "user_prompt_length body_length pre_tokens post_tokens total_attempts total_retry_duration_ms": NUMBER,
    "success managed_only safe_mode body_truncated response.has_tool_call": FLAG,
    "gen_ai.system gen_ai.provider.name": one_of(
        "anthropic aws.bedrock gcp.vertex_ai openai azure.ai.openai gcp.gemini"
    ),
    "gen_ai.operation.name": one_of("chat execute_tool invoke_agent create_agent embeddings text_completion"),
    "gen_ai.response.finish_reasons stop_reason": one_of(_REASONS),
    "llm_request.context": one_of("interaction standalone tool hook subagent"),
    "query_source": one_of(
        "main auxiliary subagent sdk repl_main_thread generate_session_title compact hook "
        "agent side_question unknown"
    ),
    "speed effort": one_of("normal fast slow low medium high max xhigh minimal none"),
    "decision decision_type": one_of("accept reject allow deny ask unknown"),
    "source decision_source": one_of(
        "config hook user_permanent user_temporary user_abort user_reject unknown"
    ),
    "hook_event": one_of(_HOOKS),
    "hook_name": like(f"({_HOOKS.replace(' ', '|')})(:({_TOOLS}|{_STARTS.replace(' ', '|')}))?"),
    "hook_type": one_of("command prompt agent http callback function mcp_tool"),
    "hook_source": one_of(
        "merged projectSettings localSettings userSettings policySettings flagSettings managedSettings "
        "pluginHook sessionHook builtinHook"
    ),
    "command_source": one_of("builtin custom project user plugin mcp bundled skill"),
    "command_name": one_of(_SLASH),
    "error_type": like(r"([A-Z][a-z]{2,20}){1,4}(Error|Exception)|unknown"),
    "terminal.type": like(
        r"(tmux|screen|xterm|vt100|linux|rxvt|alacritty|kitty|dumb)(-(256color|direct|kitty))?|vscode|cursor|"
        r"iTerm\.app|Apple_Terminal|WezTerm|ghostty|WarpTerminal|windows-terminal|non-interactive|ssh-session"
    ),
    "start_type": one_of("fresh resume continue fork"),
    "type": one_of("input output cacheRead cacheCreation user cli added removed"),
    "language": like(r"[A-Z][A-Za-z+#]{1,20}|unknown"),
    "status trigger": one_of("ok error connected failed disconnected pending manual auto completed success"),
    "from_mode to_mode": one_of("default plan acceptEdits bypassPermissions auto dontAsk"),
    "transport_type": one_of("stdio sse http ws sdk"),
    "server_scope mcp_server_scope": one_of("local project user enterprise dynamic managed claudeai"),
}
_CLAUDE_CONTENT = {
    "prompt user_prompt": PROMPT,
    "response assistant_response thinking tool_parameters tool_input tool_output tool_result output": OUTPUT,
    "body full_command bash_command description file_path hook_matcher hook_definitions skill_name": OUTPUT,
    "new_context system_prompt response.model_output": OUTPUT,
    "error error.message error_message": Rule(frozenset(("Shell command failed", "")), gate=AGENT, limit=512),
}
#: Claude Code 2.1: spans, events and metrics.
CLAUDE = Rules(
    {**_ORIGIN, **by_name({**_CLAUDE_FORMS, **_CLAUDE_CONTENT})},
    _OURS,
    MASKED,
    re.compile(r"(claude_code|gen_ai)\.[a-z0-9_.]{1,80}|tool\.output|exception"),
)
#: gt 1.0: the events that the data model has not; `native` knows the others.
GT = Rules(_ORIGIN, _OURS, MASKED, re.compile(r"[a-z]{2,20}(\.[a-z_]{2,30}){1,2}"))

#: bd 1.0: metrics, and spans where somebody exports them.
BEADS = Rules(
    {
        **_ORIGIN,
        **by_name(
            {
                "db.operation": like(r"([A-Z][a-z]+){1,6}|query|query_row|exec|commit|begin|rollback"),
                "db.system db.system.name": one_of("dolt mysql sqlite"),
                "status": one_of("ok error open closed in_progress blocked deferred hooked pinned"),
                "bd.issue.type": one_of("task bug feature epic chore decision message molecule event agent"),
                "bd.ai.model": MODEL,
                "bd.ai.operation": one_of("compact find_duplicates"),
                "bd.command": like(r"[a-z]{2,16}(-[a-z]{2,16}){0,2}"),
                "bd.dep.type": one_of(
                    "blocks related parent-child discovered-from tracks validates relates-to"
                ),
                "bd.version": VERSION,
                "hook.event": one_of("create update close on_create on_update on_close"),
                "bd.args": COMMAND,
                "db.statement db.query.text bd.query db.commit_msg output": BD_OUTPUT,
            }
        ),
    },
    _OURS,
    MASKED,
    re.compile(r"(bd|dolt|hook|ephemeral)\.[a-zA-Z0-9_.]{1,80}|exception"),
)

#: Content in anybody's telemetry (semantic conventions; the names of OpenInference, OpenLLMetry and Vercel).
OPEN = Rules(
    {
        **_PEOPLE,
        **_COMMANDS,
        **by_name(
            {
                "gen_ai.input.messages gen_ai.system_instructions gen_ai.prompt llm.prompts": PROMPT,
                "user_prompt prompt system_prompt ai.prompt gen_ai.request.prompt gt.prompt": PROMPT,
                "gen_ai.content.prompt input.value traceloop.entity.input": PROMPT,
                "gen_ai.output.messages gen_ai.completion gen_ai.content.completion": OUTPUT,
                "gen_ai.tool.call.arguments gen_ai.tool.call.result gen_ai.tool.definitions": OUTPUT,
                "gen_ai.tool.message gen_ai.event.content gen_ai.evaluation.explanation tool_output": OUTPUT,
                "ai.toolCall.args ai.toolCall.result tool_parameters full_command": OUTPUT,
                "traceloop.entity.output tool.parameters tool_input output.value response": OUTPUT,
                "db.query.text db.statement db.query.summary graphql.document": BD_OUTPUT,
                "messaging.message.body msg.body": BODY,
                "url.query http.request.body http.response.body http.request.body.content": MASKED,
                "http.response.body.content rpc.request.body rpc.response.body": MASKED,
                "db.connection_string": MASKED,
                "url.full http.url http.target url.original": URL,
            }
        ),
    },
    {
        "gen_ai.prompt.": PROMPT,
        "llm.input_messages.": PROMPT,
        "ai.prompt.": PROMPT,
        "gen_ai.completion.": OUTPUT,
        "llm.output_messages.": OUTPUT,
        "ai.response.": OUTPUT,
        "db.query.parameter.": BD_OUTPUT,
        "db.operation.parameter.": BD_OUTPUT,
        "process.environment_variable.": MASKED,
        "http.request.header.": MASKED,
        "http.response.header.": MASKED,
        "rpc.request.metadata.": MASKED,
        "rpc.response.metadata.": MASKED,
    },
)
