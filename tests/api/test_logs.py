"""Log records: in the journal, by OTLP, from `logging`, from OpenTelemetry's own API."""

from __future__ import annotations

from pathlib import Path

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from gastown_tracing.journal import reader
from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.parse import ReadLog
from tests.api.programs import ROOT_ID, RUN_ID, RUN_UUID, direct, ends, python, running
from tests.api.sink import attributes, sink

HANDLER = """
    import logging
    import gastown_tracing as gt
    logger = logging.getLogger("app")
    logging.getLogger().addHandler(gt.LogHandler())
    logger.setLevel(1)
"""


def logs_of(journal_root: Path, trace_id: str = RUN_ID) -> list[ReadLog]:
    """Return the log records of a run in the journal; nothing may have been skipped."""
    data = reader.read_run(Journal(str(journal_root)), trace_id)
    assert not data.skipped
    return data.logs


def ids(record: LogRecord) -> tuple[str, str]:
    return record.trace_id.hex(), record.span_id.hex()


def test_a_programs_log_records_are_in_its_trace() -> None:
    """LogHandler records message, level, place, extra, exception, and who acts, in the current span."""
    source = f"""{HANDLER}
    gt.init()
    with gt.sling() as call:
        logger.warning("from %s", "inside", extra={{"queue": 3, "who": {{"a": 1}}, "trace_id": "theirs"}})
    try:
        raise ValueError("no way \\udcff")
    except ValueError:
        logger.exception("outside")
    logger.debug("debug"), logger.critical("critical")
    for level in (25, 3, 99):
        logger.log(level, "between")
    """
    with sink() as server:
        python(source, direct(server, GT_ROLE="mayor"))
        (sling,) = server.spans()
        inside, outside, *others = [record for record in server.logs() if record.body.string_value != "sling"]
        scopes = {scope.scope.name for found in server.resource_logs() for scope in found.scope_logs}
    found = attributes(inside.attributes)
    assert inside.body.string_value == "from inside"
    assert ids(inside) == (RUN_ID, sling.span_id.hex())
    assert (inside.severity_number, inside.severity_text) == (13, "WARN")
    assert (found["run.id"], found["role"], found["queue"], found["who"]) == (RUN_ID, "mayor", 3, "{'a': 1}")
    assert (found["code.file.path"], found["code.function.name"]) == ("<string>", "<module>")
    assert isinstance(found["code.line.number"], int)
    assert (
        len({str(attributes(record.attributes)["log.record.uid"]) for record in (inside, outside, *others)})
        == 7
    )
    assert "trace_id" not in found
    assert abs(inside.time_unix_nano - sling.start_time_unix_nano) < 5e9
    found = attributes(outside.attributes)
    assert ids(outside) == (RUN_ID, ROOT_ID)
    assert (found["exception.type"], found["exception.message"]) == ("ValueError", "no way ?")
    assert str(found["exception.stacktrace"]).endswith("ValueError: no way ?\n")
    assert [(record.severity_number, record.severity_text) for record in others] == [
        (5, "DEBUG"),
        (21, "FATAL"),
        (12, "Level 25"),
        (4, "Level 3"),
        (24, "Level 99"),
    ]
    assert scopes == {"app", "gastown_tracing"}


def test_log_records_go_to_the_journal_as_they_are_emitted(env: dict[str, str], journal_root: Path) -> None:
    """Those of an event and of `logging` lie with their run's spans, whatever becomes of the process."""
    source = f"""{HANDLER}
    import os
    gt.init()
    with gt.sling(target="x"):
        logger.info("inside")
    logger.info("outside")
    os.kill(os.getpid(), 9)
    """
    python(source, {**env, "GT_RUN": RUN_UUID}, check=False)
    (span,) = reader.read_run(Journal(str(journal_root)), RUN_ID).spans
    found = [(record.body, record.span_id, record.event_name) for record in logs_of(journal_root)]
    assert found == [
        ("inside", span.span_id, ""),
        ("sling", span.span_id, "sling"),
        ("outside", ROOT_ID, ""),
    ]
    assert {record.trace_id for record in logs_of(journal_root)} == {RUN_ID}
    records = logs_of(journal_root)
    assert all(record.attributes["run.id"] == RUN_ID for record in records)
    assert len({record.attributes["log.record.uid"] for record in records}) == 3
    assert all(record.resource["service.instance.id"] for record in records)


