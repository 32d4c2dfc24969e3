"""The process's own log: one JSON object on one line, on stderr. Whatever strangers put into a value stays inside its string."""

import json
import logging
import sys

import structlog


def configure_logs(level: str = "info") -> None:
    """For entry points, once. Everything else only asks structlog for a logger."""
    number = getattr(logging, level.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
    ]
    # `sys.stderr` is looked up at each line, so that whoever redirects it gets the lines.
    structlog.configure(
        processors=[*shared, _as_json],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    render = structlog.stdlib.ProcessorFormatter(processor=_as_json, foreign_pre_chain=[*shared, _logger_name])
    handler.setFormatter(render)
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


def _as_json(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    event["message"] = event.pop("event", "")
    # ASCII only: half characters, directions and control codes of strangers come out as escapes, and nothing raises.
    return json.dumps(event, default=repr, skipkeys=True).replace("\x7f", "\\u007f")


def _logger_name(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["logger"] = event["_record"].name
    return event