def test_outside_a_run_log_records_are_loose(env: dict[str, str], journal_root: Path) -> None:
    """With a span they have its trace, without one they have none."""
    source = f"""{HANDLER}
    gt.init()
    gt.traced(name="plain")(lambda: logger.info("inside"))()
    with gt.sling(): pass
    logger.info("outside")
    """
    python(source, env)
    data = reader.read_loose(Journal(str(journal_root)))
    spans = {span.name: span for span in data.spans}
    records = {record.body: record for record in data.logs}
    assert records["inside"].span_id == spans["plain"].span_id
    assert records["sling"].trace_id == spans["sling"].trace_id
    assert (records["outside"].trace_id, records["outside"].span_id) == ("", "")


def test_the_handler_follows_init_and_shutdown(env: dict[str, str], journal_root: Path) -> None:
    """Before and after nothing is recorded, and nothing is loaded for it."""
    source = f"""{HANDLER}
    import sys
    logger.info("before")
    assert "opentelemetry" not in sys.modules
    for name in ("first", "second"):
        provider = gt.init()
        logger.info(name)
        assert provider.shutdown() and provider.errors == []
        logger.info("after")
    """
    python(source, {**env, "GT_RUN": RUN_UUID})
    assert [record.body for record in logs_of(journal_root)] == ["first", "second"]


def test_what_exporting_logs_is_not_exported() -> None:
    """With everything logged at DEBUG, the HTTP client's and OpenTelemetry's own records start no loop."""
    source = f"""{HANDLER}
    logging.getLogger().setLevel(logging.DEBUG)
    provider = gt.init()
    for number in range(3):
        logger.info("mine")
        logging.getLogger("opentelemetry.sdk").error("the SDK's own")
        logging.getLogger("urllib3.connectionpool").debug("the program's own request")
        provider._wiring.signals.logger_provider.force_flush(5000)
    assert provider.shutdown()
    """
    with sink() as server:
        python(source, direct(server, OTEL_BLRP_SCHEDULE_DELAY="20"))
        bodies = [record.body.string_value for record in server.logs()]
    assert bodies == ["mine", "the program's own request"] * 3


def test_nothing_of_exporting_reaches_a_host_that_logs_everything() -> None:
    """A program that prints all of `logging` at DEBUG sees nothing of our requests."""
    source = """
        import logging, sys
        import gastown_tracing as gt
        logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(name)s %(message)s")
        provider = gt.init()
        with gt.sling(): pass
        logging.info("mine")
        assert provider.shutdown(), provider.errors
    """
    with sink() as server:
        said = python(source, direct(server)).stdout
        assert len(server.spans()) == 1
    assert said == "root mine\n"


def test_a_log_record_that_cannot_be_made_harms_nobody() -> None:
    """A message whose arguments do not fit, an object without text, a number too large."""
    source = f"""{HANDLER}
    provider = gt.init()
    logging.raiseExceptions = False
    class Broken:
        def __str__(self): raise SystemExit("no text")
    logger.info("%d", "word")
    logger.info("fine", extra={{"broken": Broken(), "large": 2**80, "nothing": None}})
    logger.info(Broken), logger.info({{"a": 1}})
    logging.getLogger().handle(logging.makeLogRecord({{"msg": "by hand", "levelno": 5}}))
    assert "log record of app: TypeError" in provider.errors[0] and len(provider.errors) == 1
    """
    with sink() as server:
        python(source, direct(server))
        fine, kind, plain, bare = server.logs()
    found = attributes(fine.attributes)
    assert (found["broken"], found["large"]) == ("‹Broken›", str(2**80))
    assert "nothing" not in found
    assert kind.body.string_value.startswith("<class")
    assert plain.body.string_value == "{'a': 1}"
    assert (bare.body.string_value, bare.severity_number) == ("by hand", 4)
    assert not {"code.file.path", "code.function.name"} & attributes(bare.attributes).keys()


def test_a_failed_command_is_logged_without_its_arguments() -> None:
    """As in spans: the text of a CalledProcessError would show the whole command line."""
    source = f"""{HANDLER}
    import subprocess
    gt.init()
    try:
        subprocess.run(["false", "sec" + "ret"], check=True)
    except subprocess.CalledProcessError:
        logger.exception("failed")
    """
    with sink() as server:
        python(source, direct(server))
        (record,) = server.logs()
    assert "secret" not in str(record)
    assert attributes(record.attributes)["exception.message"] == "exit code 1"


def test_format_strings_get_the_ids(env: dict[str, str]) -> None:
    """add_trace_ids gives every record trace_id, span_id and run_id: empty where there are none."""
    source = """
        import logging, sys
        import gastown_tracing as gt
        gt.add_trace_ids(), gt.add_trace_ids()
        logging.basicConfig(format="%(trace_id)s|%(span_id)s|%(run_id)s|%(message)s", stream=sys.stdout)
        logging.warning("off")
        assert "opentelemetry" not in sys.modules
        provider = gt.init()
        with gt.sling():
            logging.warning("inside")
            print(gt.child_env({})["TRACEPARENT"])
        logging.warning("in the run")
        theirs = logging.getLogRecordFactory()
        logging.setLogRecordFactory(lambda *args, **kwargs: theirs(*args, **kwargs))
        gt.add_trace_ids()
        logging.warning("twice")
        provider.shutdown()
        logging.warning("off again")
    """
    off, inside, parent, run, twice, again = python(source, {**env, "GT_RUN": RUN_UUID}).stdout.splitlines()
    assert (off, again) == ("|||off", "|||off again")
    assert inside == f"{RUN_ID}|{parent[36:52]}|{RUN_ID}|inside"
    assert (run, twice) == (f"{RUN_ID}|{ROOT_ID}|{RUN_ID}|in the run", f"{RUN_ID}|{ROOT_ID}|{RUN_ID}|twice")


API = """
    from opentelemetry import _logs, trace
    from opentelemetry._logs import LogRecord, SeverityNumber
    import gastown_tracing as gt
    early = _logs.get_logger("theirs", "1.0")
"""


def test_records_of_opentelemetrys_api_land_in_the_run() -> None:
    """Whichever way they are given, and with a context of their own where the program says so."""
    source = f"""{API}
    gt.init()
    with gt.sling():
        warn = SeverityNumber.WARN
        early.emit(body="parts", severity_number=warn, event_name="e", attributes={{"role": "own"}})
        early.emit(LogRecord(body="record", timestamp=5))
    span = trace.NonRecordingSpan(trace.SpanContext(7, 8, False, trace.TraceFlags(1)))
    early.emit(body="elsewhere", context=trace.set_span_in_context(span))
    _logs.get_logger("late").emit(body="none", exception=ValueError("x"))
    assert early.enabled()
    gt.init().shutdown()
    assert not early.enabled()
    early.emit(body="off")
    """
    with sink() as server:
        python(source, direct(server, GT_ROLE="mayor"))
        (sling,) = server.spans()
        found = {record.body.string_value: record for record in server.logs()}
    assert set(found) == {"parts", "record", "elsewhere", "none", "sling"}
    assert ids(found["parts"]) == ids(found["record"]) == (RUN_ID, sling.span_id.hex())
    assert found["record"].time_unix_nano == 5
    assert ids(found["elsewhere"]) == (f"{7:032x}", f"{8:016x}")
    assert ids(found["none"]) == (RUN_ID, ROOT_ID)
    assert attributes(found["none"].attributes)["exception.type"] == "ValueError"
    parts = attributes(found["parts"].attributes)
    assert (parts["role"], parts["run.id"], found["parts"].event_name) == ("own", RUN_ID, "e")


def test_a_logger_provider_of_the_program_stays_and_is_joined(
    env: dict[str, str], journal_root: Path
) -> None:
    """Its own exporters see what they would see; the journal gets the same records, and who acts in them."""
    source = f"""{API}
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
    memory = InMemoryLogRecordExporter()
    own = LoggerProvider()
    own.add_log_record_processor(SimpleLogRecordProcessor(memory))
    _logs.set_logger_provider(own)
    provider = gt.init()
    assert _logs.get_logger_provider() is own
    with gt.sling():
        early.emit(body="theirs")
    provider.shutdown()
    early.emit(body="after")
    seen = [found.log_record for found in memory.get_finished_logs()]
    described = [(record.body, "run.id" in record.attributes) for record in seen]
    assert described == [("theirs", False), ("sling", True), ("after", False)]
    """
    python(source, {**env, "GT_RUN": RUN_UUID, "GT_ROLE": "mayor"})
    records = {record.body: record for record in logs_of(journal_root)}
    assert set(records) == {"theirs", "sling"}
    assert records["theirs"].attributes["run.id"] == RUN_ID
    assert records["theirs"].span_id == records["sling"].span_id


def test_logs_none_sends_none() -> None:
    """`none` switches log records off, the other signals stay."""
    source = f"""{HANDLER}
    provider = gt.init()
    logger.info("mine")
    with gt.sling(): pass
    assert provider.shutdown() and provider.errors == []
    """
    with sink() as server:
        python(source, direct(server, GT_OTEL_LOGS_URL="none"))
        assert (len(server.spans()), server.seen_of("logs")) == (1, [])


def test_dropped_attributes_do_not_warn() -> None:
    """A record with more attributes than the limit says how many were dropped, and nothing is printed."""
    source = f"""{HANDLER}
    gt.init()
    logger.info("mine", extra={{f"a{{number}}": number for number in range(20)}})
    """
    with sink() as server:
        python(source, direct(server, OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT="5"))
        (record,) = server.logs()
    assert (len(record.attributes), record.dropped_attributes_count) == (5, 20)


def test_a_long_message_is_cut_and_says_so() -> None:
    """The body, and an exception's traceback, at 64 KiB."""
    source = f"""{HANDLER}
    provider = gt.init()
    logger.info("ü" * 40_000 + "end")
    try:
        raise ValueError("x" * 300_000)
    except ValueError:
        logger.exception("failed")
    assert provider.shutdown() and provider.errors == []
    """
    with sink() as server:
        python(source, direct(server))
        long, failed = server.logs()
    assert long.body.string_value == "ü" * 32_768 + "…‹cut 14467 bytes›"
    trace = str(attributes(failed.attributes)["exception.stacktrace"])
    assert len(trace.encode()) < 66_000
    assert trace.endswith(" bytes›")


def test_what_waits_has_a_limit_in_bytes() -> None:
    """Of more than 8 MiB the oldest records go and are counted; a request has 1 MiB at most."""
    source = f"""{HANDLER}
    import resource
    provider = gt.init()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(300):
        logger.info(f"{{number}} " + "y" * 2_000_000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak - before < 100_000, flush=True)
    input()
    provider.shutdown(30)
    print(*provider.errors, sep="\\n")
    """
    with sink() as server:
        server.gate.clear()
        with running(source, direct(server)) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "True\n"
            server.gate.set()
            lines = ends(process).splitlines()
        numbers = [int(record.body.string_value.partition(" ")[0]) for record in server.logs()]
        assert max(int(headers["content-length"]) for headers in server.seen_of("logs")) <= 1 << 20
    assert numbers[-1] == 299
    assert all(line.endswith(" log records dropped: more than 8 MiB waited") for line in lines)
    assert sum(int(line.split()[0]) for line in lines) + len(numbers) == 300
    assert 100 < len(numbers) < 200


def test_a_record_has_as_much_as_a_journal_line() -> None:
    """Without a journal, too, what is larger than 1 MiB is cut out of the longest texts."""
    source = f"""{API}
    provider = gt.init()
    with trace.get_tracer("theirs").start_as_current_span("large") as span:
        span.set_attributes({{"long": "ü" * 3_000_000, "short": "kept"}})
        span.add_event("there", {{"long": "y" * 3_000_000}})
        early.emit(body={{"a": ["x" * 3_000_000, "kept"]}}, attributes={{"long": "z" * 3_000_000}})
        early.emit(body=b"x" * 9_000_000)
    gt.record_bd_call(args=["list"], stdout="o" * 3_000_000)
    provider.shutdown()
    print(*provider.errors)
    """
    content = {"GT_LOG_BD_OUTPUT": "true", "GT_LOG_BD_CONTENT_LIMIT": "0"}
    with sink() as server:
        said = python(source, direct(server, **content)).stdout
        spans = {span.name: span for span in server.spans()}
        (called,) = [span for name, span in spans.items() if name != "large"]
        (record, event) = server.logs()
    assert said == "1 log records dropped: larger than 8 MiB\n"
    shown = attributes(spans["large"].attributes)
    assert shown["short"] == "kept"
    for text in (
        shown["long"],
        attributes(spans["large"].events[0].attributes)["long"],
        attributes(record.attributes)["long"],
        attributes(called.attributes)["stdout"],
        attributes(event.attributes)["stdout"],
    ):
        assert str(text).endswith(" bytes›")
    assert record.body.kvlist_value.values[0].value.array_value.values[1].string_value == "kept"
    for found in (*spans.values(), record, event):
        assert 1 << 19 < found.ByteSize() <= 1 << 20


def test_nothing_is_recorded_where_the_caller_asked_for_nothing() -> None:
    """Outside a run a TRACEPARENT that is not sampled silences `logging` and the API as it does events."""
    source = f"""{HANDLER}{API}
    provider = gt.init()
    logger.info("from logging"), early.emit(body="by the API")
    assert not early.enabled()
    with gt.sling():
        logger.info("in a span"), early.emit(body="in a span")
    assert provider.shutdown() and provider.errors == []
    """
    parent = f"00-{RUN_ID}-{ROOT_ID}-"
    with sink() as server:
        python(source, {**direct(server), "GT_RUN": "", "TRACEPARENT": parent + "00"})
        assert server.logs() == []
        python(
            source.replace("not early", "early"),
            {**direct(server), "GT_RUN": "", "TRACEPARENT": parent + "01"},
        )
        assert len(server.logs()) == 5


def test_only_a_keyboard_interrupt_leaves_the_handler() -> None:
    """As any handler lets it; a text that ends the program some other way is left out."""
    source = f"""{HANDLER}
    provider = gt.init()
    class Stops:
        def __init__(self, error): self.error = error
        def __str__(self): raise self.error
    logger.info(Stops(SystemExit(3))), logger.info("%s", Stops(GeneratorExit()))
    try:
        logger.info(Stops(KeyboardInterrupt()))
    except KeyboardInterrupt:
        print("interrupted")
    logger.info("goes on")
    print(*provider.errors, sep="\\n")
    """
    with sink() as server:
        said = python(source, direct(server)).stdout
        assert [record.body.string_value for record in server.logs()] == ["goes on"]
    assert said.splitlines() == [
        "interrupted",
        "log record of app: SystemExit(3)",
        "log record of app: GeneratorExit()",
    ]
